//! `send --wait`: until the events have come to their end.

use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use super::*;

const ID: &str = "0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11";
const OTHER: &str = "0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f12";

fn record(id: &str, status: &str, final_status: Value) -> Value {
    json!({ "id": id, "event_id": "1", "source": "/s", "type": "demo.hello", "status": status,
            "final_status": final_status, "handler_name": "hello", "attempt_count": 1,
            "created_at": "2026-01-05T08:02:20.000000Z", "completed_at": "2026-01-05T08:02:20.012000Z",
            "attempts": [{ "attempt_number": 1, "status": "SUCCESS" }] })
}

async fn answers(node: &MockServer, id: &str, body: Value) {
    let get = Mock::given(method("GET")).and(path(format!("/api/v1/events/{id}")));
    get.respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(node).await;
}

/// A node that takes this event or these.
async fn node(answer: Value) -> MockServer {
    let node = MockServer::start().await;
    let post = Mock::given(method("POST")).and(path("/api/v1/events"));
    post.respond_with(ResponseTemplate::new(202).set_body_json(answer)).mount(&node).await;
    node
}

fn accepted(id: &str) -> Value {
    json!({ "id": id, "event_id": "1", "source": "/s", "type": "demo.hello", "status": "PENDING", "duplicate": false })
}

#[tokio::test]
async fn a_single_event_is_told_with_its_time_and_its_attempts() {
    let node = node(accepted(ID)).await;
    let get = || Mock::given(method("GET")).and(path(format!("/api/v1/events/{ID}")));
    // Behind a broker the record shows up a little later.
    get().respond_with(ResponseTemplate::new(404)).up_to_n_times(1).mount(&node).await;
    get().respond_with(ResponseTemplate::new(503)).up_to_n_times(1).mount(&node).await;
    let pending = ResponseTemplate::new(200).set_body_json(record(ID, "PROCESSING", Value::Null));
    get().respond_with(pending).up_to_n_times(2).mount(&node).await;
    answers(&node, ID, record(ID, "SUCCESS", json!("COMPLETED"))).await;
    let ran = run(&node.uri(), &["send", "demo.hello", "--wait"]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    assert_eq!(ran.out, format!("accepted {ID} (demo.hello) PENDING\nCOMPLETED after 12 ms, 1 attempt\n"));
}

#[tokio::test]
async fn a_dead_letter_is_status_1() {
    let node = node(accepted(ID)).await;
    let mut dead = record(ID, "FAILED_MAX_RETRY", json!("DEAD_LETTER"));
    dead["attempt_count"] = json!(4);
    dead["completed_at"] = json!("2026-01-05T08:02:27.040000Z");
    dead["error"] = json!("connection refused");
    answers(&node, ID, dead).await;
    let ran = run(&node.uri(), &["send", "demo.fail", "--wait"]).await;
    assert_eq!(ran.exit, Ok(Exit::Failed));
    assert!(ran.out.ends_with("DEAD_LETTER (FAILED_MAX_RETRY) after 7.0 s, 4 attempts: connection refused\n"));
    assert!(ran.err.contains(&format!("evenkeel events get {ID}")));
}

#[tokio::test]
async fn waiting_ends_when_nothing_has_ended_for_the_timeout() {
    let node = node(accepted(ID)).await;
    answers(&node, ID, record(ID, "RETRY_SCHEDULED", Value::Null)).await;
    let ran = run(&node.uri(), &["send", "demo.flaky", "--wait", "--timeout", "5ms"]).await;
    let error = ran.exit.unwrap_err();
    assert!(error.starts_with(&format!("{ID} has not ended within 5 ms. It is not lost")), "{error}");
}

#[tokio::test]
async fn a_file_ends_in_a_table_of_final_statuses() {
    let results = json!([accepted(ID), accepted(OTHER)]);
    let node = node(json!({ "accepted": 2, "duplicates": 0, "invalid": 0, "results": results })).await;
    answers(&node, ID, record(ID, "SUCCESS", json!("COMPLETED"))).await;
    answers(&node, OTHER, record(OTHER, "NO_HANDLER", json!("NO_HANDLER"))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    std::fs::write(&path, "{\"type\":\"a\"}\n{\"type\":\"b\"}\n").unwrap();
    let ran = run(&node.uri(), &["send", "--file", path.to_str().unwrap(), "--wait", "--output", "json"]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    let summary = ran.json();
    assert_eq!(summary["final_statuses"], json!({ "COMPLETED": 1, "NO_HANDLER": 1 }));
    assert_eq!(summary["unfinished"], 0);
}

#[tokio::test]
async fn a_file_whose_events_do_not_end_is_status_1_and_counts_them() {
    let results = json!([accepted(ID), accepted(OTHER)]);
    let node = node(json!({ "accepted": 2, "duplicates": 0, "invalid": 0, "results": results })).await;
    answers(&node, ID, record(ID, "SUCCESS", json!("COMPLETED"))).await;
    answers(&node, OTHER, record(OTHER, "SCHEDULED", Value::Null)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    std::fs::write(&path, "{\"type\":\"a\"}\n{\"type\":\"b\"}\n").unwrap();
    let args = ["send", "--file", path.to_str().unwrap(), "--wait", "--timeout", "5ms"];
    let ran = run(&node.uri(), &args).await;
    assert_eq!(ran.exit, Ok(Exit::Failed));
    assert!(ran.out.contains("COMPLETED          1\n(not ended)        1"), "{}", ran.out);
    assert!(ran.err.contains(OTHER), "{}", ran.err);
}
