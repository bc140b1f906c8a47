//! Schemas: `GET /api/v1/schemas`, and what becomes of events that break them.

use super::*;
use crate::ingest::SchemaConfig;

const ORDER: &str =
    r#"{"type": "object", "required": ["total"], "properties": {"total": {"type": "integer", "minimum": 0}}}"#;

/// A node with schemas for `ok.paid` and `ok.any`; their files are in a folder of their own.
async fn start() -> (Node, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let schema = |event_type: &str, name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        SchemaConfig { event_type: event_type.to_owned(), file: file.display().to_string() }
    };
    let schemas = vec![schema("ok.paid", "paid.json", ORDER), schema("ok.any", "any.json", "true")];
    (Node::start_with(|config| config.schema = schemas).await, folder)
}

fn paid(data: &Value) -> Value {
    json!({ "type": "ok.paid", "id": "1", "source": "/shop", "data": data })
}

#[actix::test]
async fn schemas_are_listed_by_type_as_they_stand_in_their_files() {
    let (node, folder) = start().await;
    let answer = node.get("/api/v1/schemas").await;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let order: Value = serde_json::from_str(ORDER).unwrap();
    let expected = json!({ "items": [
        { "type": "ok.any", "file": file("any.json"), "schema": true },
        { "type": "ok.paid", "file": file("paid.json"), "schema": order },
    ] });
    assert_eq!((answer.said(), answer.json()), (told(200, ""), expected));
    assert!(answer.text.contains(ORDER), "{}", answer.text);
    node.end().await;
    let node = Node::start().await;
    assert_eq!(node.get("/api/v1/schemas").await.json(), json!({ "items": [] }));
    node.end().await;
}

#[actix::test]
async fn an_event_that_breaks_its_schema_is_kept_as_invalid_and_never_handled() {
    let (node, _folder) = start().await;
    let answer = node.post(EVENTS, paid(&json!({ "total": -1, "note": "hush" }))).await;
    assert_eq!(answer.said(), told(422, "schema_violation"));
    let problem = answer.json();
    let detail = "`/data/total` is less than the minimum of 0";
    let error = json!({ "pointer": "/data/total", "detail": detail, "code": "bad_value" });
    assert_eq!(problem["errors"], json!([error]));
    assert_eq!(problem["detail"], json!(format!("the data breaks the schema of `ok.paid`: {detail}")));
    let kept = node.get(&format!("{EVENTS}/{}", problem["record"].as_str().unwrap())).await.json();
    assert_eq!((&kept["status"], &kept["final_status"]), (&json!("INVALID"), &json!("FAILED")));
    assert_eq!((&kept["attempts"], &kept["error"]), (&json!([]), &problem["detail"]));
    assert_eq!((&kept["data"], &kept["event_id"]), (&json!({ "total": -1, "note": "hush" }), &json!("1")));
    assert_eq!(node.engine.metrics().events.with_label_values(&["INVALID"]).get(), 1);
    node.end().await;
}

#[actix::test]
async fn a_corrected_event_may_use_the_id_again_and_its_bytes_are_kept() {
    let (node, _folder) = start().await;
    for _ in 0..2 {
        assert_eq!(node.post(EVENTS, paid(&json!({}))).await.said(), told(422, "schema_violation"));
    }
    let sent = r#"{"total": 123456789012345678901234567890}"#;
    let answer =
        node.send("application/json", format!(r#"{{"type":"ok.paid","id":"1","source":"/shop","data":{sent}}}"#)).await;
    assert_eq!((answer.said(), &answer.json()["duplicate"]), (told(202, ""), &json!(false)));
    assert!(node.get(&format!("{EVENTS}/1")).await.text.contains(sent));
    // The id is taken now, and an event that breaks the schema is still told about that first.
    assert_eq!(node.post(EVENTS, paid(&json!({ "total": 2 }))).await.said(), told(409, "id_reused"));
    assert_eq!(node.post(EVENTS, paid(&json!({}))).await.said(), told(422, "schema_violation"));
    node.end().await;
}

#[actix::test]
async fn a_batch_takes_what_keeps_its_schema_and_names_the_rest() {
    let (node, _folder) = start().await;
    let batch = json!([
        paid(&json!({ "total": 1 })),
        { "type": "ok.paid", "data": { "total": "1" } },
        { "type": "ok.paid" },
        { "type": "ok.free", "data": "anything" },
    ]);
    let answer = node.post(EVENTS, batch).await;
    assert_eq!(answer.said(), told(207, ""));
    let outcome = answer.json();
    assert_eq!((&outcome["accepted"], &outcome["duplicates"], &outcome["invalid"]), (&json!(2), &json!(0), &json!(2)));
    let error = &outcome["results"][1]["error"];
    assert_eq!((&error["code"], &error["status"]), (&json!("schema_violation"), &json!(422)));
    assert_eq!(error["errors"][0]["pointer"], json!("/data/total"));
    let record: Uuid = error["record"].as_str().unwrap().parse().unwrap();
    assert_eq!(node.engine.reads().record(record).await.unwrap().unwrap().status.as_str(), "INVALID");
    assert_eq!(outcome["results"][2]["error"]["errors"][0]["pointer"], json!("/data"));

    let none = node.post(EVENTS, json!([{ "type": "ok.paid" }, { "type": "ok.paid", "data": 7 }])).await;
    assert_eq!((none.said(), &none.json()["invalid"]), (told(422, "no_event_accepted"), &json!(2)));
    assert_eq!(ids(&node.get(&format!("{EVENTS}?status=INVALID")).await).len(), 4);
    assert_eq!(node.engine.metrics().events.with_label_values(&["INVALID"]).get(), 4);
    node.end().await;
}

#[actix::test]
async fn a_type_with_a_schema_takes_json_and_nothing_else() {
    let (node, _folder) = start().await;
    let binary = |content_type: &str| {
        let request = TestRequest::with_uri(EVENTS).method(Method::POST).set_payload("1");
        let attributes = [("ce-specversion", "1.0"), ("ce-id", "b"), ("ce-source", "/s"), ("ce-type", "ok.any")];
        let request = attributes.into_iter().fold(request, TestRequest::append_header);
        request.insert_header(("content-type", content_type))
    };
    let answer = node.ask(binary("text/plain")).await;
    assert_eq!(answer.said(), told(422, "schema_violation"));
    assert_eq!(answer.json()["errors"][0]["pointer"], json!("/datacontenttype"));
    assert_eq!(node.ask(binary("application/vnd.any+json; charset=utf-8")).await.said(), told(202, ""));
    assert_eq!(node.post(EVENTS, json!({ "type": "ok.any" })).await.said(), told(422, "schema_violation"));
    assert_eq!(node.post(EVENTS, json!({ "type": "ok.any", "data": null })).await.said(), told(202, ""));
    node.end().await;
}
