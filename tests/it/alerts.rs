//! Alerts: one an incident, by log and webhook, over when it is over; the receiver delays nothing and misses nothing.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use evenkeel::clock::Timestamp;
use evenkeel::lifecycle::Status;
use evenkeel::{Bind, Deliver, Event, HandlerError, NewEvent, Payload};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{Place, eventually, operator, settled, stop};
use crate::line::Mode;
use crate::pager::Pager;
use crate::process::{Node, configure, run};
use crate::rabbit::Rabbit;

const EVENTS: &str = "/api/v1/events";

/// An order has to have a total, and it may not be negative.
const SCHEMA: &str =
    r#"{"type": "object", "required": ["total"], "properties": {"total": {"type": "integer", "minimum": 0}}}"#;

/// An event of this type with no data.
fn event(event_type: &str) -> NewEvent {
    NewEvent::raw(event_type, Payload::default())
}

/// A node that takes orders and alerts this pager.
async fn node(place: &Place, pager: &Pager, alerts: &str) -> Node {
    std::fs::write(place.path().join("order.json"), SCHEMA).unwrap();
    let handler = "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"order.*\"]\n";
    let schema = "[[schema]]\ntype = \"order.paid\"\nfile = \"order.json\"\n";
    configure(place, &format!("{}{handler}{schema}", pager.config(alerts)));
    Node::serve(place).await
}

fn order(total: i64) -> Value {
    json!({ "type": "order.paid", "data": { "total": total } })
}

/// The incidents of a node of this kind, newest first.
async fn incidents(node: &Node, alert: &str) -> Vec<Value> {
    let alerts = node.get("/api/v1/alerts").await;
    alerts["items"].as_array().unwrap().iter().filter(|incident| incident["alert"] == alert).cloned().collect()
}

#[actix::test]
async fn a_thousand_invalid_events_of_one_kind_are_one_alert_and_one_end_with_their_count() {
    let (place, pager) = (Place::new(), Pager::new());
    let mut node = node(&place, &pager, "resolve_after = \"2s\"").await;
    let orders: Vec<Value> = (1..=1_000).map(|n| order(-n)).collect();
    let (status, problem) = node.post(EVENTS, &json!(orders)).await;
    assert_eq!((status, &problem["invalid"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(1_000)));

    let told = pager.until_told("invalid", &["raised", "resolved"]).await;
    let (raised, resolved) = (&told[0].body["data"], &told[1].body["data"]);
    assert_eq!(
        (&raised["id"], &raised["key"], &raised["node"]),
        (&resolved["id"], &resolved["key"], &resolved["node"])
    );
    assert_eq!((&raised["state"], &resolved["state"]), (&json!("open"), &json!("resolved")));
    assert_eq!((&resolved["count"], &resolved["event_type"]), (&json!(1_000), &json!("order.paid")));
    let title = "the data breaks the schema of <text>: <text> is less than the minimum of <number>";
    assert_eq!((&resolved["title"], &resolved["severity"]), (&json!(title), &json!("warning")));
    let record = node.record(resolved["record"].as_str().unwrap()).await;
    assert_eq!((&record["status"], &record["error"]), (&json!("INVALID"), &resolved["error"]));

    assert_eq!(node.metric("evenkeel_alerts_total{alert=\"invalid\"}").await, Some(1.0));
    assert_eq!(node.metric("evenkeel_alerts_open{alert=\"invalid\"}").await, Some(0.0));
    let known = incidents(&node, "invalid").await;
    assert_eq!((known.len(), &known[0]["count"], &known[0]["state"]), (1, &json!(1_000), &json!("resolved")));
    assert!(node.terminate().await.success());
    let raised = node.logged("alert", "invalid");
    assert_eq!((raised.len(), &raised[0]["level"], &raised[0]["incident"]), (1, &json!("WARN"), &resolved["id"]));
    let over = node.logged("alert_resolved", "invalid");
    assert_eq!((over.len(), &over[0]["count"]), (1, &json!(1_000)));
    assert_eq!(node.logged("message", "an invalid event arrived").len(), 1_000, "nothing is unsaid");
}

#[actix::test]
async fn a_receiver_that_is_away_for_a_while_delays_no_event_and_misses_no_beginning_and_no_end() {
    let (place, pager) = (Place::new(), Pager::new());
    let mut node = node(&place, &pager, "resolve_after = \"1s\"").await;
    pager.set_away(true);
    assert_eq!(node.post(EVENTS, &order(-1)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    eventually("the pager is asked", async || (pager.turned_away() > 0).then_some(())).await;
    let ids = node.submit_all("order.shipped", &(0..100).map(|n| format!("o-{n}")).collect::<Vec<_>>()).await;
    for id in &ids {
        node.until(id, "SUCCESS").await;
    }
    eventually("the incident is over", async || {
        let known = incidents(&node, "invalid").await;
        (known.first()?["state"] == "resolved").then_some(())
    })
    .await;
    let alerts = node.get("/api/v1/alerts").await;
    assert!(alerts["webhook"]["waiting"].as_u64().unwrap() > 0, "{alerts}");
    assert!(alerts["webhook"]["last_error"].is_string(), "{alerts}");
    assert!(pager.all().is_empty());
    pager.set_away(false);
    let told = pager.until_told("invalid", &["raised", "resolved"]).await;
    assert_ne!(told[0].id, told[1].id, "each letter has an id of its own");
    assert!(node.terminate().await.success());
}

/// Handles everything; it cannot be built while something is missing.
struct Sound;

impl Actor for Sound {
    type Context = Context<Self>;
}

impl Handler<Deliver<Payload>> for Sound {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, _: Deliver<Payload>, _: &mut Context<Self>) -> Self::Result {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// An engine's configuration that alerts this pager.
fn alerting(place: &Place, pager: &Pager) -> evenkeel::Config {
    let mut config = place.config();
    config.alerts.webhook.clone_from(&pager.url);
    config.alerts.secret = Pager::secret();
    config.alerts.allow_private = true;
    config
}

#[actix::test]
async fn a_handler_that_goes_down_and_comes_back_is_raised_once_and_resolved_once() {
    let (place, pager) = (Place::new(), Pager::new());
    let healthy = Arc::new(Semaphore::new(0));
    let heal = Arc::clone(&healthy);
    let factory = move || {
        assert!(healthy.available_permits() > 0, "the configuration is missing");
        Sound
    };
    let engine = place.engine().config(alerting(&place, &pager)).handler_actor("a", factory).start().await.unwrap();
    let id = engine.submit(event("a")).await.unwrap().id;
    let raised = pager.until_told("handler_down", &["raised"]).await.remove(0);
    assert_eq!((&raised.body["data"]["handler"], &raised.body["data"]["count"]), (&json!("a"), &json!(1)));
    assert!(raised.body["data"]["error"].as_str().unwrap().contains("the configuration is missing"), "{raised:?}");
    heal.add_permits(1);
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    let told = pager.until_told("handler_down", &["raised", "resolved"]).await;
    assert_eq!(told[0].body["data"]["id"], told[1].body["data"]["id"]);
    stop(engine).await;
    assert_eq!(pager.told("handler_down").len(), 2);
}

#[actix::test]
async fn a_handler_that_fails_too_often_is_told_of_until_it_does_not() {
    let (place, pager) = (Place::new(), Pager::new());
    let mut config = alerting(&place, &pager);
    (config.alerts.failing_minimum, config.alerts.failing_window) = (4, Duration::from_secs(4));
    config.retry.max_retries = 0;
    let handler = |event: Event<Payload>| async move {
        if event.subject.is_some() { Err(HandlerError::permanent("the bank says no")) } else { Ok(()) }
    };
    let engine = place.engine().config(config).handler_fn("pay", handler).start().await.unwrap();
    let pay = |fails: bool| {
        if fails { event("pay").subject("fails") } else { event("pay") }
    };
    for fails in [true, true, true, false] {
        let id = engine.submit(pay(fails)).await.unwrap().id;
        settled(&engine, id).await;
    }
    let raised = pager.until_told("handler_failing", &["raised"]).await.remove(0);
    let data = &raised.body["data"];
    assert_eq!((&data["handler"], &data["error"]), (&json!("pay"), &json!("3 of 4 attempts failed in 4s")));
    // Three dead letters of one kind are one incident beside it.
    assert_eq!(pager.until_told("dead_letter", &["raised"]).await[0].body["data"]["handler"], "pay");
    pager.until_told("handler_failing", &["raised", "resolved"]).await;
    stop(engine).await;
}

#[actix::test]
async fn an_event_that_waits_too_long_is_told_of_until_it_is_handled() {
    let (place, pager) = (Place::new(), Pager::new());
    let mut config = alerting(&place, &pager);
    config.alerts.oldest_pending = Duration::from_millis(100);
    let succeed = |_: Event<Payload>| async { Ok(()) };
    let engine = place.engine().config(config).handler_fn(Bind::to("wait"), succeed).start().await.unwrap();
    engine.pause("wait", &operator()).await.unwrap();
    let id = engine.submit(event("wait")).await.unwrap().id;
    let raised = pager.until_told("oldest_pending", &["raised"]).await.remove(0);
    assert_eq!(raised.body["data"]["handler"], "wait");
    engine.resume("wait", &operator()).await.unwrap();
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    pager.until_told("oldest_pending", &["raised", "resolved"]).await;
    stop(engine).await;
}

#[actix::test]
async fn a_full_disk_is_told_of_with_its_error_until_there_is_room() {
    let (place, pager) = (Place::new(), Pager::new());
    let handler = "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"order.*\"]\n";
    configure(&place, &format!("{}{handler}", pager.config("grace = \"1s\"")));
    let mut node = Node::serve_limitable(&place).await;
    node.process.limit_files(Some(1 << 10));
    let refused = node.post(EVENTS, &json!({ "type": "order.shipped" })).await.0;
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    let raised = pager.until_told("ledger_unavailable", &["raised"]).await.remove(0);
    let data = &raised.body["data"];
    assert_eq!((&data["severity"], &data["handler"]), (&json!("critical"), &Value::Null));
    assert!(data["error"].as_str().unwrap().contains("disk"), "{data}");
    node.process.limit_files(None);
    pager.until_told("ledger_unavailable", &["raised", "resolved"]).await;
    node.submit(&json!({ "type": "order.shipped" })).await;
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn a_broker_that_is_away_is_told_of_and_so_are_the_listeners_that_hear_nothing() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (line, far) = rabbit.over_a_line().await;
    let (place, pager) = (Place::new(), Pager::new());
    let handler = "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"*\"]\n";
    configure(&place, &format!("{}{}{handler}", far.toml(), pager.config("grace = \"1s\"")));
    let mut node = Node::serve(&place).await;
    node.submit(&json!({ "type": "t" })).await;
    line.set(Mode::Cut);
    pager.until_told("broker_away", &["raised"]).await;
    let raised = pager.until_told("listener_down", &["raised"]).await.remove(0);
    let error = raised.body["data"]["error"].as_str().unwrap();
    assert!(error.starts_with("2 of 2 listeners: "), "{error}");
    line.set(Mode::Open);
    pager.until_told("broker_away", &["raised", "resolved"]).await;
    pager.until_told("listener_down", &["raised", "resolved"]).await;
    node.idle().await;
    assert!(node.terminate().await.success());
    rabbit.end().await;
}

/// Pauses the handler on all nodes and sends it an event, which waits then.
async fn let_one_wait(nodes: &[&Node]) {
    assert_eq!(nodes[0].post("/api/v1/handlers/log/pause", &json!({})).await.0, StatusCode::OK);
    for node in nodes {
        let is_paused = async || (node.handler("log").await["state"] == "PAUSED").then_some(());
        eventually("the node obeys the pause", is_paused).await;
    }
    nodes[0].submit(&json!({ "type": "order.shipped", "id": "waits" })).await;
}

fn moment(incident: &Value, member: &str) -> Timestamp {
    serde_json::from_value(incident[member].clone()).unwrap()
}

#[actix::test]
async fn what_still_holds_after_a_kill_9_is_raised_anew_under_the_same_key() {
    let (place, pager) = (Place::new(), Pager::new());
    let mut node = node(&place, &pager, "oldest_pending = \"100ms\"").await;
    let_one_wait(&[&node]).await;
    pager.until_told("oldest_pending", &["raised"]).await;
    node.process.kill9();
    let mut node = Node::serve(&place).await;
    let told = pager.until_told("oldest_pending", &["raised", "raised"]).await;
    let [before, after] = [0, 1].map(|n| &told[n].body["data"]);
    assert_eq!(before["key"], after["key"]);
    assert_ne!(before["id"], after["id"]);
    // A stop mends nothing either, and says of nothing that it is over.
    assert!(node.terminate().await.success());
    assert_eq!(pager.told("oldest_pending").len(), 2);
}

#[actix::test]
async fn of_two_nodes_one_tells_how_long_events_wait_and_the_other_when_it_is_gone() {
    let Some(place) = Place::on_postgres() else { return };
    let pager = Pager::new();
    std::fs::write(place.path().join("order.json"), SCHEMA).unwrap();
    let handler = "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"order.*\"]\n";
    let alerts = pager.config("oldest_pending = \"100ms\"");
    configure(&place, &format!("database.lease = \"2s\"\n{alerts}{handler}"));
    let mut elder = Node::serve(&place).await;
    let mut younger = Node::serve(&place).await;
    let_one_wait(&[&younger, &elder]).await;
    pager.until_told("oldest_pending", &["raised"]).await;
    // Long enough for both to have looked again.
    eventually("the elder has looked again and again", async || {
        let incident = incidents(&elder, "oldest_pending").await.pop()?;
        let seen = moment(&incident, "last_seen").since(moment(&incident, "first_seen"));
        (seen > Duration::from_secs(9)).then_some(())
    })
    .await;
    assert_eq!(incidents(&younger, "oldest_pending").await, Vec::<Value>::new());
    elder.process.kill9();
    let told = pager.until_told("oldest_pending", &["raised", "raised"]).await;
    assert_ne!(told[0].body["data"]["node"], told[1].body["data"]["node"]);
    assert!(younger.terminate().await.success());
}

#[actix::test]
async fn a_test_goes_where_alerts_go_and_is_in_the_audit_log() {
    let (place, pager) = (Place::new(), Pager::new());
    let mut node = node(&place, &pager, "").await;
    let url = node.url.clone();
    let alerts = |more: &'static [&'static str]| {
        let arguments: Vec<&str> = ["alerts"].into_iter().chain(more.iter().copied()).collect();
        let arguments: Vec<String> =
            arguments.into_iter().map(str::to_owned).chain(["--url".to_owned(), url.clone()]).collect();
        let folder = place.path().to_owned();
        async move { run(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let (code, out, _) = alerts(&["test", "--reason", "is it on?"]).await;
    assert_eq!((code, &*out), (0, "The webhook took the test.\n"));
    let test = pager.all().remove(0);
    assert_eq!((test.word(), test.body["data"]["operator"].as_str()), ("test", Some("api@127.0.0.1")));
    let audit = node.get("/api/v1/audit?action=test_alerts").await;
    assert_eq!((&audit["items"][0]["reason"], &audit["items"][0]["target"]), (&json!("is it on?"), &json!("alerts")));
    pager.set_away(true);
    let (code, out, _) = alerts(&["test"]).await;
    assert_eq!(code, 1);
    assert!(out.starts_with("The webhook did not take the test: "), "{out}");
    assert_eq!(node.post(EVENTS, &order(-1)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    eventually("the alert is listed", async || {
        let (_, out, _) = alerts(&[]).await;
        (out.contains("open") && out.contains("invalid") && out.contains("order.paid")).then_some(())
    })
    .await;
    pager.set_away(false);
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn without_a_webhook_a_test_is_in_the_log_only() {
    let place = Place::new();
    configure(&place, "");
    let mut node = Node::serve(&place).await;
    let (status, tested) = node.post("/api/v1/alerts/test", &json!({})).await;
    assert_eq!((status, tested), (StatusCode::OK, json!({ "webhook": "not_configured", "error": null })));
    assert_eq!(node.get("/api/v1/alerts").await, json!({ "items": [], "webhook": null }));
    assert!(node.terminate().await.success());
    assert_eq!(node.logged("alert", "test").len(), 1);
}
