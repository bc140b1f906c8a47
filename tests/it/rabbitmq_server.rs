//! A RabbitMQ that one test has for itself: away for more than a minute, with an alarm, with a certificate of its own.

use std::time::Duration;

use evenkeel::engine::Error;
use evenkeel::ingest::SubmitError;
use evenkeel::lifecycle::Status;
use evenkeel::{Engine, NewEvent};
use lapin::BasicProperties;
use serde_json::json;

use crate::harness::{Calls, Place, counting, eventually, numbered, settled, stop, until_success};
use crate::other::Other;
use crate::rabbit::Server;

/// Longer than any wait between two tries to connect, and than two heartbeats.
const AWAY: Duration = Duration::from_secs(61);

#[actix::test]
async fn a_broker_that_is_away_for_a_minute_under_load_loses_nothing_and_gets_its_listeners_back() {
    let Some(server) = Server::start().await else { return };
    let rabbit = server.rabbit();
    let (place, calls) = (Place::new(), Calls::default());
    let engine = rabbit.engine(&place, &calls).await;
    let (mut sent, mut unknown) = (0, 0);
    let load = async {
        while sent < 2_000 {
            let batch: Vec<NewEvent> = (sent..sent + 50).map(numbered).collect();
            match engine.submit_all(batch).await {
                Ok(_) => sent += 50,
                // The same events again: what was taken is recognised by its id.
                Err(SubmitError::Unconfirmed(_)) => unknown += 1,
                Err(error) => {
                    assert!(matches!(error, SubmitError::BusUnavailable(_)), "{error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    };
    let outage = async {
        eventually("the load is on", async || (calls.count() > 200).then_some(())).await;
        server.stop().await;
        // It is the time itself that is tried here.
        tokio::time::sleep(AWAY).await;
        server.resume().await;
    };
    futures_util::join!(load, outage);
    until_success(&engine, 2_000).await;
    assert_eq!(calls.count(), 2_000, "{unknown} batches were sent again without an answer");

    // Both listeners are back, and have no more than they may have.
    let client = rabbit.client().await;
    eventually("both listen", async || (client.listeners(&rabbit.queue).await == 2).then_some(())).await;
    let other = Other::hold(&place).await;
    for number in 2_000..2_050 {
        let body = json!({ "type": "t", "id": number.to_string(), "source": "/s" }).to_string();
        client.publish(&rabbit.queue, BasicProperties::default(), body.as_bytes()).await;
    }
    eventually("they have taken theirs", async || (client.depth(&rabbit.queue).await == 30).then_some(())).await;
    other.let_go().await;
    until_success(&engine, 2_050).await;
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn a_broker_whose_memory_is_full_takes_nothing_says_so_and_loses_nothing() {
    let full = [("settings.conf", "vm_memory_high_watermark.absolute = 1MB\n".to_owned())];
    let Some(server) = Server::start_with(&full).await else { return };
    let rabbit = server.rabbit();
    let (place, calls) = (Place::new(), Calls::default());
    let engine = rabbit.engine(&place, &calls).await;
    let (mut taken, mut unknown) = (Vec::new(), Vec::new());
    // RabbitMQ tells a connection of its alarm when that has published.
    let why = loop {
        let number = taken.len() + unknown.len();
        assert!(number < 10, "an alarm should be heard of");
        match engine.submit(numbered(number)).await {
            Ok(accepted) => taken.push(accepted.id),
            Err(SubmitError::Unconfirmed(_)) => unknown.push(number),
            Err(SubmitError::BusUnavailable(why)) => break why,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(why.ends_with("it takes no messages: its memory or its disk is full"), "{why}");
    server.stop().await;
    std::fs::write(server.path().join("settings.conf"), "").unwrap();
    server.resume().await;
    for number in unknown {
        eventually("it is taken", async || engine.submit(numbered(number)).await.ok()).await;
    }
    let last = eventually("it takes events again", async || engine.submit(numbered(99)).await.ok()).await;
    taken.push(last.id);
    for id in taken {
        eventually("a listener has it", async || engine.reads().record(id).await.unwrap()).await;
        assert_eq!(settled(&engine, id).await.status, Status::Success);
    }
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn over_tls_a_server_is_known_by_the_certificates_of_the_file_that_is_named() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let files = [("ca.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())];
    let settings = format!(
        "listeners.ssl.default = 127.0.0.1:{port}\nssl_options.verify = verify_none\n\
         ssl_options.cacertfile = {0}/ca.pem\nssl_options.certfile = {0}/ca.pem\nssl_options.keyfile = {0}/key.pem\n",
        folder.path().display()
    );
    // The server's own user reads them.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (name, text) in &files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let Some(server) = Server::start_with(&[("settings.conf", settings)]).await else { return };
    let mut rabbit = server.rabbit();
    let plain = std::mem::replace(&mut rabbit.url, format!("amqps://guest:guest@127.0.0.1:{port}/%2f"));
    let (place, calls) = (Place::new(), Calls::default());
    let stranger = rabbit.engine(&place, &calls).await;
    let Err(SubmitError::BusUnavailable(why)) = stranger.submit(numbered(0)).await else { panic!("it was trusted") };
    assert!(why.contains("UnknownIssuer"), "{why}");
    stop(stranger).await;

    let with = async |ca_file: &str| {
        let mut config = place.config();
        rabbit.configure(&mut config);
        config.rabbitmq.ca_file = folder.path().join(ca_file).display().to_string();
        Engine::builder().config(config).handler_fn("*", counting(&calls)).start().await
    };
    let missing = with("none.pem").await.err().unwrap();
    assert!(matches!(missing, Error::Bus(_)) && missing.to_string().contains("none.pem` of `rabbitmq.ca_file`"));
    let engine = with("ca.pem").await.unwrap();
    engine.submit(numbered(1)).await.unwrap();
    until_success(&engine, 1).await;
    stop(engine).await;
    rabbit.url = plain;
    rabbit.end().await;
}
