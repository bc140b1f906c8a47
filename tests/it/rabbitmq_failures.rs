//! RabbitMQ goes away, answers no more, refuses; the ledger cannot be written: nothing is lost.

use evenkeel::bus::QueueType;
use evenkeel::engine::Error;
use evenkeel::ingest::SubmitError;
use evenkeel::{Engine, NewEvent, Payload};
use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Calls, Place, counting, eventually, numbered, operator, records, stop, until_success};
use crate::line::Mode;
use crate::other::Other;
use crate::process::{Node, configure};
use crate::rabbit::Rabbit;
use crate::target::{Reply, Target};

async fn publish(rabbit: &Rabbit, count: usize) {
    let client = rabbit.client().await;
    for number in 0..count {
        let body = json!({ "type": "t", "id": number.to_string(), "source": "/s" }).to_string();
        client.publish(&rabbit.queue, BasicProperties::default(), body.as_bytes()).await;
    }
}

#[actix::test]
async fn without_the_broker_nothing_is_taken_and_without_its_answer_nobody_knows() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (line, far) = rabbit.over_a_line().await;
    let (place, calls) = (Place::new(), Calls::default());
    let engine = far.engine(&place, &calls).await;
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
    let engine = far.engine(&place, &calls).await;
    let other = Other::hold(&place).await;
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
    other.let_go().await;
    until_success(&engine, 50).await;
    eventually("the queue is taken", async || (client.depth(&rabbit.queue).await == 0).then_some(())).await;
    stop(engine).await;
    // What had come again and was not looked at yet is there still: it is known.
    eventually("nobody listens", async || (client.listeners(&rabbit.queue).await == 0).then_some(())).await;
    let left = u64::from(client.depth(&rabbit.queue).await);
    let engine = far.engine(&place, &calls).await;
    let known = engine.metrics().deliveries.with_label_values(&["redelivered"]);
    eventually("what was left is known", async || (known.get() == left).then_some(())).await;
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
async fn what_is_too_large_for_the_broker_is_refused_and_the_next_is_taken() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (place, calls) = (Place::new(), Calls::default());
    let engine = rabbit.engine(&place, &calls).await;
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

#[actix::test]
async fn a_login_that_rabbitmq_refuses_is_an_error_at_the_start_that_says_what_to_do() {
    let Some(rabbit) = Rabbit::start() else { return };
    for (from, to) in [("guest:guest", "guest:hidden"), ("%2f", "nowhere")] {
        let mut config = Place::new().config();
        let url = rabbit.url.replace(from, to);
        Rabbit::on(url).configure(&mut config);
        let error = Engine::builder().config(config).start().await.err().unwrap();
        assert!(matches!(error, Error::Bus(_)), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("RabbitMQ does not let us in: ") && !text.contains("hidden"), "{text}");
        assert!(text.contains("Correct user, password and virtual host in `rabbitmq.url`"), "{text}");
    }
}

#[actix::test]
async fn a_login_that_is_refused_while_the_engine_runs_is_tried_again_and_its_reason_is_told() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (line, far) = rabbit.over_a_line().await;
    let place = Place::new();
    // The start finds nobody, and so does not hear that the password is wrong.
    line.set(Mode::Cut);
    configure(&place, &far.toml().replace("guest:guest", "guest:hidden"));
    let mut node = Node::serve(&place).await;
    line.set(Mode::Open);
    eventually("the reason is told", async || {
        let (status, ready) = node.text("/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let reason = ready["reasons"][0].as_str().unwrap();
        assert!(reason.starts_with("RabbitMQ takes no events: ") && !reason.contains("hidden"), "{reason}");
        reason.contains("ACCESS_REFUSED").then_some(())
    })
    .await;
    let warned = || node.logged("level", "WARN");
    eventually("the log has it too", async || (warned().len() == 2).then_some(())).await;
    assert!(warned()[1]["why"].to_string().contains("it does not let us in: "), "{:?}", warned());
    let listeners = node.get("/api/v1/actors").await.to_string();
    assert!(listeners.contains("ACCESS_REFUSED"), "{listeners}");
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn of_a_broker_that_goes_away_one_listener_speaks_for_all() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (line, far) = rabbit.over_a_line().await;
    let place = Place::new();
    configure(&place, &far.toml().replace("concurrency = 2", "concurrency = 10"));
    let mut node = Node::serve(&place).await;
    let client = rabbit.client().await;
    for outage in 1..=2 {
        eventually("all listen", async || (client.listeners(&rabbit.queue).await == 10).then_some(())).await;
        line.set(Mode::Cut);
        eventually("none listens", async || (client.listeners(&rabbit.queue).await == 0).then_some(())).await;
        line.set(Mode::Open);
        let back = || node.logged("message", "the broker is listened to again").len();
        eventually("it is told that they are back", async || (back() == outage).then_some(())).await;
        assert_eq!(node.logged("level", "WARN").len(), outage, "{:?}", node.logged("level", "WARN"));
    }
    assert!(node.terminate().await.success());
    rabbit.end().await;
}

#[actix::test]
async fn a_queue_that_is_full_refuses_events_and_loses_none() {
    let Some(rabbit) = Rabbit::start() else { return };
    let client = rabbit.client().await;
    let mut properties = FieldTable::default();
    properties.insert("x-max-length".into(), AMQPValue::LongInt(5));
    properties.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    // A queue that is there is used as it is.
    client.make(&rabbit.queue, properties).await;
    let (place, calls) = (Place::new(), Calls::default());
    let engine = rabbit.engine(&place, &calls).await;
    let other = Other::hold(&place).await;
    // The listeners take theirs and settle nothing.
    let mut taken = 0;
    let refused = loop {
        assert!(taken <= 2 * 10 + 5, "more than the queue and its listeners can hold");
        match engine.submit(numbered(taken)).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SubmitError::BusUnavailable(_)), "{refused}");
    other.let_go().await;
    until_success(&engine, taken).await;
    engine.submit(numbered(taken)).await.unwrap();
    until_success(&engine, taken + 1).await;
    assert_eq!((calls.count(), records(&engine).await), (taken + 1, i64::try_from(taken + 1).unwrap()));
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn a_quorum_queue_delivers_again_as_often_as_it_has_to() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (place, calls) = (Place::new(), Calls::default());
    let engine = async || {
        let mut config = place.config();
        rabbit.configure(&mut config);
        config.rabbitmq.queue_type = QueueType::Quorum;
        Engine::builder().config(config).handler_fn("*", counting(&calls)).start().await.unwrap()
    };
    let first = engine().await;
    first.submit(numbered(0)).await.unwrap();
    until_success(&first, 1).await;
    stop(first).await;
    // RabbitMQ takes the queue for no other kind.
    let client = rabbit.client().await;
    let mut classic = FieldTable::default();
    classic.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let made =
        client.channel.queue_declare(rabbit.queue.as_str().into(), QueueDeclareOptions::durable(), classic).await;
    assert!(made.unwrap_err().to_string().contains("x-queue-type"));

    publish(&rabbit, 10).await;
    // More often than the 20 times after which RabbitMQ 4 drops a message unless it is told not to.
    for _ in 0..22 {
        eventually("all of it comes again", async || {
            (rabbit.client().await.peek(&rabbit.queue).await.len() == 10).then_some(())
        })
        .await;
    }
    let second = engine().await;
    until_success(&second, 10).await;
    let client = rabbit.client().await;
    eventually("all is acked", async || (client.depth(&rabbit.queue).await == 0).then_some(())).await;
    // The first of them had been there before.
    assert_eq!((calls.count(), records(&second).await, client.depth(&rabbit.dlq).await), (10, 11, 0));
    stop(second).await;
    rabbit.end().await;
}

#[actix::test]
async fn two_processes_share_the_events_of_a_queue_and_each_keeps_its_own() {
    let Some(rabbit) = Rabbit::start() else { return };
    let places = [Place::new(), Place::new()];
    let target = Target::new(|_| Reply::Now(200));
    for place in &places {
        configure(place, &format!("{}rabbitmq.prefetch = 5\n{}", rabbit.toml(), target.handler("target", "*")));
    }
    let mut nodes = [Node::serve(&places[0]).await, Node::serve(&places[1]).await];
    let client = rabbit.client().await;
    eventually("all of them listen", async || (client.listeners(&rabbit.queue).await == 4).then_some(())).await;
    publish(&rabbit, 500).await;
    eventually("some are handled", async || (target.seen().len() > 100).then_some(())).await;
    assert!(nodes[0].terminate().await.success());
    // What the one has left to the queue, the other takes; what it has taken waits for it.
    eventually("nothing is left", async || (client.depth(&rabbit.queue).await == 0).then_some(())).await;
    nodes[0] = Node::serve(&places[0]).await;
    eventually("all are handled", async || (target.seen().len() == 500).then_some(())).await;
    let mut ids: Vec<String> = target.seen().into_iter().map(|delivery| delivery.event_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), target.seen().len()), (500, 500));
    let mut kept = Vec::new();
    for node in &mut nodes {
        node.idle().await;
        kept.push(node.count("SUCCESS").await);
        assert!(node.terminate().await.success());
    }
    assert!(kept[0] > 0 && kept[1] > 0 && kept[0] + kept[1] == 500, "{kept:?}");
    rabbit.end().await;
}
