//! A handler that hangs, or is paused, keeps its events in the ledger: all are accepted, and the other handlers go on.
//! That memory stays bounded meanwhile is shown in `bus_suite/load.rs`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Place, on_each_ledger};
use crate::process::{Node, configure};
use crate::target::{Reply, Target};

#[actix::test]
async fn hanging_events_that_fill_their_lane_delay_no_other_handler() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let slow: Vec<Value> = (0..200).map(|_| json!({ "type": "demo.slow", "data": { "ms": 600_000 } })).collect();
    let (status, answer) = node.post("/api/v1/events", &slow.into()).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(200)));
    node.until_count("PROCESSING", 10).await;
    let ids: Vec<String> = (0..200).map(|n| format!("hello-{n}")).collect();
    node.submit_all("demo.hello", &ids).await;
    node.until_count("SUCCESS", 200).await;
    let lane = node.handler("slow").await;
    assert_eq!((&lane["in_flight"], &lane["queued"]), (&json!(10), &json!(190)));
}

on_each_ledger!(a_paused_handler_keeps_its_events_through_restarts_and_goes_on_when_it_is_resumed);
async fn a_paused_handler_keeps_its_events_through_restarts_and_goes_on_when_it_is_resumed(place: Place) {
    let target = Target::new(|_| Reply::Now(200));
    configure(&place, &target.handler("target", "*"));
    let mut node = Node::serve(&place).await;
    let (status, paused) = node.post("/api/v1/handlers/target/pause", &json!({})).await;
    assert_eq!((status, &paused["state"]), (StatusCode::OK, &json!("PAUSED")));
    let ids: Vec<String> = (0..150).map(|n| format!("e-{n}")).collect();
    node.submit_all("a", &ids).await;
    node.process.kill9();
    let mut node = Node::serve(&place).await;
    assert_eq!(node.handler("target").await["state"], "PAUSED");
    node.submit(&json!({ "type": "a" })).await;
    assert_eq!((node.count("PENDING").await, target.seen().len()), (151, 0));
    assert!(node.terminate().await.success());

    let node = Node::serve(&place).await;
    assert_eq!((node.count("PENDING").await, target.seen().len()), (151, 0));
    let (status, resumed) = node.post("/api/v1/handlers/target/resume", &json!({})).await;
    assert_eq!((status, &resumed["state"]), (StatusCode::OK, &json!("RUNNING")));
    node.until_count("SUCCESS", 151).await;
    assert_eq!(target.seen().len(), 151);
}
