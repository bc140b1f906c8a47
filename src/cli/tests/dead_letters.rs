//! `dlq` and `handlers`: what is asked of the node, and that nothing is changed before somebody says yes.

use serde_json::json;
use wiremock::matchers::{body_json, body_partial_json, method, path, query_param, query_param_is_missing};
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

/// An operation as it stands.
fn operation(state: &str, done: u64, skipped: u64, failed: u64) -> Value {
    json!({
        "id": OTHER, "action": "redrive", "filter": { "handler": "billing" }, "state": state, "matched": 17,
        "matched_is_exact": true, "done": done, "skipped": skipped, "failed": failed, "progress": null, "rate": null,
        "error": null, "actor": "ada", "reason": "the bank is back", "node": null,
        "created_at": "2026-01-05T07:59:20.000000Z", "updated_at": "2026-01-05T07:59:20.000000Z", "ended_at": null,
        "failures": [{ "record_id": ID, "reason": "no handler" }],
    })
}

/// A node on which so many match, and whose operation then stands like this.
async fn working(matched: u64, exact: bool, ended: Value) -> MockServer {
    let node = node(usize::try_from(matched.min(20)).unwrap()).await;
    let dry = ResponseTemplate::new(200).set_body_json(json!({ "matched": matched, "matched_is_exact": exact }));
    let dry_run = Mock::given(method("POST")).and(path("/api/v1/operations"));
    dry_run.and(body_partial_json(json!({ "dry_run": true }))).respond_with(dry).mount(&node).await;
    post_answers(&node, "operations", accepted(&operation("RUNNING", 0, 0, 0))).await;
    let now = ResponseTemplate::new(200).set_body_json(ended);
    Mock::given(method("GET")).and(path(format!("/api/v1/operations/{OTHER}"))).respond_with(now).mount(&node).await;
    node
}

/// What the node was asked to do, and not only to count.
async fn begun(node: &MockServer) -> Vec<Value> {
    bodies(node).await.into_iter().filter(|body| body["dry_run"] != json!(true)).collect()
}

#[tokio::test]
async fn a_filter_is_counted_and_asked_about_before_all_that_match_are_changed() {
    let node = working(17, true, operation("DONE", 17, 0, 0)).await;
    let args =
        ["dlq", "redrive", "--handler", "billing", "--since", "1h", "--reason", "the bank is back", "--rate", "5"];
    let ran = run_answering(&node.uri(), &args, "y\n").await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("redriven 17 dead letters\n", "Redrive 17 dead letters? [y/N] "));
    let filter = json!({ "handler": "billing", "since": "2026-01-05T07:02:20.000000Z" });
    let sent =
        json!({ "action": "redrive", "filter": filter, "dry_run": false, "reason": "the bank is back", "rate": 5 });
    assert_eq!(begun(&node).await, [sent]);
}

#[tokio::test]
async fn what_was_skipped_and_what_failed_is_told_and_a_failure_is_status_1() {
    let node = working(17, true, operation("DONE", 10, 5, 2)).await;
    let ran = run(&node.uri(), &["dlq", "redrive", "--group", "9f86d081884c7d65", "--yes"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Ok(Exit::Failed), "redriven 10 dead letters\n"));
    let err = format!(
        "5 records had been changed by somebody else before.\n2 records could not be changed: `evenkeel operations get \
         {OTHER}` says why.\n"
    );
    assert_eq!(ran.err, err);
    assert_eq!(begun(&node).await[0]["filter"], json!({ "group": "9f86d081884c7d65" }));
    let node = working(17, true, operation("CANCELLED", 4, 0, 0)).await;
    let ran = run(&node.uri(), &["dlq", "redrive", "--all", "--yes", "--output", "json"]).await;
    let told = json!({ "redriven": 4, "skipped": 0, "failed": 0, "operation": { "id": OTHER, "state": "CANCELLED" } });
    assert_eq!((ran.exit.clone(), ran.json()), (Ok(Exit::Failed), told));
    assert_eq!(ran.err, format!("operation {OTHER} is CANCELLED\n"));
}

#[tokio::test]
async fn an_operation_can_be_left_to_the_server() {
    let node = working(17, true, operation("RUNNING", 0, 0, 0)).await;
    let ran = run(&node.uri(), &["dlq", "discard", "--all", "--yes", "--detach"]).await;
    let told = format!("operation {OTHER} has begun. `evenkeel operations get {OTHER}` shows how far it is.\n");
    assert_eq!((ran.exit, ran.out), (Ok(Exit::Done), told));
}

#[tokio::test]
async fn without_a_yes_nothing_is_changed() {
    let node = working(2, true, Value::Null).await;
    for args in [&["dlq", "redrive", "--all"][..], &["dlq", "discard", "--all"], &["dlq", "discard", ID]] {
        let refused = run_answering(&node.uri(), args, "\n").await;
        assert_eq!(refused.exit, Ok(Exit::Failed), "{args:?}");
        assert!(refused.err.ends_with("[y/N] Nothing was changed.\n"), "{}", refused.err);
        let alone = run(&node.uri(), args).await;
        assert_eq!(alone.exit, Ok(Exit::Usage), "{args:?}");
        assert!(alone.err.contains("--yes") && alone.err.contains("Nothing was changed"), "{}", alone.err);
    }
    assert_eq!(begun(&node).await, Vec::<Value>::new());
}

#[tokio::test]
async fn with_yes_nobody_is_asked_and_nothing_is_counted() {
    let node = working(1, true, operation("DONE", 1, 0, 0)).await;
    post_answers(&node, &format!("dead-letters/{ID}/discard"), accepted(&record(ID, "DISCARDED"))).await;
    let all = run(&node.uri(), &["dlq", "discard", "--all", "--yes", "--output", "json"]).await;
    let told = json!({ "discarded": 1, "skipped": 0, "failed": 0, "operation": { "id": OTHER, "state": "DONE" } });
    assert_eq!((all.exit.clone(), all.json()), (Ok(Exit::Done), told));
    let one = run(&node.uri(), &["dlq", "discard", ID, "-y"]).await;
    assert_eq!((one.exit, one.out), (Ok(Exit::Done), format!("discarded {ID} (order.paid) DISCARDED\n")));
    assert_eq!(bodies(&node).await, [json!({ "action": "discard", "filter": {} }), json!({})]);
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
    let node = working(1, true, Value::Null).await;
    let ran = run(&node.uri(), &["dlq", "discard", "--type", "order.paid", "--dry-run"]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    assert!(ran.out.contains(ID), "{}", ran.out);
    assert_eq!(ran.err, "1 dead letter would be discarded; nothing was changed.\n");
    let ran = run(&node.uri(), &["dlq", "redrive", "--no-handler", "--dry-run", "--output", "json"]).await;
    let shown = ran.json();
    assert_eq!((&shown["matching"], &shown["more"], &shown["items"][0]["id"]), (&json!(1), &json!(false), &json!(ID)));
    assert_eq!(begun(&node).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_not_counted_to_its_end_is_told_as_more() {
    let node = working(1_200, false, Value::Null).await;
    let ran = run_answering(&node.uri(), &["dlq", "discard", "--subject", "a"], "n\n").await;
    assert!(ran.err.starts_with("Discard more than 1,200 dead letters?"), "{}", ran.err);
}

#[tokio::test]
async fn nothing_that_matches_is_done_without_asking() {
    let node = working(0, true, Value::Null).await;
    let ran = run(&node.uri(), &["dlq", "discard", "--handler", "billing"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Ok(Exit::Done), "discarded 0 dead letters\n"));
    assert_eq!(begun(&node).await, Vec::<Value>::new());
}

#[tokio::test]
async fn groups_say_what_dead_letters_have_in_common() {
    let node = MockServer::start().await;
    let group = json!({
        "group": "9f86d081884c7d65", "final_status": "DEAD_LETTER", "handler": "billing", "type": null,
        "title": "account <number> is closed", "sample": "account 7 is closed", "count": 12_431,
        "first_seen": "2026-01-05T07:02:20.000000Z", "last_seen": "2026-01-05T08:02:10.000000Z",
    });
    let some =
        ResponseTemplate::new(200).set_body_json(json!({ "items": [group], "more": true, "next_cursor": "next" }));
    let newest = Mock::given(path("/api/v1/dead-letters/groups")).and(query_param("sort", "last_seen"));
    newest.and(query_param("handler", "billing")).respond_with(some).mount(&node).await;
    let none = ResponseTemplate::new(200).set_body_json(json!({ "items": [], "more": false, "next_cursor": null }));
    Mock::given(path("/api/v1/dead-letters/groups")).respond_with(none).mount(&node).await;
    let ran = run(&node.uri(), &["dlq", "groups", "--handler", "billing", "--sort", "last-seen"]).await;
    insta::assert_snapshot!(ran.out);
    assert_eq!(ran.err, "There are more: ask again with --cursor next\n");
    let ran = run(&node.uri(), &["dlq", "groups"]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (Ok(Exit::Done), "No dead letters match.\n"));
}

#[tokio::test]
async fn operations_are_listed_shown_and_turned() {
    let node = working(17, true, operation("RUNNING", 10, 5, 2)).await;
    let list = json!({ "items": [operation("RUNNING", 10, 5, 2)], "next_cursor": null });
    let list = ResponseTemplate::new(200).set_body_json(list);
    let running = Mock::given(method("GET")).and(path("/api/v1/operations")).and(query_param("state", "RUNNING"));
    running.respond_with(list).mount(&node).await;
    let paused = ResponseTemplate::new(200).set_body_json(operation("PAUSED", 10, 5, 2));
    post_answers(&node, &format!("operations/{OTHER}/pause"), paused).await;
    post_answers(&node, &format!("operations/{OTHER}/cancel"), refusal(409, "operation_over", "it is DONE")).await;
    let ran = run(&node.uri(), &["operations", "ls", "--state", "running"]).await;
    insta::assert_snapshot!("operations_ls", ran.out);
    let ran = run(&node.uri(), &["operations", "get", OTHER]).await;
    insta::assert_snapshot!("operations_get", ran.out);
    let ran = run(&node.uri(), &["operations", "pause", OTHER, "--reason", "slow", "--output", "json"]).await;
    assert_eq!((ran.exit.clone(), &ran.json()["state"]), (Ok(Exit::Done), &json!("PAUSED")));
    assert_eq!(bodies(&node).await, [json!({ "reason": "slow" })]);
    let told = run(&node.uri(), &["operations", "cancel", OTHER]).await.exit.unwrap_err();
    assert!(told.contains("it is DONE"), "{told}");
}

#[tokio::test]
async fn the_audit_log_is_read_with_its_filters() {
    let node = MockServer::start().await;
    let line = json!({
        "id": OTHER, "at": "2026-01-05T07:59:20.000000Z", "actor": "ada", "action": "begin_redrive", "target": OTHER,
        "affected": 0, "reason": "the bank is back",
    });
    let page = ResponseTemplate::new(200).set_body_json(json!({ "items": [line], "next_cursor": "next" }));
    let since = Mock::given(path("/api/v1/audit")).and(query_param("since", "2026-01-05T07:02:20.000000Z"));
    since.and(query_param("actor", "ada")).and(query_param("limit", "1")).respond_with(page).mount(&node).await;
    let ran = run(&node.uri(), &["audit", "--actor", "ada", "--since", "1h", "--limit", "1"]).await;
    insta::assert_snapshot!("audit", ran.out);
    assert_eq!(ran.err, "There are more: ask again with --cursor next\n");
}

fn handler(state: &str) -> Value {
    json!({
        "name": "billing", "kind": "webhook", "types": ["order.paid", "invoice.*"], "state": state, "in_flight": 2,
        "queued": 1_234, "queue_capacity": 100, "concurrency": 10, "restarts": 1, "last_error": "no\npaper",
    })
}

#[tokio::test]
async fn handlers_are_listed_paused_resumed_and_restarted() {
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
    post_answers(&node, "handlers/billing/restart", ResponseTemplate::new(200).set_body_json(handler("RUNNING"))).await;
    let ran = run(&node.uri(), &["handlers", "restart", "billing", "--reason", "stuck"]).await;
    assert!(ran.exit == Ok(Exit::Done) && ran.out.contains("RUNNING"), "{}{}", ran.out, ran.err);
    assert_eq!(bodies(&node).await[1], json!({ "reason": "stuck" }));
    let told = run(&node.uri(), &["handlers", "resume", "order.*"]).await.exit.unwrap_err();
    assert!(told.contains("no handler `order.*`"), "{told}");
}
