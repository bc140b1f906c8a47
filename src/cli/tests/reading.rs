//! `events` and `stats`: what is asked, and how the answer looks.

use serde_json::json;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use super::*;

const ID: &str = "0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11";

fn item() -> Value {
    json!({
        "id": ID, "event_id": "order/4711", "source": "/shop", "type": "order.paid", "subject": null,
        "status": "FAILED_MAX_RETRY", "final_status": "DEAD_LETTER", "handler_name": "billing", "attempt_count": 2,
        "error": "connection refused", "created_at": "2026-01-05T07:59:20.000000Z",
        "origin": { "bus": "kafka", "topic": "event-topic", "partition": 3, "offset": 42 },
    })
}

#[tokio::test]
async fn a_list_asks_with_the_given_filters_only_and_names_the_next_page() {
    let node = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/v1/events"))
        .and(query_param("final_status", "DEAD_LETTER"))
        .and(query_param("since", "2026-01-05T07:47:20.000000Z"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "items": [item()], "next_cursor": "abc" })))
        .mount(&node)
        .await;
    let ran = run(&node.uri(), &["events", "ls", "--final-status", "dead_letter", "--since", "15m"]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    insta::assert_snapshot!(ran.out, @r#"
    ID                                    EVENT ID    TYPE        STATUS            HANDLER  ATTEMPTS  ACCEPTED
    0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11  order/4711  order.paid  FAILED_MAX_RETRY  billing         2  3 min ago (2026-01-05 07:59:20Z)
    "#);
    assert_eq!(ran.err, "There are more: ask again with --cursor abc\n");
    let asked = node.received_requests().await.unwrap();
    assert_eq!(asked[0].url.query_pairs().count(), 2);
}

#[tokio::test]
async fn data_that_no_program_can_hold_is_shown_as_it_was_received() {
    let node = MockServer::start().await;
    for data in [r#"{"n":1e400}"#, r#""\ud800""#, "123456789012345678901234567890.10"] {
        node.reset().await;
        let body = format!(r#"{{"id":"{ID}","status":"SUCCESS","data":{data},"attempts":[]}}"#);
        let answer = ResponseTemplate::new(200).set_body_raw(body, "application/json");
        Mock::given(path(format!("/api/v1/events/{ID}"))).respond_with(answer).mount(&node).await;
        let ran = run(&node.uri(), &["events", "get", ID]).await;
        assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
        let shown: String = ran.out.split_whitespace().collect();
        assert!(shown.contains(data), "{}", ran.out);
    }
}

#[tokio::test]
async fn a_list_as_json_is_the_answer_itself() {
    let node = MockServer::start().await;
    let page = json!({ "items": [item()], "next_cursor": null });
    Mock::given(path("/api/v1/events"))
        .respond_with(ResponseTemplate::new(200).set_body_json(page.clone()))
        .mount(&node)
        .await;
    assert_eq!(run(&node.uri(), &["events", "ls", "--output", "json"]).await.json(), page);
}

#[tokio::test]
async fn a_node_that_has_looked_at_enough_for_one_answer_is_asked_to_go_on() {
    let node = MockServer::start().await;
    let page = |items: Value, cursor: Value, until: Value| {
        let page = json!({ "items": items, "next_cursor": cursor, "searched_until": until });
        ResponseTemplate::new(200).set_body_json(page)
    };
    let until = json!("2026-01-05T07:59:20.000000Z");
    let at = |cursor: &str, limit: &str| {
        let asked = Mock::given(path("/api/v1/events")).and(query_param("error", "refused"));
        asked.and(query_param("limit", limit)).and(query_param("cursor", cursor))
    };
    at("b", "2").respond_with(page(json!([item()]), json!("c"), until.clone())).mount(&node).await;
    at("c", "1").respond_with(page(json!([item()]), json!("d"), Value::Null)).mount(&node).await;
    let first = Mock::given(path("/api/v1/events")).and(query_param("limit", "2"));
    first.respond_with(page(json!([]), json!("b"), until)).mount(&node).await;
    let args = ["events", "ls", "--error", "refused", "--limit", "2"];
    let ran = run(&node.uri(), &args).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    assert_eq!((ran.out.lines().count(), ran.err.as_str()), (3, "There are more: ask again with --cursor d\n"));
    let json = run(&node.uri(), &[&args[..], &["--output", "json"]].concat()).await.json();
    assert_eq!((&json["items"], &json["next_cursor"]), (&json!([item(), item()]), &json!("d")));
}

#[tokio::test]
async fn an_event_is_shown_with_its_data_and_its_attempts() {
    let node = MockServer::start().await;
    let mut event = item();
    event["data"] = json!({ "total": 12, "note": "\u{1b}[2J" });
    event["attempts"] = json!([
        { "attempt_number": 1, "status": "TIMED_OUT", "handler_name": "billing", "node": "n1",
          "started_at": "2026-01-05T07:59:20.000000Z", "completed_at": "2026-01-05T07:59:50.000000Z",
          "processing_time_ms": 30_000, "error_message": "timed out after 30s" },
        { "attempt_number": 2, "status": "RUNNING", "handler_name": "billing", "node": "n1",
          "started_at": "2026-01-05T08:02:20.000000Z", "completed_at": null, "processing_time_ms": null,
          "error_message": null },
    ]);
    Mock::given(path("/api/v1/events/order%2F4711"))
        .and(query_param("source", "/shop"))
        .respond_with(ResponseTemplate::new(200).set_body_json(event))
        .mount(&node)
        .await;
    let ran = run(&node.uri(), &["events", "get", "order/4711", "--source", "/shop"]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    insta::assert_snapshot!(ran.out, @r#"
    id                0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11
    event id          order/4711
    source            /shop
    type              order.paid
    status            FAILED_MAX_RETRY
    final status      DEAD_LETTER
    handler name      billing
    error             connection refused
    created at        3 min ago (2026-01-05 07:59:20Z)
    attempt count     2
    origin bus        kafka
    origin offset     42
    origin partition  3
    origin topic      event-topic

    data (31 B)
    {
      "note": "\u001b[2J",
      "total": 12
    }

    ATTEMPT  STATUS     HANDLER  STARTED                           TOOK  ERROR
          1  TIMED_OUT  billing  3 min ago (2026-01-05 07:59:20Z)  30 s  timed out after 30s
          2  RUNNING    billing  just now (2026-01-05 08:02:20Z)      -  -
    "#);
}

#[tokio::test]
async fn an_unknown_event_is_told_as_its_problem_with_a_way_on() {
    let node = MockServer::start().await;
    let problem = json!({ "title": "Not found", "status": 404, "code": "not_found", "detail": "no event `x`" });
    Mock::given(path("/api/v1/events/x"))
        .respond_with(ResponseTemplate::new(404).set_body_json(problem))
        .mount(&node)
        .await;
    let ran = run(&node.uri(), &["events", "get", "x"]).await;
    let told = "Not found: no event `x`\n  `evenkeel events ls` lists what there is.";
    assert_eq!(ran.exit, Err(told.to_owned()));
    assert_eq!(ran.out, "");
}

#[tokio::test]
async fn something_that_is_no_engine_is_told() {
    let node = MockServer::start().await;
    Mock::given(path("/api/v1/stats"))
        .respond_with(ResponseTemplate::new(200).set_body_string("<html>"))
        .mount(&node)
        .await;
    let error = run(&node.uri(), &["stats"]).await.exit.unwrap_err();
    assert!(error.contains("cannot be read") && error.contains("--url"), "{error}");
}
