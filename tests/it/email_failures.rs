//! The email handler against a mail server that is down, slow, choosy or rude.

use std::sync::Arc;

use evenkeel::clock::{Clock, Timestamp};
use evenkeel::handle::Kind;
use evenkeel::handlers::email::{Email, Mailer, Options};
use serde_json::json;

use crate::email::{delivery, options, send};
use crate::mail_server::{MailServer, Manner, Offer};

/// What comes of one mail to Bob and Carol at a server with these manners.
async fn outcome(manners: &'static [Manner]) -> (MailServer, Result<(), (Kind, String)>) {
    let server = MailServer::start(Offer::Clear, manners).await;
    let (folder, options) = options(&server);
    let options = Options { to: vec!["bob@example.org".into(), "carol@example.org".into()], ..options };
    let sent = send(&options, folder.path(), delivery(1, json!({}))).await;
    let place = format!("localhost:{}: ", server.address.port());
    let told = |text: String| text.strip_prefix(&place).expect("the error names the server").to_owned();
    (server, sent.map_err(|error| (error.kind(), told(error.to_string()))))
}

async fn refusal(manners: &'static [Manner]) -> (MailServer, Kind, String) {
    let (server, outcome) = outcome(manners).await;
    let (kind, text) = outcome.unwrap_err();
    (server, kind, text)
}

#[actix::test]
async fn a_server_that_is_down_is_a_retry() {
    let server = MailServer::start(Offer::Clear, &[Manner::Takes]).await;
    let (folder, mut options) = options(&server);
    // Nobody listens there any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    (options.host, options.port) = ("127.0.0.1".into(), Some(free));
    let error = send(&options, folder.path(), delivery(1, json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    let expected = format!("127.0.0.1:{free}: the connection failed: Connection refused");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[actix::test]
async fn one_refused_recipient_means_that_nobody_gets_the_mail_and_is_named() {
    let manners = &[Manner::Refuses(&[("carol@example.org", 550, "no such user here")])];
    let (server, kind, text) = refusal(manners).await;
    assert_eq!(kind, Kind::Permanent);
    assert_eq!(text, "the recipient <carol@example.org> was refused: 550 no such user here");
    assert!(server.mails().is_empty());
}

#[actix::test]
async fn a_recipient_who_is_refused_for_now_is_a_retry_and_then_both_get_it_once() {
    let manners = &[Manner::Refuses(&[("bob@example.org", 450, "greylisted")]), Manner::Takes];
    let server = MailServer::start(Offer::Clear, manners).await;
    let (folder, options) = options(&server);
    let options = Options { to: vec!["bob@example.org".into(), "carol@example.org".into()], ..options };
    let error = send(&options, folder.path(), delivery(1, json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    assert!(error.to_string().ends_with("the recipient <bob@example.org> was refused: 450 greylisted"), "{error}");
    send(&options, folder.path(), delivery(2, json!({}))).await.unwrap();
    assert_eq!(server.mail().to, ["bob@example.org", "carol@example.org"]);
}

#[actix::test]
async fn all_refused_recipients_are_named_and_the_worst_decides() {
    let manners = &[Manner::Refuses(&[("bob@example.org", 451, "later"), ("carol@example.org", 553, "never")])];
    let (_, kind, text) = refusal(manners).await;
    assert_eq!(kind, Kind::Permanent);
    let both = "the recipient <bob@example.org> was refused: 451 later; \
                the recipient <carol@example.org> was refused: 553 never";
    assert_eq!(text, both);
}

#[actix::test]
async fn a_server_that_goes_while_it_refuses_is_asked_no_more() {
    let (server, kind, text) = refusal(&[Manner::Refuses(&[("bob@example.org", 421, "shutting down")])]).await;
    assert_eq!((kind, text.as_str()), (Kind::Retry, "the recipient <bob@example.org> was refused: 421 shutting down"));
    server.until_closed(1).await;
}

#[actix::test]
async fn a_refused_sender_or_mail_is_a_retry_or_permanent_by_its_code() {
    let (_, kind, text) = refusal(&[Manner::Refuses(&[("shop@example.org", 553, "not yours")])]).await;
    let sender = "the sender <shop@example.org> was refused: 553 not yours";
    assert_eq!((kind, text.as_str()), (Kind::Permanent, sender));
    let (_, kind, text) = refusal(&[Manner::Refuses(&[(".", 452, "disk full")])]).await;
    assert_eq!((kind, text.as_str()), (Kind::Retry, "the mail was refused: 452 disk full"));
    let (_, kind, text) = refusal(&[Manner::Refuses(&[(".", 554, "looks like spam")])]).await;
    assert_eq!((kind, text.as_str()), (Kind::Permanent, "the mail was refused: 554 looks like spam"));
}

#[actix::test]
async fn a_server_that_closes_in_the_middle_of_the_mail_is_a_retry() {
    let (server, kind, text) = refusal(&[Manner::HangsUp]).await;
    assert_eq!(kind, Kind::Retry);
    assert!(text.starts_with("the mail failed: "), "{text}");
    assert!(server.mails().is_empty());
}

#[actix::test]
async fn an_attempt_that_is_dropped_closes_its_connection_wherever_it_stands() {
    for manner in [&[Manner::Silent], &[Manner::NeverAnswers]] {
        let server = MailServer::start(Offer::Clear, manner).await;
        let (folder, options) = options(&server);
        let mailer = Arc::new(Mailer::new(&options, folder.path()).unwrap());
        let mut email = Email::new(mailer, Clock::manual(Timestamp(0)));
        let attempt = actix::Handler::handle(&mut email, delivery(1, json!({})), &mut actix::Context::new());
        let reached = async {
            match manner {
                [Manner::Silent] => until_connected(&server).await,
                _ => server.until_mails(1).await,
            }
        };
        tokio::select! {
            outcome = attempt => panic!("the server never answers: {outcome:?}"),
            () = reached => {}
        }
        server.until_closed(1).await;
    }
}

async fn until_connected(server: &MailServer) {
    crate::harness::eventually("a connection comes", async || (server.connections() > 0).then_some(())).await;
}

#[actix::test]
async fn a_mail_that_was_taken_is_a_success_whatever_the_goodbye() {
    let (server, outcome) = outcome(&[Manner::NeverSaysGoodbye]).await;
    outcome.unwrap();
    assert_eq!(server.mails().len(), 1);
    // It is waited for a while all the same, and then the connection is closed.
    server.until_closed(1).await;
}
