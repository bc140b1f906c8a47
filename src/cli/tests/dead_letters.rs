//! `dlq` and `handlers`: what is asked of the node, and that nothing is changed before somebody says yes.

use serde_json::json;
use wiremock::matchers::{body_json, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, ResponseTemplate};

use super::*;

const ID: &str = "0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11";
const OTHER: &str = "0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f12";

fn record(id: &str, status: &str) -> Value {
    json!({
        "id": id, "event_id": "order-4711", "source": "/shop", "type": "order.paid", "status": status,
        "handler_name": "billing", "attempt_count": 4, "created_at": "2026-01-05T07:59:20.000000Z",
    })
}

fn refusal(status: u16, code: &str, detail: &str) -> ResponseTemplate {
    let problem = json!({ "title": "No", "status": status, "code": code, "detail": detail, "hint": "Ask again." });
    ResponseTemplate::new(status).set_body_json(problem)
}

/// A node with so many dead letters that match anything.
async fn node(dead_letters: usize) -> MockServer {
    let node = MockServer::start().await;
    let items = vec![record(ID, "FAILED_MAX_RETRY"); dead_letters];
    let page = ResponseTemplate::new(200).set_body_json(json!({ "items": items, "next_cursor": null }));
    Mock::given(method("GET")).and(path("/api/v1/dead-letters")).respond_with(page).mount(&node).await;
    node
}

async fn post_answers(node: &MockServer, to: &str, answer: ResponseTemplate) {
    Mock::given(method("POST")).and(path(format!("/api/v1/{to}"))).respond_with(answer).mount(node).await;
}

fn accepted(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(202).set_body_json(body)
}

#[tokio::test]
async fn the_list_asks_for_dead_letters_or_for_events_without_a_handler() {
    let node = MockServer::start().await;
    let page = |items: &Value| ResponseTemplate::new(200).set_body_json(json!({ "items": items, "next_cursor": null }));
    Mock::given(path("/api/v1/dead-letters"))
        .and(query_param("status", "POISON"))
        .and(query_param("handler", "billing"))
        .and(query_param("limit", "2"))
        .and(query_param_is_missing("final_status"))
        .respond_with(page(&json!([record(ID, "POISON")])))
        .mount(&node)
        .await;
    Mock::given(path("/api/v1/dead-letters"))
        .and(query_param("final_status", "NO_HANDLER"))
        .respond_with(page(&json!([])))
        .mount(&node)
        .await;
    let ran = run(&node.uri(), &["dlq", "ls", "--status", "poison", "--handler", "billing", "--limit", "2"]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    insta::assert_snapshot!(ran.out, @r"
    ID                                    EVENT ID    TYPE        STATUS  HANDLER  ATTEMPTS  ACCEPTED
    0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11  order-4711  order.paid  POISON  billing         4  3 min ago (2026-01-05 07:59:20Z)
    ");
    let ran = run(&node.uri(), &["dlq", "ls", "--no-handler"]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (Ok(Exit::Done), "No events without a handler match.\n"));
}

#[tokio::test]
async fn ids_are_redriven_one_by_one_and_one_that_cannot_be_does_not_stop_the_others() {
    let node = node(0).await;
    post_answers(&node, "dead-letters/a%2Fb/redrive", refusal(409, "not_a_dead_letter", "a/b is PENDING")).await;
    let reason =
        Mock::given(path(format!("/api/v1/dead-letters/{ID}/redrive"))).and(body_json(json!({ "reason": "r" })));
    reason.respond_with(accepted(&record(ID, "PENDING"))).mount(&node).await;
    let args = ["dlq", "redrive", "a/b", ID, "--reason", "r"];
    let ran = run(&node.uri(), &args).await;
    assert_eq!(ran.exit, Ok(Exit::Failed));
    assert_eq!(ran.out, format!("redriven {ID} (order.paid) PENDING\n"));
    assert_eq!(ran.err, "error: a/b: No: a/b is PENDING\n  Ask again.\n");
    let ran = run(&node.uri(), &[&args[..], &["--output", "json"]].concat()).await;
    let told = ran.json();
    assert_eq!((ran.exit, &told["redriven"], &told["failed"]), (Ok(Exit::Failed), &json!(1), &json!(1)));
    assert_eq!(told["results"][0]["id"], "a/b");
    assert_eq!(told["results"][0]["error"]["code"], "not_a_dead_letter");
    assert_eq!(told["results"][1], json!({ "id": ID, "record": record(ID, "PENDING") }));
}

#[tokio::test]
async fn an_event_id_of_several_sources_is_told_with_the_ways_out() {
    let node = node(0).await;
    post_answers(&node, "dead-letters/a/redrive", refusal(409, "ambiguous", "several sources used it")).await;
    let ran = run(&node.uri(), &["dlq", "redrive", "a"]).await;
    assert_eq!(ran.exit, Ok(Exit::Failed));
    assert!(ran.err.contains("choose it by --event-id and --source"), "{}", ran.err);
}

#[tokio::test]
async fn a_node_that_is_away_is_told_for_each_id() {
    let ran = run("http://127.0.0.1:1", &["dlq", "redrive", ID, OTHER, "--output", "json"]).await;
    let told = ran.json();
    assert_eq!((ran.exit, &told["failed"]), (Ok(Exit::Failed), &json!(2)));
    assert!(told["results"][1]["error"]["detail"].as_str().unwrap().contains("no engine answers"));
}

#[tokio::test]
async fn a_filter_is_counted_and_asked_about_before_all_that_match_are_changed() {
    let node = node(17).await;
    let sent = json!({ "handler": "billing", "since": "2026-01-05T07:02:20.000000Z", "reason": "the bank is back" });
    let post = Mock::given(path("/api/v1/dead-letters/redrive")).and(body_json(sent));
    post.respond_with(accepted(&json!({ "redriven": 17 }))).expect(1).mount(&node).await;
    let args = ["dlq", "redrive", "--handler", "billing", "--since", "1h", "--reason", "the bank is back"];
    let ran = run_answering(&node.uri(), &args, "y\n").await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("redriven 17 dead letters\n", "Redrive 17 dead letters? [y/N] "));
}

#[tokio::test]
async fn without_a_yes_nothing_is_changed() {
    let node = node(2).await;
    for args in [&["dlq", "redrive", "--all"][..], &["dlq", "discard", "--all"], &["dlq", "discard", ID]] {
        let refused = run_answering(&node.uri(), args, "\n").await;
        assert_eq!(refused.exit, Ok(Exit::Failed), "{args:?}");
        assert!(refused.err.ends_with("[y/N] Nothing was changed.\n"), "{}", refused.err);
        let alone = run(&node.uri(), args).await;
        assert_eq!(alone.exit, Ok(Exit::Usage), "{args:?}");
        assert!(alone.err.contains("--yes") && alone.err.contains("Nothing was changed"), "{}", alone.err);
    }
    assert_eq!(bodies(&node).await, Vec::<Value>::new());
}

#[tokio::test]
async fn with_yes_nobody_is_asked_and_nothing_is_counted() {
    let node = MockServer::start().await;
    post_answers(&node, "dead-letters/discard", accepted(&json!({ "discarded": 1 }))).await;
    post_answers(&node, &format!("dead-letters/{ID}/discard"), accepted(&record(ID, "DISCARDED"))).await;
    let all = run(&node.uri(), &["dlq", "discard", "--all", "--yes", "--output", "json"]).await;
    assert_eq!((all.exit.clone(), all.json()), (Ok(Exit::Done), json!({ "discarded": 1 })));
    let one = run(&node.uri(), &["dlq", "discard", ID, "-y"]).await;
    assert_eq!((one.exit, one.out), (Ok(Exit::Done), format!("discarded {ID} (order.paid) DISCARDED\n")));
    assert_eq!(bodies(&node).await, [json!({}), json!({})]);
}

#[tokio::test]
async fn which_ones_has_to_be_said() {
    let node = node(2).await;
    for verb in ["redrive", "discard"] {
        let ran = run(&node.uri(), &["dlq", verb, "--yes"]).await;
        assert_eq!(ran.exit, Ok(Exit::Usage));
        assert!(ran.err.contains("--all") && ran.err.contains("ids"), "{}", ran.err);
    }
    assert!(node.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_dry_run_shows_what_matches_and_changes_nothing() {
    let node = node(1).await;
    let ran = run(&node.uri(), &["dlq", "discard", "--type", "order.paid", "--dry-run"]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    assert!(ran.out.contains(ID), "{}", ran.out);
    assert_eq!(ran.err, "1 dead letter would be discarded; nothing was changed.\n");
    let ran = run(&node.uri(), &["dlq", "redrive", "--no-handler", "--dry-run", "--output", "json"]).await;
    let shown = ran.json();
    assert_eq!((&shown["matching"], &shown["more"], &shown["items"][0]["id"]), (&json!(1), &json!(false), &json!(ID)));
    assert_eq!(bodies(&node).await, Vec::<Value>::new());
}

#[tokio::test]
async fn many_are_counted_page_by_page_up_to_a_thousand() {
    let node = MockServer::start().await;
    for (cursor, next) in [(None, "1"), (Some("1"), "2"), (Some("2"), "3"), (Some("3"), "4")] {
        let items = vec![record(ID, "FAILED_MAX_RETRY"); 250];
        let page = ResponseTemplate::new(200).set_body_json(json!({ "items": items, "next_cursor": next }));
        let get = Mock::given(path("/api/v1/dead-letters"));
        let get = match cursor {
            Some(cursor) => get.and(query_param("cursor", cursor)),
            None => get.and(query_param_is_missing("cursor")),
        };
        get.respond_with(page).expect(1).mount(&node).await;
    }
    let ran = run_answering(&node.uri(), &["dlq", "discard", "--all"], "n\n").await;
    assert!(ran.err.starts_with("Discard more than 1,000 dead letters?"), "{}", ran.err);
}

#[tokio::test]
async fn too_many_for_one_call_are_told_with_a_way_on() {
    let node = node(0).await;
    post_answers(&node, "dead-letters/redrive", refusal(422, "too_many", "more than 10000 records match")).await;
    let told = run(&node.uri(), &["dlq", "redrive", "--all", "--yes"]).await.exit.unwrap_err();
    insta::assert_snapshot!(told, @r"
    No: more than 10000 records match
      Take them in parts, the oldest first: --until 30d, then --until 7d and so on, or by --handler or --type.
    ");
}

#[tokio::test]
async fn nothing_that_matches_is_done_without_asking() {
    let node = node(0).await;
    let ran = run(&node.uri(), &["dlq", "discard", "--handler", "billing"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Ok(Exit::Done), "discarded 0 dead letters\n"));
    post_answers(&node, "dead-letters/redrive", accepted(&json!({ "redriven": 0 }))).await;
    let ran = run(&node.uri(), &["dlq", "redrive", "--no-handler", "--yes"]).await;
    assert_eq!(ran.out, "redriven 0 events without a handler\n");
    assert!(ran.err.contains("evenkeel handlers"), "{}", ran.err);
}

fn handler(state: &str) -> Value {
    json!({
        "name": "billing", "kind": "webhook", "types": ["order.paid", "invoice.*"], "state": state, "in_flight": 2,
        "queued": 1_234, "queue_capacity": 100, "concurrency": 10, "restarts": 1, "last_error": "no\npaper",
    })
}

#[tokio::test]
async fn handlers_are_listed_paused_and_resumed() {
    let node = MockServer::start().await;
    let list = ResponseTemplate::new(200).set_body_json(json!({ "items": [handler("RUNNING")] }));
    Mock::given(method("GET")).and(path("/api/v1/handlers")).respond_with(list).mount(&node).await;
    let paused = ResponseTemplate::new(200).set_body_json(handler("PAUSED"));
    post_answers(&node, "handlers/billing/pause", paused).await;
    post_answers(&node, "handlers/order.*/resume", refusal(404, "not_found", "no handler `order.*`")).await;

    let ran = run(&node.uri(), &["handlers"]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    insta::assert_snapshot!(ran.out, @r"
    NAME     KIND     TYPES                  STATE    IN FLIGHT  QUEUED  CAPACITY  CONCURRENCY  RESTARTS  LAST ERROR
    billing  webhook  order.paid, invoice.*  RUNNING          2   1,234       100           10         1  no\npaper
    ");
    let ran = run(&node.uri(), &["handlers", "pause", "billing", "--reason", "closed", "--output", "json"]).await;
    assert_eq!((ran.exit.clone(), ran.json()), (Ok(Exit::Done), handler("PAUSED")));
    assert_eq!(bodies(&node).await, [json!({ "reason": "closed" })]);
    let told = run(&node.uri(), &["handlers", "resume", "order.*"]).await.exit.unwrap_err();
    assert!(told.contains("no handler `order.*`"), "{told}");
}
