//! A handler that hangs, or is paused, keeps its events in the ledger: all are accepted, memory stays bounded, and the
//! other handlers go on.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Place, on_each_ledger};
use crate::process::{Node, configure};
use crate::target::{Reply, Target};

/// The memory that a process occupies, in KiB.
fn resident(node: &Node) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends so many events with this much data each.
async fn send(node: &Node, event_type: &str, count: usize, kibibytes: usize) {
    let data = "x".repeat(kibibytes << 10);
    let batch = 900 / kibibytes;
    for start in (0..count).step_by(batch) {
        let events = (start..count.min(start + batch)).map(|_| json!({ "type": event_type, "data": data }));
        let (status, answer) = node.post("/api/v1/events", &events.collect()).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }
}

async fn handler(node: &Node, name: &str) -> Value {
    let handlers = node.get("/api/v1/handlers").await;
    handlers["items"].as_array().unwrap().iter().find(|handler| handler["name"] == name).unwrap().clone()
}

on_each_ledger!(three_thousand_events_for_a_hanging_handler_are_accepted_and_memory_stays_bounded);
async fn three_thousand_events_for_a_hanging_handler_are_accepted_and_memory_stays_bounded(place: Place) {
    let target = Target::new(|_| Reply::Hold);
    let healthy = "[[handler]]\nname = \"healthy\"\nkind = \"log\"\ntypes = [\"healthy\"]\n";
    let hanging = target.handler("hanging", "hang");
    let log = "telemetry.log_level = \"warn\"\n";
    configure(&place, &format!("{log}{healthy}{hanging}concurrency = 5\nqueue_capacity = 100\n"));
    let node = Node::serve(&place).await;
    // First SQLite's cache, which has a bound of its own, is filled by events that end.
    send(&node, "healthy", 1_400, 50).await;
    node.idle().await;
    let before = resident(&node);
    send(&node, "hang", 3_000, 10).await;
    let grown = resident(&node).saturating_sub(before);
    println!("{before} KiB before, {grown} KiB more after 30,000 KiB of data");
    assert!(grown < 15_000, "{grown} KiB more after 30,000 KiB of data");

    target.until_in_hand(5).await;
    let lane = handler(&node, "hanging").await;
    assert_eq!((&lane["in_flight"], &lane["queued"], &lane["queue_capacity"]), (&json!(5), &json!(2_995), &json!(100)));
    for _ in 0..20 {
        let id = node.submit(&json!({ "type": "healthy" })).await;
        node.until(&id, "SUCCESS").await;
    }
    assert_eq!(target.in_hand().len(), 5);
}

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
    let lane = handler(&node, "slow").await;
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
    assert_eq!(handler(&node, "target").await["state"], "PAUSED");
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
