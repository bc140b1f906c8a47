//! Scenario D: a malformed event is INVALID, is never retried, and raises an alert.
//!
//! Malformed in every way that there is: bytes that are no event (of which nothing is kept, as the sender still has
//! them), data that breaks its schema, data that its handler cannot read, and an id that was used for other data.

use evenkeel::ingest::{Rejected, SchemaConfig, SubmitError};
use evenkeel::lifecycle::Status;
use evenkeel::{Event, NewEvent};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Calls, Place, settled, stop};
use crate::process::{Node, attempts, configure};
use crate::target::{Reply, Target};

const EVENTS: &str = "/api/v1/events";

const ALERTS: &str = "evenkeel_alerts_total{alert=\"invalid\"}";

/// An order has to have a total, and it may not be negative.
const SCHEMA: &str =
    r#"{"type": "object", "required": ["total"], "properties": {"total": {"type": "integer", "minimum": 0}}}"#;

/// A record that is INVALID, was not retried, and has these attempts.
fn assert_invalid(record: &Value, expected: &[&str]) {
    assert_eq!((&record["status"], &record["final_status"]), (&json!("INVALID"), &json!("FAILED")), "{record}");
    assert_eq!((&record["retry_count"], &record["next_attempt_at"]), (&json!(0), &Value::Null), "{record}");
    assert_eq!(attempts(record), expected);
}

#[actix::test]
async fn data_that_breaks_its_schema_is_invalid_and_never_handled_and_alerts() {
    let target = Target::new(|_| Reply::Now(200));
    let place = Place::new();
    std::fs::write(place.path().join("order.json"), SCHEMA).unwrap();
    let schema = "[[schema]]\ntype = \"order.paid\"\nfile = \"order.json\"\n";
    configure(&place, &format!("{}{schema}", target.handler("billing", "order.*")));
    let mut node = Node::serve(&place).await;
    let event = |total: Value| json!({ "type": "order.paid", "id": "order-1", "data": { "total": total } });

    let (status, problem) = node.post(EVENTS, &event(json!("4711"))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("schema_violation")));
    assert_eq!(problem["errors"][0]["pointer"], "/data/total");
    let id = problem["record"].as_str().unwrap();
    let record = node.record(id).await;
    assert_invalid(&record, &[]);
    assert_eq!((&record["data"], &record["handler_name"]), (&json!({ "total": "4711" }), &json!("billing")));
    assert_eq!(record["error"], problem["detail"]);
    node.until_metric(ALERTS, 1.0).await;
    let alerts = node.logged("alert", "invalid");
    assert_eq!(alerts.len(), 1);
    assert_eq!((&alerts[0]["level"], &alerts[0]["record"]), (&json!("WARN"), &json!(id)));
    assert_eq!((&alerts[0]["event_type"], &alerts[0]["error"]), (&json!("order.paid"), &problem["detail"]));
    assert!(!node.process.err().contains("4711"), "data is not for the log");

    // It holds no id: the corrected event may have it.
    let corrected = node.submit(&event(json!(4711))).await;
    node.until(&corrected, "SUCCESS").await;
    let seen: Vec<String> = target.seen().into_iter().map(|delivery| delivery.record).collect();
    assert_eq!(seen, [corrected]);
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn an_id_that_is_used_again_is_a_duplicate_or_a_conflict_that_alerts() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let event = |n: u32| json!({ "type": "demo.hello", "id": "order-1", "data": { "n": n } });
    let first = node.submit(&event(1)).await;
    node.until(&first, "SUCCESS").await;
    let (status, again) = node.post(EVENTS, &event(1)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!((&again["id"], &again["duplicate"], &again["status"]), (&json!(first), &json!(true), &json!("SUCCESS")));

    let (status, problem) = node.post(EVENTS, &event(2)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("id_reused")), "{problem}");
    let invalid = node.list("status=INVALID").await;
    assert_eq!(invalid.len(), 1);
    let kept = node.record(invalid[0]["id"].as_str().unwrap()).await;
    assert_invalid(&kept, &[]);
    assert_eq!((&kept["duplicate_of"], &kept["data"]), (&json!(first), &json!({ "n": 2 })), "what was sent is kept");
    node.until_metric(ALERTS, 1.0).await;
    assert!(node.process.err().contains("alert=\"invalid\""));
    // By its event id, the record that holds the key is found.
    assert_eq!(node.record("order-1").await["id"], first.as_str());
}

#[actix::test]
async fn data_that_its_handler_cannot_read_is_invalid_at_once_and_alerts() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let malformed = node.submit(&json!({ "type": "demo.flaky", "data": { "failures": "many" } })).await;
    let healthy = node.submit(&json!({ "type": "demo.flaky", "data": { "failures": 0 } })).await;
    let record = node.until(&malformed, "INVALID").await;
    assert_invalid(&record, &["FAILED"]);
    assert_eq!(record["data"], json!({ "failures": "many" }));
    assert!(record["error"].as_str().unwrap().contains("invalid type: string \"many\""), "{record}");
    node.until_metric(ALERTS, 1.0).await;
    assert!(node.process.err().contains("alert=\"invalid\""));
    node.until(&healthy, "SUCCESS").await;
}

async fn good(node: &Node, sent: &mut Vec<String>) {
    sent.push(node.submit(&json!({ "type": "demo.hello", "data": { "name": "Ada" } })).await);
}

#[actix::test]
async fn bytes_that_are_no_event_are_refused_with_a_code_and_nothing_of_them_is_kept() {
    let place = Place::new();
    let (node, mut sent) = (Node::dev(&place).await, Vec::new());
    let nested = format!("{{\"type\":\"a\",\"data\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let event = |name: &str, value: &str| {
        let mut event = json!({ "type": "demo.hello" });
        event[name] = value.into();
        event.to_string()
    };
    for (body, status, code, named) in [
        ("{\"type\":".to_owned(), 400, "malformed_json", ""),
        ("{\"data\":1}".to_owned(), 400, "invalid_event", "type"),
        (event("colour", "blue"), 400, "unknown_member", "colour"),
        (event("id", &"x".repeat(256)), 400, "invalid_event", "id"),
        (event("type", &"x".repeat(256)), 400, "invalid_event", "type"),
        (event("subject", &"x".repeat(1_025)), 400, "invalid_event", "subject"),
        (event("id", "a\0b"), 400, "invalid_event", "id"),
        (event("deliver_at", "tomorrow"), 400, "invalid_event", "deliver_at"),
        (nested, 400, "too_deep", ""),
        ("[]".to_owned(), 400, "empty_batch", ""),
        ("17".to_owned(), 400, "not_an_object", ""),
        (String::new(), 400, "malformed_json", ""),
        (event("subject", &"x".repeat(2 << 20)), 413, "body_too_large", ""),
    ] {
        let start = body.chars().take(40).collect::<String>();
        let (answered, problem) = node.send("application/json", body).await;
        assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{start}: {problem}");
        assert!(problem.to_string().contains(named), "{start}: {problem}");
        good(&node, &mut sent).await;
    }
    node.idle().await;
    let records = node.list("").await;
    assert_eq!(records.len(), sent.len(), "only the good events are on record");
    assert!(records.iter().all(|record| record["final_status"] == "COMPLETED"));
    assert_eq!(node.metric(ALERTS).await, Some(0.0), "the sender knows, and an operator need not");
}

#[actix::test]
async fn an_application_hears_of_a_broken_schema_when_it_submits() {
    let (place, calls) = (Place::new(), Calls::default());
    let file = place.path().join("order.json");
    std::fs::write(&file, SCHEMA).unwrap();
    let mut config = place.config();
    config.schema.push(SchemaConfig { event_type: "order.paid".into(), file: file.display().to_string() });
    let count = calls.clone();
    let handler = move |_: Event<Value>| {
        count.next();
        async { Ok(()) }
    };
    let builder = place.engine().config(config).handler_fn("order.*", handler);
    let emitter = builder.emitter();
    let engine = builder.start().await.unwrap();
    let order = |total: i64| NewEvent::new("order.paid", &json!({ "total": total })).unwrap().id("1");
    let refused = engine.submit(order(-1)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the data breaks the schema of `order.paid`: `/data/total` is less than the minimum of 0"
    );
    let SubmitError::Rejected(Rejected::Schema { record, breach }) = refused else { panic!("{refused:?}") };
    assert_eq!((breach.violations.len(), breach.more), (1, 0));
    assert_eq!(engine.reads().record(record).await.unwrap().unwrap().status, Status::Invalid);

    // What a handler sends is checked as well.
    let refused = emitter.emit(order(-1)).await.unwrap_err().to_string();
    assert!(refused.contains("breaks the schema of `order.paid`"), "{refused}");

    let results = engine.submit_all(vec![order(-1), order(1), order(-2)]).await.unwrap();
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false]);
    let accepted = results[1].as_ref().unwrap();
    assert_eq!((settled(&engine, accepted.id).await.status, calls.count()), (Status::Success, 1));
    stop(engine).await;
}
