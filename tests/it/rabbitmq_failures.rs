//! RabbitMQ goes away, answers no more, refuses; the ledger cannot be written: nothing is lost.

use std::time::Duration;

use evenkeel::engine::Error;
use evenkeel::ingest::SubmitError;
use evenkeel::lifecycle::Status;
use evenkeel::{Engine, Event, HandlerError, NewEvent, Payload};
use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Calls, Place, eventually, operator, stop};
use crate::line::Mode;
use crate::process::{Node, configure};
use crate::rabbit::{Rabbit, Server};

pub fn counting(calls: &Calls) -> impl Fn(Event<Payload>) -> std::future::Ready<Result<(), HandlerError>> + use<> {
    let calls = calls.clone();
    move |_| {
        calls.next();
        std::future::ready(Ok(()))
    }
}

async fn engine(place: &Place, rabbit: &Rabbit, calls: &Calls) -> Engine {
    let mut config = place.config();
    rabbit.configure(&mut config);
    config.rabbitmq.prefetch = 10;
    Engine::builder().config(config).handler_fn("*", counting(calls)).start().await.unwrap()
}

pub fn numbered(number: usize) -> NewEvent {
    NewEvent::raw("t", Payload::json(number.to_string())).id(number.to_string()).source("/s")
}

async fn publish(rabbit: &Rabbit, count: usize) {
    let client = rabbit.client().await;
    for number in 0..count {
        let body = json!({ "type": "t", "id": number.to_string(), "source": "/s" }).to_string();
        client.publish(&rabbit.queue, BasicProperties::default(), body.as_bytes()).await;
    }
}

pub async fn records(engine: &Engine) -> i64 {
    engine.reads().counts().await.unwrap().values().sum()
}

pub async fn until_success(engine: &Engine, expected: usize) {
    let expected = i64::try_from(expected).unwrap();
    eventually("all of it succeeds", async || {
        let counts = engine.reads().counts().await.unwrap();
        let done: i64 = counts.iter().filter(|((_, of), _)| *of == Status::Success).map(|(_, n)| n).sum();
        (done == expected).then_some(())
    })
    .await;
}

#[actix::test]
async fn without_the_broker_nothing_is_taken_and_without_its_answer_nobody_knows() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (line, far) = rabbit.over_a_line().await;
    let (place, calls) = (Place::new(), Calls::default());
    let engine = engine(&place, &far, &calls).await;
    engine.submit(numbered(0)).await.unwrap();
    line.set(Mode::Mute);
    let asked = engine.submit(numbered(1));
    let answered = async {
        // It may have the message by then, or not yet: nobody here can tell.
        eventually("RabbitMQ says something", async || (line.swallowed() > 0).then_some(())).await;
        line.set(Mode::Cut);
    };
    let (unknown, ()) = futures_util::join!(asked, answered);
    assert!(matches!(unknown, Err(SubmitError::Unconfirmed(_))), "{unknown:?}");
    let away = engine.submit(numbered(2)).await;
    assert!(matches!(away, Err(SubmitError::BusUnavailable(_))), "{away:?}");
    line.set(Mode::Open);
    // What nobody knew of is sent again with its id, as the error says: then it is there, and it is handled once.
    eventually("it is taken again", async || engine.submit(numbered(1)).await.ok()).await;
    until_success(&engine, 2).await;
    engine.submit(numbered(3)).await.unwrap();
    // Zero, one and three; two was not taken.
    until_success(&engine, 3).await;
    assert_eq!(calls.count(), 3);
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn over_http_a_broker_that_is_away_is_a_503_with_a_code_and_the_node_is_not_ready() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (line, far) = rabbit.over_a_line().await;
    let place = Place::new();
    let handler = "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"*\"]\n";
    configure(&place, &format!("{}{handler}", far.toml()));
    let mut node = Node::serve(&place).await;
    let (status, accepted) = node.post("/api/v1/events", &json!({ "type": "t", "id": "1" })).await;
    assert_eq!((status, &accepted["status"]), (StatusCode::ACCEPTED, &json!("PENDING")));
    let url = format!("{}/api/v1/events/{}", node.url, accepted["id"].as_str().unwrap());
    eventually("a listener has taken it in", async || {
        let answer = node.http.get(&url).send().await.unwrap();
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
    node.until(accepted["id"].as_str().unwrap(), "SUCCESS").await;
    let ready: serde_json::Value =
        node.http.get(format!("{}/readyz", node.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(ready["checks"]["rabbitmq"], json!("ok"));
    line.set(Mode::Cut);
    eventually("the node is not ready", async || {
        let answer = node.http.get(format!("{}/readyz", node.url)).send().await.unwrap();
        (answer.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    let answer = node.http.post(format!("{}/api/v1/events", node.url)).json(&json!({ "type": "t" })).send().await;
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"2".parse().unwrap())
    );
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], "bus_unavailable");
    node.process.signal(Signal::TERM);
    assert!(node.process.ended().await.success());
    rabbit.end().await;
}

#[actix::test]
async fn while_the_ledger_cannot_be_written_the_broker_keeps_everything() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (line, far) = rabbit.over_a_line().await;
    let (place, calls) = (Place::new(), Calls::default());
    let engine = engine(&place, &far, &calls).await;
    let other = rusqlite::Connection::open(place.path().join("evenkeel.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    publish(&rabbit, 50).await;
    // Two listeners with ten messages each, and no more: nobody acks what is in no ledger.
    let client = rabbit.client().await;
    eventually("the listeners have taken theirs", async || (client.depth(&rabbit.queue).await == 30).then_some(()))
        .await;
    // What they hold goes back and comes again, while their first accept is still on its way.
    line.set(Mode::Cut);
    eventually("RabbitMQ has all of it", async || (client.depth(&rabbit.queue).await == 50).then_some(())).await;
    line.set(Mode::Open);
    assert_eq!(calls.count(), 0);
    other.execute_batch("ROLLBACK").unwrap();
    until_success(&engine, 50).await;
    eventually("all is acked", async || (client.depth(&rabbit.queue).await == 0).then_some(())).await;
    assert_eq!((calls.count(), records(&engine).await), (50, 50));
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn above_max_pending_the_broker_keeps_the_rest() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (place, calls) = (Place::new(), Calls::default());
    let mut config = place.config();
    rabbit.configure(&mut config);
    (config.rabbitmq.prefetch, config.listener.max_pending) = (10, 50);
    let engine = Engine::builder().config(config).handler_fn("*", counting(&calls)).start().await.unwrap();
    engine.pause("*", &operator()).await.unwrap();
    publish(&rabbit, 300).await;
    let client = rabbit.client().await;
    // A listener looks before each batch of ten, so that both may go beyond it by one batch, and hold another.
    let least = 300 - 50 - 4 * 10;
    eventually("the listeners pause", async || (records(&engine).await >= 50).then_some(())).await;
    assert!(client.depth(&rabbit.queue).await >= least && records(&engine).await <= 70);
    engine.resume("*", &operator()).await.unwrap();
    until_success(&engine, 300).await;
    assert_eq!(calls.count(), 300);
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn a_broker_that_is_restarted_under_load_loses_nothing_and_gets_its_listeners_back() {
    let Some(server) = Server::start() else { return };
    let rabbit = server.rabbit();
    let (place, calls) = (Place::new(), Calls::default());
    let engine = engine(&place, &rabbit, &calls).await;
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
    let restart = async {
        eventually("the load is on", async || (calls.count() > 200).then_some(())).await;
        tokio::task::spawn_blocking(move || {
            server.stop();
            server.resume();
            server
        })
        .await
        .unwrap()
    };
    let ((), _server) = futures_util::join!(load, restart);
    until_success(&engine, 2_000).await;
    assert_eq!(calls.count(), 2_000, "{unknown} batches were sent again without an answer");
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn what_is_too_large_for_the_broker_is_refused_and_the_next_is_taken() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (place, calls) = (Place::new(), Calls::default());
    let engine = engine(&place, &rabbit, &calls).await;
    // RabbitMQ takes 128 MiB unless it is told otherwise.
    let payload = Payload { content_type: Some("text/plain".into()), bytes: Some(vec![b'x'; 129 << 20].into()) };
    let refused = engine.submit(NewEvent::raw("t", payload)).await;
    let Err(SubmitError::BusUnavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.starts_with("the message is too large for the broker: "), "{why}");
    let wide = NewEvent::raw("t", Payload::default()).extension("wide", "x".repeat(100_000));
    let Err(SubmitError::BusUnavailable(why)) = engine.submit(wide).await else { panic!("it was taken") };
    assert!(why.contains("its headers have 100"), "{why}");
    engine.submit(numbered(1)).await.unwrap();
    until_success(&engine, 1).await;
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn a_queue_that_cannot_be_used_is_named_at_the_start() {
    let Some(rabbit) = Rabbit::start() else { return };
    let client = rabbit.client().await;
    let exclusive = QueueDeclareOptions::exclusive();
    client.channel.queue_declare(rabbit.queue.as_str().into(), exclusive, FieldTable::default()).await.unwrap();
    let mut config = Place::new().config();
    rabbit.configure(&mut config);
    let error = Engine::builder().config(config).start().await.err().unwrap();
    assert!(matches!(error, Error::Bus(_)), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("the queue `{}` of RabbitMQ cannot be used: ", rabbit.queue)), "{text}");
}
