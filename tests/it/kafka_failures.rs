//! Kafka goes away, answers no more, delivers again, gives partitions to others; the ledger cannot be written; processes
//! are killed: nothing is lost.

use std::cell::Cell;
use std::time::Duration;

use evenkeel::ingest::SubmitError;
use evenkeel::{Engine, NewEvent, Payload};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Calls, Place, counting, eventually, numbered, operator, records, stop, until_success};
use crate::kafka_broker::{Kafka, Server};
use crate::process::{Node, configure};

const LOG: &str = "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"*\"]\n";

async fn engine(place: &Place, kafka: &Kafka, calls: &Calls) -> Engine {
    let mut config = place.config();
    kafka.configure(&mut config);
    Engine::builder().config(config).handler_fn("*", counting(calls)).start().await.unwrap()
}

async fn publish(kafka: &Kafka, numbers: std::ops::Range<usize>) {
    let client = kafka.client();
    let bodies: Vec<String> =
        numbers.map(|number| json!({ "type": "t", "id": number.to_string(), "source": "/s" }).to_string()).collect();
    let sent = bodies.iter().map(|body| client.publish(&kafka.topic, &[], Some(body.as_bytes())));
    futures_util::future::join_all(sent).await;
}

async fn until_no_lag(kafka: &Kafka) {
    eventually("all offsets are committed", async || (kafka.lag() == 0).then_some(())).await;
}

/// How many records of a node stand in each of these.
async fn counts<const N: usize>(node: &Node, statuses: [&str; N]) -> [u64; N] {
    let stats = node.get("/api/v1/stats").await;
    statuses.map(|status| stats["by_status"][status].as_u64().unwrap())
}

#[actix::test]
async fn what_was_committed_before_a_kill_comes_again_and_is_neither_handled_nor_kept_twice() {
    let Some(kafka) = Kafka::start() else { return };
    let place = Place::new();
    // The offsets are not committed before the kill.
    configure(&place, &format!("{}auto.commit.interval.ms = 600000\n{LOG}", kafka.toml()));
    let mut node = Node::serve(&place).await;
    publish(&kafka, 0..100).await;
    // A duplicate and a message that is no event hold no key.
    publish(&kafka, 0..1).await;
    kafka.client().publish(&kafka.topic, &[], Some(b"poison")).await;
    let all = ["SUCCESS", "DUPLICATE", "INVALID"];
    eventually("all is in the ledger", async || (counts(&node, all).await == [100, 1, 1]).then_some(())).await;
    node.process.kill9();
    assert_eq!(kafka.lag(), 102);
    let mut node = Node::serve(&place).await;
    eventually("all of it has come again", async || {
        let metrics = node.http.get(format!("{}/metrics", node.url)).send().await.unwrap().text().await.unwrap();
        metrics.lines().any(|line| line.contains("outcome=\"redelivered\"") && line.ends_with(" 102")).then_some(())
    })
    .await;
    assert_eq!(counts(&node, all).await, [100, 1, 1]);
    node.process.signal(Signal::TERM);
    assert!(node.process.ended().await.success());
    let rows = place.rows("SELECT 1 FROM event_attempt").await.len();
    assert_eq!(rows, 100, "every event was handled once");
    kafka.end().await;
}

#[actix::test]
async fn above_max_pending_the_topic_keeps_the_rest() {
    let Some(kafka) = Kafka::start() else { return };
    let (place, calls) = (Place::new(), Calls::default());
    let mut config = place.config();
    kafka.configure(&mut config);
    config.listener.max_pending = 50;
    let engine = Engine::builder().config(config).handler_fn("*", counting(&calls)).start().await.unwrap();
    engine.pause("*", &operator()).await.unwrap();
    publish(&kafka, 0..100).await;
    eventually("the listeners pause", async || (records(&engine).await >= 50).then_some(())).await;
    // A batch has 500 messages at most, and each listener may have one more.
    publish(&kafka, 100..4_000).await;
    assert!(records(&engine).await <= 1_100);
    assert!(kafka.lag() >= 2_900);
    engine.resume("*", &operator()).await.unwrap();
    until_success(&engine, 4_000).await;
    assert_eq!(calls.count(), 4_000);
    stop(engine).await;
    kafka.end().await;
}

#[actix::test]
async fn a_broker_that_is_stopped_or_killed_under_load_loses_nothing_and_gets_its_listeners_back() {
    let Some(server) = Server::start() else { return };
    let kafka = server.kafka();
    let (place, calls) = (Place::new(), Calls::default());
    let engine = engine(&place, &kafka, &calls).await;
    let mut sent = 0;
    let load = async {
        while sent < 6_000 {
            let batch: Vec<NewEvent> = (sent..sent + 50).map(numbered).collect();
            match engine.submit_all(batch).await {
                Ok(_) => sent += 50,
                // The same events again: what was taken is recognised by its id.
                Err(SubmitError::Unconfirmed(_)) => {}
                Err(error) => {
                    assert!(matches!(error, SubmitError::BusUnavailable(_)), "{error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    };
    let faults = async {
        let mut server = server;
        for (least, end) in [(500, Server::stop as fn(&Server)), (2_000, Server::kill9)] {
            eventually("the load is on", async || (calls.count() > least).then_some(())).await;
            server = tokio::task::spawn_blocking(move || {
                end(&server);
                server.resume();
                server
            })
            .await
            .unwrap();
        }
        server
    };
    let ((), _server) = futures_util::join!(load, faults);
    until_success(&engine, 6_000).await;
    assert_eq!(calls.count(), 6_000);
    until_no_lag(&kafka).await;
    stop(engine).await;
}

#[actix::test]
async fn without_kafka_nothing_is_taken_and_without_its_answer_nobody_knows() {
    let Some(server) = Server::start() else { return };
    let kafka = server.kafka();
    let place = Place::new();
    configure(&place, &format!("{}{LOG}", kafka.toml()));
    let mut node = Node::serve(&place).await;
    let code = async |id: &str| {
        let event = json!({ "type": "t", "id": id, "source": "/s" });
        let answer = node.http.post(format!("{}/api/v1/events", node.url)).json(&event).send().await.unwrap();
        let status = answer.status();
        (status, answer.json::<Value>().await.unwrap()["code"].as_str().map(str::to_owned))
    };
    let ready = async || node.http.get(format!("{}/readyz", node.url)).send().await.unwrap().status();
    assert_eq!((code("1").await, ready().await), ((StatusCode::ACCEPTED, None), StatusCode::OK));
    server.signal(Signal::STOP);
    assert_eq!(code("2").await, (StatusCode::SERVICE_UNAVAILABLE, Some("outcome_unknown".to_owned())));
    assert_eq!(code("3").await, (StatusCode::SERVICE_UNAVAILABLE, Some("bus_unavailable".to_owned())));
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    server.signal(Signal::CONT);
    eventually("it is taken again", async || (code("2").await.0 == StatusCode::ACCEPTED).then_some(())).await;
    eventually("the node is ready", async || (ready().await == StatusCode::OK).then_some(())).await;
    eventually("one and two are handled", async || (counts(&node, ["SUCCESS"]).await == [2]).then_some(())).await;
    node.process.signal(Signal::TERM);
    assert!(node.process.ended().await.success());
}

#[actix::test]
async fn what_is_too_large_for_kafka_is_refused_and_the_next_is_taken() {
    let Some(kafka) = Kafka::start() else { return };
    let (place, calls) = (Place::new(), Calls::default());
    let engine = engine(&place, &kafka, &calls).await;
    let payload = Payload { content_type: Some("text/plain".into()), bytes: Some(vec![b'x'; 2 << 20].into()) };
    // Of a batch with one that is too large, none is taken.
    let refused = engine.submit_all(vec![numbered(1), NewEvent::raw("t", payload)]).await;
    let Err(SubmitError::BusUnavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.starts_with("the message is too large for the broker: "), "{why}");
    engine.submit(numbered(2)).await.unwrap();
    until_success(&engine, 1).await;
    assert_eq!(records(&engine).await, 1);
    stop(engine).await;
    kafka.end().await;
}

/// Every node has a ledger of its own, so that what one of them had taken in and not committed the next may handle again.
#[actix::test]
async fn three_processes_that_come_and_go_under_load_lose_nothing_and_nothing_is_stuck() {
    let Some(kafka) = Kafka::start() else { return };
    let kafka = kafka.with_partitions(6).await;
    let places = [Place::new(), Place::new(), Place::new()];
    places.iter().for_each(|place| configure(place, &format!("{}{LOG}", kafka.toml())));
    let mut first = Node::serve(&places[0]).await;
    let (done, mut sent) = (Cell::new(false), 0);
    let load = async {
        while !done.get() {
            publish(&kafka, sent..sent + 20).await;
            sent += 20;
            // A pace that three ledgers of a debug build keep up with.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let changes = async {
        let mut second = Node::serve(&places[1]).await;
        let mut third = Node::serve(&places[2]).await;
        until_more(&second).await;
        until_more(&third).await;
        second.process.kill9();
        first.process.signal(Signal::TERM);
        assert!(first.process.ended().await.success());
        let first = Node::serve(&places[0]).await;
        let second = Node::serve(&places[1]).await;
        third.process.signal(Signal::TERM);
        assert!(third.process.ended().await.success());
        let third = Node::serve(&places[2]).await;
        for node in [&first, &second, &third] {
            until_more(node).await;
        }
        done.set(true);
        [first, second, third]
    };
    let ((), nodes) = futures_util::join!(load, changes);
    until_no_lag(&kafka).await;
    for mut node in nodes {
        node.idle().await;
        node.process.signal(Signal::TERM);
        assert!(node.process.ended().await.success());
    }
    let mut completed = std::collections::BTreeSet::new();
    for place in &places {
        assert_eq!(place.rows("SELECT 1 FROM event_record WHERE final_status IS NULL").await.len(), 0);
        for row in place.rows("SELECT event_id FROM event_record WHERE status = 'SUCCESS'").await {
            completed.insert(row.try_get::<String>("", "event_id").unwrap());
        }
    }
    assert_eq!(completed.len(), sent);
    kafka.end().await;
}

/// It has partitions, and takes in what comes.
async fn until_more(node: &Node) {
    let [before] = counts(node, ["SUCCESS"]).await;
    eventually("it takes part", async || (counts(node, ["SUCCESS"]).await[0] > before).then_some(())).await;
}
