//! Real events, sent as a user sends them: `evenkeel send --file`.

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place};
use crate::process::{Node, attempts, configure, run};
use crate::target::{Reply, Target};

const GITHUB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/github-webhooks.ndjson.gz");
const CHEMICALS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chemical-status.ndjson.gz");

/// Sends a file and waits for the ends of its events; gives the summary.
async fn send(place: &Place, node: &Node, file: &str) -> Value {
    let timeout = format!("{}s", PATIENCE.as_secs());
    let arguments = ["send", "--file", file, "--wait", "--timeout", &timeout, "--output", "json", "--url", &node.url];
    let (code, out, err) = run(place.path(), &arguments).await;
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(&out).unwrap()
}

fn counts(summary: &Value) -> [u64; 4] {
    ["accepted", "duplicates", "invalid", "unfinished"].map(|name| summary[name].as_u64().unwrap())
}

#[actix::test]
async fn all_github_webhooks_are_completed_once_however_often_they_are_sent() {
    let place = Place::new();
    let mut node = Node::dev(&place).await;
    let first = send(&place, &node, GITHUB).await;
    assert_eq!(counts(&first), [329, 0, 0, 0]);
    assert_eq!(first["final_statuses"], json!({ "COMPLETED": 329 }));
    let second = send(&place, &node, GITHUB).await;
    assert_eq!(counts(&second), [0, 329, 0, 0]);

    let records = node.list("").await;
    let (handled, again): (Vec<_>, Vec<_>) = records.iter().partition(|record| record["status"] == "SUCCESS");
    assert_eq!((handled.len(), again.len()), (329, 329));
    assert!(handled.iter().all(|record| record["attempt_count"] == 1));
    let skipped = |record: &&Value| record["final_status"] == "SKIPPED" && record["attempt_count"] == 0;
    assert!(again.iter().all(skipped));
    let outcome = "evenkeel_attempts_total{handler=\"log\",outcome=\"SUCCESS\"}";
    assert_eq!(node.metric(outcome).await, Some(329.0));
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn a_thousand_chemical_changes_are_completed_although_their_target_fails_at_first() {
    let target = Target::new(|delivery| Reply::Now(if delivery.attempt == 1 { 503 } else { 200 }));
    let place = Place::new();
    let handler = target.handler("chemicals", "chemical.*");
    configure(&place, &format!("retry.initial_delay = \"100ms\"\n{handler}concurrency = 20\n"));
    let mut node = Node::serve(&place).await;
    let summary = send(&place, &node, CHEMICALS).await;
    assert_eq!(counts(&summary), [1_000, 0, 0, 0]);
    assert_eq!(summary["final_statuses"], json!({ "COMPLETED": 1_000 }));

    let records = node.list("final_status=COMPLETED&type=chemical.status.changed").await;
    assert_eq!(records.len(), 1_000);
    let retried = |record: &Value| record["retry_count"] == 1 && record["attempt_count"] == 2;
    assert!(records.iter().all(retried));
    assert_eq!(target.seen().len(), 2_000);
    let one = node.record("chem-0001").await;
    assert_eq!((attempts(&one), &one["data"]["name"]), (vec!["FAILED", "SUCCESS"], &json!("fluorosulfonic acid")));
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn lines_that_are_no_events_are_named_and_the_others_are_sent() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let lines =
        "{\"type\":\"demo.hello\"}\n{\"type\":\n{\"type\":\"demo.hello\",\"size\":3}\n{\"type\":\"demo.hello\"}\n";
    std::fs::write(place.path().join("events.ndjson"), lines).unwrap();
    let arguments = ["send", "--file", "events.ndjson", "--wait", "--output", "json", "--url", &node.url];
    let (code, out, err) = run(place.path(), &arguments).await;
    assert_eq!(code, 1, "{err}");
    let summary: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(counts(&summary), [2, 0, 2, 0]);
    let lines: Vec<u64> =
        summary["problems"].as_array().unwrap().iter().map(|problem| problem["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 3]);
    assert_eq!(node.list("status=SUCCESS").await.len(), 2);
}
