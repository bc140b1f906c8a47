//! Requests that are wrong: each has a clear answer, and the good events beside it are not lost. What becomes of
//! malformed events is scenario D.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::harness::Place;
use crate::process::Node;

const EVENTS: &str = "/api/v1/events";

#[actix::test]
async fn other_content_types_and_compressed_bodies_are_refused() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let (status, problem) = node.send("application/xml", "<event/>").await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNSUPPORTED_MEDIA_TYPE, &json!("unsupported_content_type")));
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
