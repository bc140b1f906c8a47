//! `events tail`: every record once, in order, whatever happens to the node meanwhile.

use serde_json::json;
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, ResponseTemplate};

use super::*;

fn item(n: u32) -> Value {
    json!({ "id": format!("0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f{n:02}"), "event_id": n.to_string(), "source": "/s",
            "type": "a", "status": "SUCCESS", "created_at": format!("2026-01-05T08:02:{n:02}.000000Z") })
}

fn page(items: &[u32], cursor: Value) -> ResponseTemplate {
    let items: Vec<Value> = items.iter().copied().map(item).collect();
    ResponseTemplate::new(200).set_body_json(json!({ "items": items, "next_cursor": cursor }))
}

/// Looks until the node refuses in a way that does not pass.
async fn tailed(node: &MockServer, more: &[&str]) -> Ran {
    let gone = ResponseTemplate::new(404).set_body_json(json!({ "title": "Gone", "status": 404, "code": "not_found" }));
    Mock::given(path("/api/v1/events")).respond_with(gone).mount(node).await;
    run(&node.uri(), &[&["events", "tail", "--type", "a", "--output", "json"], more].concat()).await
}

fn seen(ran: &Ran) -> Vec<String> {
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["event_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_record_is_printed_once_oldest_first_and_late_ones_as_well() {
    let node = MockServer::start().await;
    let asked = || Mock::given(path("/api/v1/events")).and(query_param("type", "a"));
    let once = |items: &[u32], cursor| asked().respond_with(page(items, cursor)).up_to_n_times(1);
    once(&[30, 29], Value::Null).mount(&node).await;
    // One that is older than what was shown comes later; and there are two pages.
    once(&[32, 31], json!("c")).mount(&node).await;
    once(&[30, 28], Value::Null).mount(&node).await;
    // An outage between two looks loses nothing.
    asked().respond_with(ResponseTemplate::new(503)).up_to_n_times(2).mount(&node).await;
    once(&[33, 32], Value::Null).mount(&node).await;
    let ran = tailed(&node, &[]).await;
    assert_eq!(seen(&ran), ["29", "30", "28", "31", "32", "33"]);
    assert_eq!(ran.err.matches("Waiting for it.").count(), 1, "{}", ran.err);
    assert!(ran.err.ends_with("It answers again.\n") && ran.exit.is_err(), "{}", ran.err);
    let requests = node.received_requests().await.unwrap();
    let since = |n: usize| requests[n].url.query_pairs().find(|(name, _)| name == "since").unwrap().1.into_owned();
    // First from now on, then with an overlap, but never from before the start.
    assert_eq!(
        [0, 1, 3].map(since),
        ["2026-01-05T08:02:20.000000Z", "2026-01-05T08:02:20.000000Z", "2026-01-05T08:02:22.000000Z"]
    );
}

#[tokio::test]
async fn a_failure_between_two_pages_loses_nothing() {
    let node = MockServer::start().await;
    let once = |answer: ResponseTemplate| Mock::given(path("/api/v1/events")).respond_with(answer).up_to_n_times(1);
    once(page(&[32, 31], json!("c"))).mount(&node).await;
    once(ResponseTemplate::new(503)).mount(&node).await;
    once(page(&[32, 31], json!("c"))).mount(&node).await;
    once(page(&[30], Value::Null)).mount(&node).await;
    let ran = tailed(&node, &["--since", "1m"]).await;
    assert_eq!(seen(&ran), ["30", "31", "32"]);
}

#[tokio::test]
async fn a_tail_that_has_an_end_ends() {
    let node = MockServer::start().await;
    Mock::given(path("/api/v1/events")).respond_with(page(&[10], Value::Null)).mount(&node).await;
    let ran = run(&node.uri(), &["events", "tail", "--since", "1h", "--until", "5s"]).await;
    assert_eq!((ran.exit, ran.out.lines().count()), (Ok(Exit::Done), 2));
}
