//! The email handler against a mail server: what arrives there, and over what kind of connection.

use std::path::Path;
use std::sync::Arc;

use actix::Actor;
use evenkeel::clock::{Clock, Timestamp};
use evenkeel::handle::Kind;
use evenkeel::handlers::email::{Email, Mailer, Options, Tls};
use evenkeel::{Attempt, Deliver, Event, HandlerError, Payload};
use mail_parser::{Message, MessageParser, MimeHeaders};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::harness::Place;
use crate::mail_server::{MailServer, Manner, Offer, Received};
use crate::process::{configure, run};

/// 2026-01-05T08:02:20Z
const NOW: Timestamp = Timestamp(1_767_600_140_000_000);

/// Templates in a folder, and options that use them with this server.
pub fn options(server: &MailServer) -> (TempDir, Options) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("mail.txt", "Grüße, {{ data.name }}!\n.\n..und <Punkte>\n");
    write("mail.html", "<p>Grüße, {{ data.name }}!</p>\n");
    write("ca.pem", &server.certificate);
    let options = Options {
        host: "localhost".into(),
        port: Some(server.address.port()),
        tls: Tls::None,
        from: "Bücherladen <shop@example.org>".into(),
        to: vec!["{{ data.name }} <{{ data.email }}>".into()],
        subject: "Grüße zu {{ subject }}".into(),
        text: Some("mail.txt".into()),
        ..Options::default()
    };
    (folder, options)
}

/// The event that the templates want.
pub fn delivery(attempt: u32, more: Value) -> Deliver<Payload> {
    let mut data = json!({ "name": "Ada <ada>", "email": "ada@example.net" });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let event = Event {
        id: "e-1".into(),
        source: "/shop".into(),
        event_type: "order.paid".into(),
        subject: Some("order 7".into()),
        time: None,
        extensions: Default::default(),
        data: Payload::json(data.to_string()),
    };
    let attempt = Attempt {
        id: Uuid::from_u128(attempt.into()),
        record_id: Uuid::from_u128(0x019b_8d3c_0000_7000_8000_0000_0000_0001),
        number: attempt,
        handler: Arc::from("mail"),
        deadline: NOW,
    };
    Deliver { event, attempt }
}

/// One attempt of a new handler with these options.
pub async fn send(options: &Options, folder: &Path, delivery: Deliver<Payload>) -> Result<(), HandlerError> {
    let mailer = Arc::new(Mailer::new(options, folder).unwrap());
    Email::new(mailer, Clock::manual(NOW)).start().send(delivery).await.unwrap()
}

fn parsed(mail: &Received) -> Message<'_> {
    MessageParser::default().parse(&mail.content).unwrap()
}

fn addresses(address: Option<&mail_parser::Address<'_>>) -> Vec<(Option<String>, String)> {
    let people = address.into_iter().flat_map(|address| address.iter());
    people.map(|one| (one.name().map(str::to_owned), one.address().unwrap().to_owned())).collect()
}

#[actix::test]
async fn a_mail_arrives_with_its_headers_both_texts_and_its_attachments() {
    let server = MailServer::start(Offer::Clear, &[Manner::Takes]).await;
    let (folder, mut options) = options(&server);
    options.html = Some("mail.html".into());
    options.reply_to = Some("help@example.org".into());
    options.cc = vec!["Carl <carl@bücher.example>".into()];
    options.bcc = vec!["archive@example.org".into()];
    options.hello_name = Some("shop.example.org".into());
    let attachments = json!({ "attachments": [
        { "filename": "Übersicht.csv", "content_type": "text/csv", "content": "a;b\n1;ü\n" },
        { "filename": "pixel.png", "content_type": "image/png", "content_base64": "iVBORw0KGgo=" },
    ]});
    send(&options, folder.path(), delivery(1, attachments)).await.unwrap();

    let mail = server.mail();
    assert_eq!((mail.hello.as_str(), mail.from.as_str()), ("shop.example.org", "shop@example.org"));
    assert_eq!(mail.to, ["ada@example.net", "carl@xn--bcher-kva.example", "archive@example.org"]);
    let message = parsed(&mail);
    assert_eq!(message.subject(), Some("Grüße zu order 7"));
    assert_eq!(addresses(message.from()), [(Some("Bücherladen".into()), "shop@example.org".into())]);
    assert_eq!(addresses(message.to()), [(Some("Ada <ada>".into()), "ada@example.net".into())]);
    assert_eq!(addresses(message.cc()), [(Some("Carl".into()), "carl@xn--bcher-kva.example".into())]);
    assert_eq!(addresses(message.reply_to()), [(None, "help@example.org".into())]);
    assert!(message.bcc().is_none() && !String::from_utf8_lossy(&mail.content).contains("archive@"));
    assert_eq!(message.message_id(), Some("019b8d3c-0000-7000-8000-000000000001@example.org"));
    assert_eq!(message.date().unwrap().to_rfc3339(), "2026-01-05T08:02:20Z");
    assert_eq!(message.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));

    assert_eq!(message.body_text(0).unwrap(), "Grüße, Ada <ada>!\r\n.\r\n..und <Punkte>");
    assert_eq!(message.body_html(0).unwrap(), "<p>Grüße, Ada &lt;ada&gt;!</p>");
    let attachments: Vec<_> =
        message.attachments().map(|part| (part.attachment_name().unwrap(), part.contents())).collect();
    let expected: [(&str, &[u8]); 2] =
        [("Übersicht.csv", "a;b\n1;ü\n".as_bytes()), ("pixel.png", b"\x89PNG\r\n\x1a\n")];
    assert_eq!(attachments, expected);
    assert!(mail.content.is_ascii(), "any server can take it");
}

#[actix::test]
async fn a_repeat_has_the_same_message_id_and_tells_its_attempt() {
    let server = MailServer::start(Offer::Clear, &[Manner::Takes]).await;
    let (folder, options) = options(&server);
    for attempt in [1, 2] {
        send(&options, folder.path(), delivery(attempt, json!({}))).await.unwrap();
    }
    let mails = server.mails();
    let mails: Vec<Message<'_>> = mails.iter().map(parsed).collect();
    assert_eq!(mails[0].message_id(), mails[1].message_id());
    let attempts = mails.iter().map(|mail| mail.header_raw("Evenkeel-Attempt").unwrap().trim());
    assert_eq!(attempts.collect::<Vec<_>>(), ["1", "2"]);
}

#[actix::test]
async fn starttls_encrypts_the_login_and_the_mail() {
    let server = MailServer::start(Offer::Login, &[Manner::Takes]).await;
    let (folder, mut options) = options(&server);
    (options.tls, options.ca_file) = (Tls::StartTls, Some("ca.pem".into()));
    (options.username, options.password) = (Some("shop".into()), Some("hunter2".into()));
    send(&options, folder.path(), delivery(1, json!({}))).await.unwrap();
    let mail = server.mail();
    assert_eq!((mail.encrypted, mail.login.as_deref()), (true, Some("shop")));

    options.password = Some("hunter3".into());
    let error = send(&options, folder.path(), delivery(1, json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permanent);
    assert!(error.to_string().ends_with("the login was refused: 535 Invalid credentials"), "{error}");
    assert!(!error.to_string().contains("hunter"), "{error}");
}

#[actix::test]
async fn tls_from_the_first_byte_is_spoken_too() {
    let server = MailServer::start(Offer::Tls, &[Manner::Takes]).await;
    let (folder, mut options) = options(&server);
    (options.tls, options.ca_file) = (Tls::Tls, Some("ca.pem".into()));
    send(&options, folder.path(), delivery(1, json!({}))).await.unwrap();
    assert!(server.mail().encrypted);
}

#[actix::test]
async fn a_certificate_that_nobody_vouches_for_or_of_another_name_gets_no_mail() {
    for (offer, tls) in [(Offer::StartTls, Tls::StartTls), (Offer::Tls, Tls::Tls)] {
        let server = MailServer::start(offer, &[Manner::Takes]).await;
        let (folder, mut options) = options(&server);
        options.tls = tls;
        let stranger = send(&options, folder.path(), delivery(1, json!({}))).await.unwrap_err();
        assert_eq!(stranger.kind(), Kind::Retry);
        let unknown = "the connection failed: invalid peer certificate: UnknownIssuer";
        assert!(stranger.to_string().ends_with(unknown), "{stranger}");

        (options.host, options.ca_file) = ("127.0.0.1".into(), Some("ca.pem".into()));
        let impostor = send(&options, folder.path(), delivery(1, json!({}))).await.unwrap_err();
        assert_eq!(impostor.kind(), Kind::Retry);
        assert!(impostor.to_string().contains("certificate not valid for name \"127.0.0.1\""), "{impostor}");
        assert!(server.mails().is_empty());
    }
}

#[actix::test]
async fn a_server_without_starttls_gets_no_mail_when_it_is_asked_for() {
    let server = MailServer::start(Offer::Clear, &[Manner::Takes]).await;
    let (folder, mut options) = options(&server);
    options.tls = Tls::StartTls;
    let error = send(&options, folder.path(), delivery(1, json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    assert!(error.to_string().ends_with("the connection failed: STARTTLS is not supported on this server"), "{error}");
    assert!(server.mails().is_empty());
}

#[actix::test]
async fn an_event_that_would_inject_a_header_never_reaches_the_server() {
    let server = MailServer::start(Offer::Clear, &[Manner::Takes]).await;
    let (folder, options) = options(&server);
    let name = json!({ "name": "Ada\r\nBcc: eve@example.net" });
    let error = send(&options, folder.path(), delivery(1, name)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(server.connections(), 0);
}

#[actix::test]
async fn every_recipient_is_named_to_the_server_or_nobody_is() {
    let server = MailServer::start(Offer::Clear, &[Manner::Takes]).await;
    let (folder, mut options) = options(&server);
    let entry = "{{ data.second }}".to_owned();
    (options.to, options.cc) = (vec!["ada@example.net".into(), entry.clone()], vec!["carl@example.net".into(), entry]);
    for address in [r#""ada lovelace"@example.net"#, "ops@[192.0.2.1]", "a@[IPv6:::1]", r#""a@b"@x.example"#] {
        let error = send(&options, folder.path(), delivery(1, json!({ "second": address }))).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{address}");
        assert!(error.to_string().starts_with("`to[1]` has a half in quotation marks or"), "{error}");
    }
    assert_eq!(server.connections(), 0);

    send(&options, folder.path(), delivery(1, json!({ "second": "O'Hara, Bob <b.o'hara+x@example.net>" })))
        .await
        .unwrap();
    let bob = "b.o'hara+x@example.net";
    assert_eq!(server.mail().to, ["ada@example.net", bob, "carl@example.net", bob]);
}

#[actix::test]
async fn check_refuses_an_address_that_no_mail_can_carry_and_names_its_key() {
    let place = Place::new();
    std::fs::write(place.path().join("mail.txt"), "Hello").unwrap();
    for (key, lines) in [
        ("from", "from = '\"shop keeper\"@example.org'\nto = ['a@example.org']"),
        ("reply_to", "from = 'shop@example.org'\nreply_to = 'ops@[192.0.2.1]'\nto = ['a@example.org']"),
        ("to", "from = 'shop@example.org'\nto = ['a@example.org', 'ops@[IPv6:::1]']"),
        ("cc", "from = 'shop@example.org'\ncc = ['\"a@b\"@example.org']"),
        ("bcc", "from = 'shop@example.org'\nbcc = ['\"{\"@example.org']"),
    ] {
        let handler = format!(
            "[[handler]]\nname = 'mail'\nkind = 'email'\ntypes = ['order.paid']\nhost = 'localhost'\n{lines}\n\
             subject = 'Hello'\ntext = 'mail.txt'\n"
        );
        configure(&place, &handler);
        let (code, _, err) = run(place.path(), &["check", "--config", "config.toml"]).await;
        assert_eq!(code, 1, "{key}: {err}");
        assert!(err.contains(&format!("`{key}` has a half in quotation marks or square brackets")), "{err}");
    }
}

#[actix::test]
async fn check_finds_a_template_that_is_wrong_with_its_line_and_creates_nothing() {
    let place = Place::new();
    let handler = "[[handler]]\nname = 'mail'\nkind = 'email'\ntypes = ['order.paid']\nhost = 'localhost'\n\
                   from = 'shop@example.org'\nto = ['{{ data.email }}']\nsubject = 'Hello'\ntext = 'mail.txt'\n";
    configure(&place, handler);
    std::fs::write(place.path().join("mail.txt"), "Dear {{ data.name }},\n\n{% if data.paid %}thanks").unwrap();
    let before = place.path().read_dir().unwrap().count();
    let (code, _, err) = run(place.path(), &["check", "--config", "config.toml"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("handler `mail`: syntax error:") && err.contains("(in text mail.txt:3)"), "{err}");

    std::fs::write(place.path().join("mail.txt"), "Dear {{ data.name }}").unwrap();
    let (code, _, err) = run(place.path(), &["check", "--config", "config.toml"]).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(place.path().read_dir().unwrap().count(), before);
}
