//! Scenario B: an event asks for a mail, the mail server is too slow, then recovers, and the second retry succeeds.

use std::time::Duration;

use evenkeel::lifecycle::{AttemptStatus, FinalStatus, Status};
use evenkeel::{Config, NewEvent};
use mail_parser::MessageParser;

use crate::harness::{Place, attempts, settled, standing_clock, stop, until_tried};
use crate::mail_server::{MailServer, Manner, Offer};

#[actix::test]
async fn a_mail_server_that_is_too_slow_and_then_recovers_costs_two_retries_and_no_mail() {
    // Given a mail server that is too slow for its first two connections.
    let slow_twice = &[Manner::Silent, Manner::NeverAnswers, Manner::Takes];
    let server = MailServer::start(Offer::Clear, slow_twice).await;
    let (place, clock) = (Place::new(), standing_clock());
    let engine = place.engine().loaded(mailing(&place, &server)).clock(clock.clone()).start().await.unwrap();

    // When an event asks for a mail,
    let order = NewEvent::new("order.paid", &serde_json::json!({ "email": "ada@example.net" })).unwrap();
    let id = engine.submit(order).await.unwrap().id;

    // Then its first attempt times out, and so does the first retry, one second later;
    let first = until_tried(&engine, id, 1).await;
    assert_eq!(first.record.next_attempt_at.unwrap().since(clock.now()), Duration::from_secs(1));
    clock.advance(Duration::from_secs(1));
    let second = until_tried(&engine, id, 2).await;
    assert_eq!(second.record.next_attempt_at.unwrap().since(clock.now()), Duration::from_secs(2));

    // the second retry, two seconds later, succeeds.
    clock.advance(Duration::from_secs(2));
    let record = settled(&engine, id).await;
    assert_eq!((record.status, record.final_status), (Status::Success, Some(FinalStatus::Completed)));
    assert_eq!((record.retry_count, record.attempt_count), (2, 3));
    let expected = [AttemptStatus::TimedOut, AttemptStatus::TimedOut, AttemptStatus::Success];
    assert_eq!(attempts(&engine, id).await, expected);

    // The server had the mail of the second attempt too, without saying so: the two can be told to be one.
    let mails = server.mails();
    let parsed = |index: usize| MessageParser::default().parse(&mails[index].content).unwrap();
    assert_eq!(mails.len(), 2);
    assert_eq!(parsed(0).message_id().unwrap(), format!("{id}@example.org"));
    assert_eq!(parsed(0).message_id(), parsed(1).message_id());
    assert_eq!(mails[1].to, ["ada@example.net"]);
    stop(engine).await;
}

fn mailing(place: &Place, server: &MailServer) -> evenkeel::config::Loaded {
    let (folder, port) = (place.path(), server.address.port());
    std::fs::write(folder.join("mail.txt"), "Your order is paid.\n").unwrap();
    let config = folder.join("config.toml");
    let text = format!(
        r#"
        [database]
        url = "sqlite://{}"

        [[handler]]
        name = "mail"
        kind = "email"
        types = ["order.paid"]
        timeout = "2s"
        host = "127.0.0.1"
        port = {port}
        tls = "none"
        from = "Shop <shop@example.org>"
        to = ["{{{{ data.email }}}}"]
        subject = "Thank you"
        text = "mail.txt"
        "#,
        folder.join("evenkeel.db").display()
    );
    std::fs::write(&config, text).unwrap();
    Config::load(Some(&config)).unwrap()
}
