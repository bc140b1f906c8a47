//! Groups of dead letters, operations on any number of them, and the audit log.

use super::*;
use crate::lifecycle::OperationState;

const DEAD: &str = "/api/v1/dead-letters";
const GROUPS: &str = "/api/v1/dead-letters/groups";
const OPERATIONS: &str = "/api/v1/operations";
const AUDIT: &str = "/api/v1/audit";

impl Node {
    /// Waits until an operation is over, and shows it.
    async fn ended(&self, id: &Value) -> Value {
        let id: Uuid = id.as_str().unwrap().parse().unwrap();
        self.until_over(id).await;
        self.get(&format!("{OPERATIONS}/{id}")).await.json()
    }

    /// Waits until an operation is over.
    pub(crate) async fn until_over(&self, id: Uuid) {
        while !self.engine.reads().operation(id).await.unwrap().unwrap().state.is_over() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}

#[actix::test]
async fn dead_letters_are_grouped_by_what_went_wrong() {
    let node = Node::start().await;
    let (first, second) = (node.settle(event("fail")).await, node.settle(event("fail")).await);
    node.settle(event("other")).await;
    node.settle(event("ok.a")).await;
    let groups = node.get(GROUPS).await.json();
    assert_eq!((groups["items"].as_array().unwrap().len(), &groups["more"]), (2, &json!(false)));
    let group = &groups["items"][0];
    assert_eq!((&group["count"], &group["handler"], &group["type"]), (&json!(2), &json!("fail"), &Value::Null));
    assert_eq!((&group["title"], &group["sample"]), (&json!("no such account"), &json!("no such account")));
    let nobody = node.get(&format!("{GROUPS}?final_status=NO_HANDLER&sort=last_seen")).await.json();
    assert_eq!((&nobody["items"][0]["type"], &nobody["items"][0]["handler"]), (&json!("other"), &Value::Null));
    let name = group["group"].as_str().unwrap();
    assert_eq!(ids(&node.get(&format!("{DEAD}?group={name}")).await), strings(&[second, first]));
    assert_eq!(node.get(&format!("{EVENTS}/{first}")).await.json()["group"], name);
    for sort in ["count", "last_seen"] {
        let all = node.get(&format!("{GROUPS}?sort={sort}")).await.json();
        assert_eq!(all["next_cursor"], Value::Null);
        let first = node.get(&format!("{GROUPS}?sort={sort}&limit=1")).await.json();
        assert_eq!((&first["items"][0], &first["more"]), (&all["items"][0], &json!(true)));
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = node.get(&format!("{GROUPS}?sort={sort}&limit=1&cursor={cursor}")).await.json();
        assert_eq!((&second["items"], &second["next_cursor"]), (&json!([all["items"][1]]), &Value::Null));
        let other = if sort == "count" { "last_seen" } else { "count" };
        let strange = node.get(&format!("{GROUPS}?sort={other}&cursor={cursor}")).await;
        assert_eq!(strange.said(), told(400, "bad_cursor"), "of another order");
    }
    for wrong in ["sort=age", "final_status=COMPLETED", "limit=0"] {
        assert_eq!(node.get(&format!("{GROUPS}?{wrong}")).await.said(), told(400, "bad_parameter"), "{wrong}");
    }
    let discarded = node.post(&format!("{DEAD}/discard"), json!({ "group": name })).await;
    assert_eq!(discarded.json(), json!({ "discarded": 2 }));
    assert_eq!(node.get(&format!("{GROUPS}?handler=fail")).await.json()["items"], json!([]));
    node.end().await;
}

#[actix::test]
async fn a_dry_run_only_counts() {
    let node = Node::start().await;
    node.settle(event("fail").id("1")).await;
    node.settle(event("fail").id("2")).await;
    for (filter, matched) in [(json!({}), 2), (json!({ "event_id": "1" }), 1), (json!({ "handler": "nobody" }), 0)] {
        let body = json!({ "action": "discard", "filter": filter, "dry_run": true });
        let answer = node.post(OPERATIONS, body).await;
        let expected = json!({ "matched": matched, "matched_is_exact": true });
        assert_eq!((answer.said(), answer.json()), (told(200, ""), expected), "{filter}");
    }
    assert_eq!(node.get(OPERATIONS).await.json()["items"], json!([]));
    assert_eq!(ids(&node.get(DEAD).await).len(), 2);
    node.end().await;
}

#[actix::test]
async fn an_operation_says_how_far_it_has_come_and_is_in_the_audit_log() {
    let node = Node::start().await;
    let dead = node.settle(event("fail")).await;
    let body = json!({ "action": "discard", "filter": { "type": "fail" }, "reason": "known" });
    let request = TestRequest::with_uri(OPERATIONS).method(Method::POST).insert_header(("x-operator", "ada"));
    let begun = node.ask(request.set_json(body)).await;
    assert_eq!(begun.said(), told(202, ""));
    let begun = begun.json();
    assert_eq!(begun["filter"], json!({ "type": "fail", "final_status": "DEAD_LETTER" }));
    let ended = node.ended(&begun["id"]).await;
    assert_eq!((&ended["state"], &ended["done"], &ended["progress"]), (&json!("DONE"), &json!(1), &json!(1.0)));
    assert_eq!((&ended["skipped"], &ended["failed"], &ended["failures"]), (&json!(0), &json!(0), &json!([])));
    assert_eq!((&ended["actor"], &ended["reason"]), (&json!("ada"), &json!("known")));
    let discarded = node.get(&format!("{EVENTS}/{dead}")).await.json();
    assert_eq!((&discarded["status"], &discarded["group"]), (&json!("DISCARDED"), &Value::Null));
    let id = begun["id"].as_str().unwrap();
    let log = node.get(&format!("{AUDIT}?target={id}")).await.json();
    let lines: Vec<(&Value, &Value, &Value)> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["action"], &line["actor"], &line["affected"]))
        .collect();
    let expected = [
        (&json!("complete_operation"), &json!("engine"), &json!(1)),
        (&json!("begin_discard"), &json!("ada"), &json!(0)),
    ];
    assert_eq!(lines, expected);
    node.end().await;
}

#[actix::test]
async fn what_cannot_be_redriven_is_named_with_its_reason() {
    let node = Node::start().await;
    let nobody = node.settle(event("other")).await;
    let body = json!({ "action": "redrive", "filter": { "final_status": "NO_HANDLER" } });
    let begun = node.post(OPERATIONS, body).await.json();
    let ended = node.ended(&begun["id"]).await;
    assert_eq!((&ended["state"], &ended["done"], &ended["failed"]), (&json!("DONE"), &json!(0), &json!(1)));
    let failures = json!([{ "record_id": nobody, "reason": "no handler is bound to type `other`; bind one first" }]);
    assert_eq!(ended["failures"], failures);
    node.end().await;
}

#[actix::test]
async fn operations_are_paused_resumed_and_cancelled_and_what_is_over_is_not() {
    let node = Node::start().await;
    for _ in 0..3 {
        node.settle(event("fail")).await;
    }
    let begun = node.post(OPERATIONS, json!({ "action": "discard", "filter": {}, "rate": 1 })).await.json();
    let turn = async |verb: &str| {
        let answer = node.post(&format!("{OPERATIONS}/{}/{verb}", begun["id"].as_str().unwrap()), Value::Null).await;
        (answer.said(), answer.json()["state"].as_str().map(ToOwned::to_owned))
    };
    let stands = |state: &str| (told(200, ""), Some(state.to_owned()));
    assert_eq!(turn("pause").await, stands("PAUSED"));
    assert_eq!(turn("pause").await, stands("PAUSED"));
    assert_eq!(turn("resume").await, stands("RUNNING"));
    assert_eq!(turn("resume").await, stands("RUNNING"));
    assert_eq!(turn("cancel").await, stands("CANCELLED"));
    assert_eq!(turn("cancel").await, stands("CANCELLED"));
    assert_eq!(turn("resume").await.0, told(409, "operation_over"));
    assert_eq!(turn("pause").await.0, told(409, "operation_over"));
    let listed = |state: OperationState| format!("{OPERATIONS}?state={state}");
    assert_eq!(ids(&node.get(&listed(OperationState::Cancelled)).await), [begun["id"].as_str().unwrap()]);
    assert_eq!(node.get(&listed(OperationState::Running)).await.json()["items"], json!([]));
    assert_eq!(node.get(&format!("{OPERATIONS}?state=IDLE")).await.said(), told(400, "bad_parameter"));
    let nothing = format!("{OPERATIONS}/{}", Uuid::max());
    assert_eq!(node.get(&nothing).await.said(), told(404, "not_found"));
    assert_eq!(node.get(&format!("{OPERATIONS}/nothing")).await.said(), told(404, "not_found"));
    assert_eq!(node.post(&format!("{nothing}/pause"), Value::Null).await.said(), told(404, "not_found"));
    node.end().await;
}

#[actix::test]
async fn operations_are_only_begun_if_it_is_clear_what_is_done_to_which() {
    let node = Node::start().await;
    let dead = node.settle(event("fail")).await;
    for (body, status, code) in [
        (Value::Null, 400, "missing_body"),
        (json!([]), 400, "not_an_object"),
        (json!({ "action": "discard" }), 400, "bad_body"),
        (json!({ "action": "discard", "filter": { "handlr": "fail" } }), 400, "unknown_member"),
    ] {
        assert_eq!(node.post(OPERATIONS, body.clone()).await.said(), told(status, code), "{body}");
    }
    let query = node.post(&format!("{OPERATIONS}?dry_run=true"), json!({})).await;
    assert_eq!(query.said(), told(400, "unknown_parameter"));
    assert_eq!(ids(&node.get(DEAD).await), strings(&[dead]));
    node.end().await;
}

#[actix::test]
async fn the_audit_log_is_read_page_by_page() {
    let node = Node::start().await;
    for _ in 0..3 {
        let dead = node.settle(event("fail")).await;
        node.post(&format!("{DEAD}/{dead}/discard"), Value::Null).await;
    }
    let all = ids(&node.get(&format!("{AUDIT}?action=discard")).await);
    let first = node.get(&format!("{AUDIT}?limit=2")).await;
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let second = node.get(&format!("{AUDIT}?limit=2&cursor={cursor}")).await;
    assert_eq!([ids(&first), ids(&second)].concat(), all);
    assert_eq!((all.len(), &second.json()["next_cursor"]), (3, &Value::Null));
    assert_eq!(ids(&node.get(&format!("{AUDIT}?actor=nobody")).await).len(), 0);
    assert_eq!(
        ids(&node.get(&format!("{AUDIT}?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z")).await).len(),
        0
    );
    assert_eq!(node.get(&format!("{AUDIT}?since=yesterday")).await.said(), told(400, "bad_parameter"));
    assert_eq!(node.get(&format!("{AUDIT}?cursor=x")).await.said(), told(400, "bad_cursor"));
    node.end().await;
}
