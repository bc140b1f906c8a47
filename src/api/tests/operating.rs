//! What operators do: cancel, redrive, discard, pause, resume.

use evenkeel_entity::operator_action;
use sea_orm::EntityTrait;

use super::*;

const DEAD: &str = "/api/v1/dead-letters";
const HANDLERS: &str = "/api/v1/handlers";

/// Who did what to what, how often, and why, oldest first.
async fn audit(node: Node) -> Vec<(String, String, i64, Option<String>)> {
    let Node { engine, _folder: folder, .. } = node;
    engine.shutdown().await.unwrap();
    let url = format!("sqlite://{}/evenkeel.db", folder.path().display());
    let rows = operator_action::Entity::find().all(&sea_orm::Database::connect(url).await.unwrap()).await.unwrap();
    rows.into_iter().map(|row| (row.actor, row.action, row.affected, row.reason)).collect()
}

#[actix::test]
async fn what_has_not_started_can_be_cancelled() {
    let node = Node::start().await;
    assert_eq!(node.post(&format!("{HANDLERS}/ok.*/pause"), Value::Null).await.said(), told(200, ""));
    let waiting = node.engine.submit(event("ok.a").id("a/1")).await.unwrap();
    let answer = node.post(&format!("{EVENTS}/a%2F1/cancel"), json!({ "reason": "test" })).await;
    assert_eq!(answer.said(), told(202, ""));
    assert_eq!((&answer.json()["id"], &answer.json()["status"]), (&json!(waiting.id), &json!("DISCARDED")));
    let again = node.post(&format!("{EVENTS}/{}/cancel", waiting.id), Value::Null).await;
    assert_eq!(again.said(), told(409, "already_started"));
    assert_eq!(node.post(&format!("{EVENTS}/nothing/cancel"), Value::Null).await.said(), told(404, "not_found"));
    let audit = audit(node).await;
    let what = ("api@192.0.2.7".to_owned(), "cancel".to_owned(), 1, Some("test".to_owned()));
    assert_eq!(audit.last(), Some(&what));
}

#[actix::test]
async fn dead_letters_are_listed_without_all_the_others() {
    let node = Node::start().await;
    node.settle(event("ok.a")).await;
    let nobody = node.settle(event("other")).await;
    let dead = node.settle(event("fail")).await;
    assert_eq!(ids(&node.get(DEAD).await), strings(&[dead]));
    assert_eq!(ids(&node.get(&format!("{DEAD}?final_status=NO_HANDLER")).await), strings(&[nobody]));
    assert_eq!(ids(&node.get(&format!("{DEAD}?status=SUCCESS")).await), strings(&[]));
    assert_eq!(ids(&node.get(&format!("{DEAD}?type=fail&status=FAILED_PERMANENT&limit=1")).await), strings(&[dead]));
    let answer = node.get(&format!("{DEAD}?final_status=COMPLETED")).await;
    assert_eq!(answer.said(), told(400, "bad_parameter"));
    node.end().await;
}

#[actix::test]
async fn a_dead_letter_is_redriven_with_its_history() {
    let node = Node::start().await;
    let dead = node.settle(event("fail")).await;
    let answer = node.post(&format!("{DEAD}/{dead}/redrive"), json!({ "reason": "" })).await;
    assert_eq!((answer.said(), &answer.json()["round"]), (told(202, ""), &json!(2)));
    node.engine.settled(dead).await.unwrap();
    let shown = node.get(&format!("{EVENTS}/{dead}")).await.json();
    let numbers: Vec<&Value> =
        shown["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["attempt_number"]).collect();
    assert_eq!(numbers, [&json!(1), &json!(2)]);
    node.end().await;
}

#[actix::test]
async fn only_dead_letters_with_a_handler_are_redriven() {
    let node = Node::start().await;
    let ok = node.settle(event("ok.a")).await;
    let nobody = node.settle(event("other")).await;
    let redrive = |id: Uuid| format!("{DEAD}/{id}/redrive");
    assert_eq!(node.post(&redrive(ok), Value::Null).await.said(), told(409, "not_a_dead_letter"));
    assert_eq!(node.post(&redrive(nobody), Value::Null).await.said(), told(409, "no_handler"));
    assert_eq!(node.post(&format!("{DEAD}/nothing/redrive"), Value::Null).await.said(), told(404, "not_found"));
    assert_eq!(node.post(&format!("{DEAD}/{ok}/discard"), Value::Null).await.said(), told(409, "not_a_dead_letter"));
    node.end().await;
}

#[actix::test]
async fn a_discard_is_the_end_and_is_audited() {
    let node = Node::start().await;
    let dead = node.settle(event("fail")).await;
    let request = TestRequest::with_uri(&format!("{DEAD}/{dead}/discard?reason=known")).method(Method::POST);
    let answer = node.ask(request.insert_header(("x-operator", "ada"))).await;
    assert_eq!((answer.said(), &answer.json()["status"]), (told(202, ""), &json!("DISCARDED")));
    assert_eq!(node.post(&format!("{DEAD}/{dead}/redrive"), Value::Null).await.said(), told(409, "not_a_dead_letter"));
    assert_eq!(audit(node).await, [("ada".to_owned(), "discard".to_owned(), 1, Some("known".to_owned()))]);
}

#[actix::test]
async fn many_are_redriven_or_discarded_by_a_filter() {
    let node = Node::start().await;
    for id in ["1", "2", "3"] {
        node.settle(event("fail").id(id)).await;
    }
    node.settle(event("other")).await;
    let one = node.post(&format!("{DEAD}/redrive"), json!({ "event_id": "1", "reason": "fixed" })).await;
    assert_eq!((one.said(), one.json()), (told(202, ""), json!({ "redriven": 1 })));
    let redriven = node.engine.reads().holders("1", None).await.unwrap().remove(0).1;
    node.engine.settled(redriven).await.unwrap();
    assert_eq!(
        node.post(&format!("{DEAD}/discard"), json!({ "type": "nothing" })).await.json(),
        json!({ "discarded": 0 })
    );
    assert_eq!(node.post(&format!("{DEAD}/discard"), json!({})).await.json(), json!({ "discarded": 3 }));
    let nobody = json!({ "final_status": "NO_HANDLER" });
    assert_eq!(node.post(&format!("{DEAD}/redrive"), nobody.clone()).await.json(), json!({ "redriven": 0 }));
    assert_eq!(node.post(&format!("{DEAD}/discard"), nobody).await.json(), json!({ "discarded": 1 }));
    node.end().await;
}

#[actix::test]
async fn many_are_only_changed_if_it_is_clear_which() {
    let node = Node::start().await;
    let dead = node.settle(event("fail")).await;
    let cases = [
        (Value::Null, 400, "missing_body"),
        (json!([]), 400, "not_an_object"),
        (json!({ "typ": "fail" }), 400, "unknown_member"),
        (json!({ "limit": "1" }), 400, "unknown_member"),
        (json!({ "type": "" }), 400, "bad_body"),
        (json!({ "type": null }), 400, "bad_body"),
        (json!({ "status": "DEAD" }), 400, "bad_body"),
        (json!({ "final_status": "COMPLETED" }), 400, "bad_body"),
    ];
    for verb in ["redrive", "discard"] {
        for (body, status, code) in &cases {
            let answer = node.post(&format!("{DEAD}/{verb}"), body.clone()).await;
            assert_eq!(answer.said(), told(*status, code), "{body}");
        }
        let query = node.post(&format!("{DEAD}/{verb}?type=fail"), json!({})).await;
        assert_eq!(query.said(), told(400, "unknown_parameter"));
        let form = TestRequest::with_uri(&format!("{DEAD}/{verb}")).method(Method::POST).set_payload("{}");
        assert_eq!(node.ask(form).await.said(), told(415, "unsupported_content_type"));
    }
    assert_eq!(ids(&node.get(DEAD).await), strings(&[dead]));
    node.end().await;
}

#[actix::test]
async fn a_paused_handler_shows_what_waits_and_goes_on_when_it_is_resumed() {
    let node = Node::start().await;
    let paused = node.post(&format!("{HANDLERS}/ok.%2A/pause"), json!({ "reason": "closed" })).await.json();
    assert_eq!((&paused["name"], &paused["state"]), (&json!("ok.*"), &json!("PAUSED")));
    let waiting = node.engine.submit(event("ok.a")).await.unwrap();
    assert_eq!(waiting.status.as_str(), "PENDING");
    let handlers = node.get(HANDLERS).await.json();
    let shown = handlers["items"].as_array().unwrap().iter().find(|handler| handler["name"] == "ok.*").unwrap();
    assert_eq!(
        shown,
        &json!({
            "name": "ok.*", "kind": "function", "types": ["ok.*"], "state": "PAUSED", "in_flight": 0, "queued": 1,
            "queue_capacity": 100, "concurrency": 10, "restarts": 0, "last_error": null,
        })
    );
    assert_eq!(node.post(&format!("{HANDLERS}/ok.*/resume"), Value::Null).await.json()["state"], json!("RUNNING"));
    assert_eq!(node.engine.settled(waiting.id).await.unwrap().status.as_str(), "SUCCESS");
    let what = |action: &str, reason: Option<&str>| {
        ("api@192.0.2.7".to_owned(), action.to_owned(), 1, reason.map(ToOwned::to_owned))
    };
    assert_eq!(audit(node).await, [what("pause", Some("closed")), what("resume", None)]);
}

#[actix::test]
async fn a_handler_that_is_not_there_is_named_with_what_was_meant() {
    let node = Node::start().await;
    let answer = node.post(&format!("{HANDLERS}/fial/pause"), Value::Null).await;
    assert_eq!(answer.said(), told(404, "not_found"));
    assert!(answer.json()["hint"].as_str().unwrap().contains("`fail`"));
    node.end().await;
}
