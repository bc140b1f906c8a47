//! Input that is wrong: each has a clear answer, and the good events beside it are not lost.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::harness::Place;
use crate::process::{Node, attempts};

const EVENTS: &str = "/api/v1/events";

/// Posts this body as it is; gives the status and the problem document.
async fn post(node: &Node, content_type: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = node.http.post(format!("{}{EVENTS}", node.url)).header(CONTENT_TYPE, content_type).body(body);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    if !answer.status().is_success() {
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
    }
    (status, answer.json().await.unwrap())
}

/// A body that nothing may be kept of.
async fn refused(node: &Node, body: impl Into<reqwest::Body>) -> (u16, String, Value) {
    let (status, problem) = post(node, "application/json", body).await;
    (status, problem["code"].as_str().unwrap().to_owned(), problem)
}

async fn good(node: &Node, sent: &mut Vec<String>) {
    sent.push(node.submit(&json!({ "type": "demo.hello", "data": { "name": "Ada" } })).await);
}

#[actix::test]
async fn what_is_no_event_is_refused_with_a_code_and_nothing_of_it_is_kept() {
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
        let (answered, word, problem) = refused(&node, body).await;
        assert_eq!((answered, word.as_str()), (status, code), "{start}: {problem}");
        assert!(problem.to_string().contains(named), "{start}: {problem}");
        good(&node, &mut sent).await;
    }
    node.idle().await;
    let records = node.list("").await;
    assert_eq!(records.len(), sent.len(), "only the good events are on record");
    assert!(records.iter().all(|record| record["final_status"] == "COMPLETED"));
}

#[actix::test]
async fn other_content_types_and_compressed_bodies_are_refused() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let (status, problem) = post(&node, "application/xml", "<event/>").await;
    assert_eq!((status, &problem["code"]), (415, &json!("unsupported_content_type")));
    let request = node.http.post(format!("{}{EVENTS}", node.url)).header(CONTENT_TYPE, "application/json");
    let answer = request.header(CONTENT_ENCODING, "gzip").body("{\"type\":\"demo.hello\"}").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "unsupported_content_encoding");
    assert!(node.list("").await.is_empty());
}

#[actix::test]
async fn a_batch_with_one_bad_event_takes_the_others() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let batch = json!([{ "type": "demo.hello" }, { "data": 1 }, { "type": "demo.hello", "id": "third" }]);
    let (status, answer) = node.post(EVENTS, &batch).await;
    assert_eq!(status, StatusCode::MULTI_STATUS, "{answer}");
    assert_eq!((&answer["accepted"], &answer["duplicates"], &answer["invalid"]), (&json!(2), &json!(0), &json!(1)));
    assert_eq!(answer["results"][1]["error"]["code"], "invalid_event");
    assert_eq!(answer["results"][2]["event_id"], "third");
    let (status, answer) = node.post(EVENTS, &json!([{ "data": 1 }, { "type": 7 }])).await;
    assert_eq!((status, &answer["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("no_event_accepted")));
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
    node.until_count("SUCCESS", 2).await;
    assert_eq!(node.list("").await.len(), 2);
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
    assert_eq!((&invalid[0]["duplicate_of"], &invalid[0]["attempt_count"]), (&json!(first), &json!(0)));
    let kept = node.record(invalid[0]["id"].as_str().unwrap()).await;
    assert_eq!(kept["data"], json!({ "n": 2 }), "what was sent is kept");
    assert_eq!(node.metric("evenkeel_alerts_total{alert=\"invalid\"}").await, Some(1.0));
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
    assert_eq!((&record["final_status"], &record["retry_count"]), (&json!("FAILED"), &json!(0)));
    assert_eq!((attempts(&record), &record["data"]), (vec!["FAILED"], &json!({ "failures": "many" })));
    assert!(record["error"].as_str().unwrap().contains("invalid type: string \"many\""), "{record}");
    assert_eq!(node.metric("evenkeel_alerts_total{alert=\"invalid\"}").await, Some(1.0));
    node.until(&healthy, "SUCCESS").await;
}

#[actix::test]
async fn cursors_may_be_empty_and_foreign_ones_are_refused() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    for _ in 0..3 {
        node.submit(&json!({ "type": "demo.hello" })).await;
    }
    let page = node.get(&format!("{EVENTS}?limit=2&cursor=&status=")).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = page["next_cursor"].as_str().unwrap();
    let rest = node.get(&format!("{EVENTS}?limit=2&cursor={next}")).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
    for foreign in ["17", "AAAA", "eyJpZCI6MX0", &next[1..]] {
        let (status, text) = node.text(&format!("{EVENTS}?cursor={foreign}")).await;
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("bad_cursor")), "{foreign}");
    }
}
