//! Resubmissions: a new event from a record, whatever became of it.

use super::*;

fn at(id: impl std::fmt::Display) -> String {
    format!("{EVENTS}/{id}/resubmit")
}

async fn shown(node: &Node, id: &Value) -> Value {
    let id: Uuid = id.as_str().unwrap().parse().unwrap();
    node.engine.settled(id).await.unwrap();
    node.get(&format!("{EVENTS}/{id}")).await.json()
}

#[actix::test]
async fn a_dead_letter_is_edited_and_submitted_as_a_new_event_that_names_it() {
    let node = Node::start().await;
    let dead =
        node.settle(NewEvent::new("fail", &json!({ "n": 1 })).unwrap().id("1").source("/shop").subject("s")).await;
    let body = r#"{"type": "ok.a", "data": {"n": 12345678901234567890123, "x": 1.10}, "reason": "typo"}"#;
    let request = TestRequest::with_uri(&at(dead)).method(Method::POST).insert_header(("x-operator", "ada"));
    let answer = node.ask(request.insert_header(("content-type", "application/json")).set_payload(body)).await;
    assert_eq!(answer.said(), told(202, ""));
    let new = answer.json();
    assert_eq!((&new["original"], &new["discarded"], &new["duplicate"]), (&json!(dead), &json!(false), &json!(false)));
    assert_eq!(answer.header("location").unwrap(), format!("{EVENTS}/{}", new["id"].as_str().unwrap()));
    let record = shown(&node, &new["id"]).await;
    assert_eq!(
        (&record["status"], &record["source"], &record["subject"]),
        (&json!("SUCCESS"), &json!("/shop"), &json!("s"))
    );
    assert_eq!(record["extensions"]["evenkeelorigin"], json!(dead));
    assert_ne!(record["event_id"], json!("1"));
    let sent = r#"{"n": 12345678901234567890123, "x": 1.10}"#;
    assert!(node.get(&format!("{EVENTS}/{}", new["id"].as_str().unwrap())).await.text.contains(sent));
    let reads = node.engine.reads();
    assert_eq!(reads.record(dead).await.unwrap().unwrap().status.as_str(), "FAILED_PERMANENT");
    let made: Vec<String> =
        reads.resubmissions(dead).await.unwrap().iter().map(|made| made.record.to_string()).collect();
    assert_eq!(made, [new["id"].as_str().unwrap()]);
    let acts = reads.acts(dead).await.unwrap();
    assert_eq!(acts.len(), 1);
    assert_eq!(
        (acts[0].actor.as_str(), acts[0].action.as_str(), acts[0].reason.as_deref()),
        ("ada", "resubmit", Some("typo"))
    );
    node.end().await;
}

#[actix::test]
async fn nothing_edited_is_the_same_content_as_a_new_event() {
    let node = Node::start().await;
    let text = Payload { content_type: Some("text/csv".to_owned()), bytes: Some("a;b".into()) };
    let first = node.settle(NewEvent::raw("ok.a", text.clone()).id("1").source("/shop")).await;
    node.settle(NewEvent::raw("ok.a", text).id("1").source("/shop")).await;
    let listed = node.get(&format!("{EVENTS}?status=DUPLICATE")).await;
    let duplicate = ids(&listed).remove(0);
    for id in [first.to_string(), duplicate, "1".to_owned()] {
        let new = node.post(&at(id), Value::Null).await;
        let record = shown(&node, &new.json()["id"]).await;
        assert_eq!((&record["data"], &record["datacontenttype"]), (&json!("a;b"), &json!("text/csv")), "{new:?}");
    }
    let edited =
        node.post(&at(first), json!({ "data": "c;d", "subject": null, "deliver_at": "2999-01-01T00:00:00Z" })).await;
    assert_eq!(edited.json()["status"], json!("SCHEDULED"));
    let bytes = json!({ "datacontenttype": "image/png", "data_base64": "iVA=", "id": "photo" });
    let record = shown(&node, &node.post(&at(first), bytes.clone()).await.json()["id"]).await;
    assert_eq!((&record["data_base64"], &record["event_id"]), (&json!("iVA="), &json!("photo")));
    // Its own id is a key like any other.
    assert_eq!(node.post(&at(first), bytes).await.json()["duplicate"], json!(true));
    assert_eq!(node.post(&at(first), json!({ "id": "photo", "data": "x" })).await.said(), told(409, "id_reused"));
    assert_eq!(node.engine.reads().resubmissions(first).await.unwrap().len(), 4);
    node.end().await;
}

#[actix::test]
async fn a_dead_letter_is_discarded_in_the_same_step_if_that_is_asked_for() {
    let node = Node::start().await;
    let (dead, ok) = (node.settle(event("fail")).await, node.settle(event("ok.a")).await);
    let answer = node.post(&at(dead), json!({ "type": "ok.a", "discard": true, "reason": "by hand" })).await;
    assert_eq!((answer.said(), &answer.json()["discarded"]), (told(202, ""), &json!(true)));
    assert_eq!(node.get(&format!("{EVENTS}/{dead}")).await.json()["status"], json!("DISCARDED"));
    let acts: Vec<String> = node.engine.reads().acts(dead).await.unwrap().into_iter().map(|act| act.action).collect();
    assert_eq!(acts, ["resubmit", "discard"]);
    // What cannot be discarded makes no new event either.
    assert_eq!(node.post(&at(ok), json!({ "discard": true })).await.said(), told(409, "not_a_dead_letter"));
    assert_eq!(ids(&node.get(EVENTS).await).len(), 3);
    node.end().await;
}

#[actix::test]
async fn a_resubmission_that_is_no_event_is_refused_by_name() {
    let node = Node::start().await;
    let id = node.settle(event("ok.a")).await;
    let deep = format!(r#"{{"data":{}{}}}"#, "[".repeat(101), "]".repeat(101));
    for (body, code, word) in [
        (r#"{"typ":"x"}"#, "unknown_member", "did you mean `type`"),
        (r#"{"type":7}"#, "bad_body", "`type` has to be a text"),
        (r#"{"type":""}"#, "invalid_event", "`type`"),
        (r#"{"discard":"yes"}"#, "bad_body", "`true` or `false`"),
        (r#"{"deliver_at":"monday"}"#, "bad_body", "RFC 3339"),
        (r#"{"data_base64":"?"}"#, "bad_body", "base64"),
        (r#"{"data":1,"data_base64":"MQ=="}"#, "bad_body", "one of them"),
        (r#"{"datacontenttype":"image/png","data":7}"#, "bad_body", "data_base64"),
        ("[]", "not_an_object", "object"),
        ("{", "malformed_json", "JSON"),
        (&deep, "too_deep", "100"),
    ] {
        let request = TestRequest::with_uri(&at(id)).method(Method::POST);
        let request = request.insert_header(("content-type", "application/json")).set_payload(body.to_owned());
        let answer = node.ask(request).await;
        assert_eq!(answer.said(), told(400, code), "{body}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(word), "{answer:?}");
    }
    assert_eq!(node.post(&at("nothing"), json!({})).await.said(), told(404, "not_found"));
    assert_eq!(ids(&node.get(EVENTS).await).len(), 1);
    node.end().await;
}
