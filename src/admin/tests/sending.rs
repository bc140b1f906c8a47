//! A test event: the form of its schema, what comes of it, and what is refused.

use actix_web::test::TestRequest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::post;
use crate::api::tests::{Answered, Node};
use crate::ingest::SchemaConfig;

const ORDER: &str = r#"{"type": "object", "required": ["total", "to"], "properties": {
    "total": {"type": "integer", "minimum": 0, "description": "In <b>cents</b>"},
    "currency": {"enum": ["EUR", "USD"], "default": "EUR"},
    "to": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string", "maxLength": 9}}},
    "tags": {"type": "array", "items": {"pattern": "^[a-z]+$", "type": "string"}}}}"#;

/// A node with a schema for `ok.paid`.
async fn start() -> (Node, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("paid.json");
    std::fs::write(&file, ORDER).unwrap();
    let schema = SchemaConfig { event_type: "ok.paid".to_owned(), file: file.display().to_string() };
    (Node::start_with(|config| config.schema = vec![schema]).await, folder)
}

fn shows(page: &Answered, status: u16, texts: &[&str]) {
    assert_eq!(page.status.as_u16(), status, "{page:?}");
    for text in texts {
        assert!(page.text.contains(text), "{text} is missing: {}", page.text);
    }
}

/// The event that a sent form leads to.
async fn arrived(node: &Node, answer: &Answered, notice: &str) -> Value {
    assert_eq!(answer.status.as_u16(), 303, "{answer:?}");
    let place = answer.header("location").unwrap();
    let (id, said) = place.strip_prefix("/events/").unwrap().split_once('?').unwrap();
    assert_eq!(said, format!("notice={notice}"));
    node.engine.settled(id.parse().unwrap()).await.unwrap();
    assert_eq!(node.get(place).await.status.as_u16(), 200);
    node.get(&format!("/api/v1/events/{id}")).await.json()
}

#[actix::test]
async fn the_types_are_listed_and_lead_to_their_forms() {
    let (node, _folder) = start().await;
    let page = node.get("/send").await;
    shows(
        &page,
        200,
        &[
            "href=\"/send?type=fail\"",
            "<code>ok.*</code>",
            "paid.json",
            "<a href=\"/send\" data-key=\"s\" aria-current",
        ],
    );
    assert!(!page.text.contains("[[schema]]"), "there is one");
    let page = node.get("/send?type=ok.paid").await;
    shows(&page, 200, &["ok.* handles it", "name=\"/data/total\" value=\"\" step=\"1\" min=\"0\" required"]);
    shows(
        &page,
        200,
        &["<option value=\"&#34;EUR&#34;\" selected>EUR</option>", "<legend>to</legend>", "In &#60;b&#62;cents"],
    );
    shows(
        &page,
        200,
        &["name=\"source\" value=\"/dashboard\"", "at most 9 characters", "name=\"/data/tags\" rows=\"3\""],
    );
    shows(&node.get("/send?type=other").await, 200, &["nothing on this node handles it", "<textarea name=\"/data\""]);
    shows(
        &node.get("/send?type=ok.paid&form=json").await,
        200,
        &["{\n  &#34;currency&#34;: &#34;EUR&#34;", "Fill in its fields"],
    );
    node.end().await;
}

#[actix::test]
async fn where_no_type_has_a_schema_the_page_says_how_to_add_one() {
    let node = Node::start().await;
    shows(&node.get("/send").await, 200, &["[[schema]]", "type = &#34;order.paid&#34;"]);
    shows(&node.get("/").await, 200, &["<a class=\"button\" href=\"/send\">"]);
    shows(&node.get("/events").await, 200, &["<a class=\"button\" href=\"/send\">"]);
    node.end().await;
}

#[actix::test]
async fn a_form_becomes_an_event_and_leads_to_it() {
    let (node, _folder) = start().await;
    let fields = "type=ok.paid&id=1&source=%2Fdesk&subject=s&extensions=partitionkey%3D7%0D%0A&count=1&then=send\
        &%2Fdata%2Ftotal=12345678901234567890&%2Fdata%2Fcurrency=%22USD%22&%2Fdata%2Fto%2Fcity=Ume%C3%A5&%2Fdata%2Ftags=a%0D%0Ab";
    let sent = arrived(&node, &post(&node, "/send", fields).await, "event-sent").await;
    assert_eq!((&sent["status"], &sent["event_id"], &sent["subject"]), (&json!("SUCCESS"), &json!("1"), &json!("s")));
    assert_eq!((&sent["source"], &sent["extensions"]), (&json!("/desk"), &json!({ "partitionkey": "7" })));
    let data =
        json!({ "total": 12345678901234567890_u64, "currency": "USD", "to": { "city": "Umeå" }, "tags": ["a", "b"] });
    assert_eq!(sent["data"], data);
    arrived(&node, &post(&node, "/send", fields).await, "event-known").await;
    let json = "type=other&id=2&source=%2Fdesk&count=1&then=send&form=json&%2Fdata=%5B1%5D";
    assert_eq!(arrived(&node, &post(&node, "/send", json).await, "event-sent").await["data"], json!([1]));
    let none = "type=ok.a&id=3&source=%2Fdesk&count=1&then=send";
    assert_eq!(arrived(&node, &post(&node, "/send", none).await, "event-sent").await["data"], Value::Null);
    node.end().await;
}

#[actix::test]
async fn what_is_wrong_is_told_beside_its_field_and_nothing_is_kept() {
    let (node, _folder) = start().await;
    let fields = "type=ok.paid&id=1&source=%2Fdesk&count=1&then=send&%2Fdata%2Ftotal=-1&%2Fdata%2Fto%2Fcity=%3Cb%3E&%2Fdata%2Ftags=a%0D%0AB";
    let page = post(&node, "/send", fields).await;
    shows(
        &page,
        422,
        &[
            "value=\"&#60;b&#62;\"",
            "min=\"0\" required autocomplete=\"off\"><span>In",
            "breaks the schema of `ok.paid`",
        ],
    );
    for (field, detail) in
        [("total", "`/data/total` is less than the minimum of 0"), ("tags", "`/data/tags/1` does not match")]
    {
        let label =
            page.text.split(&format!("name=\"/data/{field}\"")).nth(1).unwrap().split("</label>").next().unwrap();
        assert!(label.contains(&format!("role=\"alert\">{detail}")), "{label}");
    }
    for (fields, status, text) in [
        ("type=ok.a&id=1&source=s&count=1&extensions=Bad%3D1", 400, "role=\"alert\">`Bad` is no attribute name"),
        ("type=ok.a&id=1&source=s&count=1&extensions=nothing", 400, "and `nothing` is none</span>"),
        ("type=ok.a&source=s&count=1", 400, "role=\"alert\">`id` is missing</span>"),
        ("type=ok.a&id=1&source=s&count=101", 400, "role=\"alert\">`count` is a number from 1 to 100"),
        ("type=ok.a&id=1&source=s&count=1&%2Fdata=%7B", 400, "role=\"alert\">`/data` is not well-formed JSON"),
        ("type=&id=1&source=s&count=1", 400, "`type` is empty"),
    ] {
        shows(&post(&node, "/send", fields).await, status, &[text]);
    }
    let deep = format!("type=ok.a&id=1&source=s&count=1&%2Fdata={}{}", "[".repeat(101), "]".repeat(101));
    assert_eq!(post(&node, "/send", &deep).await.status.as_u16(), 400);
    assert_eq!(
        post(&node, "/send", "type=ok.paid&%2Fdata%2Fother=1").await.said(),
        (400, "unknown_parameter".to_owned())
    );
    assert_eq!(node.get("/api/v1/events").await.json()["items"], json!([]));
    node.end().await;
}

#[actix::test]
async fn a_form_goes_on_as_json_or_as_a_command_and_sends_nothing() {
    let (node, _folder) = start().await;
    let fields =
        "type=ok.paid&id=it%27s&source=%2Fdesk&count=1&%2Fdata%2Ftotal=1.50&%2Fdata%2Fcurrency=%22USD%22&then=";
    let page = post(&node, "/send", &format!("{fields}json")).await;
    shows(
        &page,
        200,
        &["name=\"form\" value=\"json\"", "&#34;total&#34;: 1.50,\n  &#34;currency&#34;: &#34;USD&#34;", "it&#39;s"],
    );
    let page = post(&node, "/send", &format!("{fields}curl")).await;
    shows(&page, 200, &["curl -i &#39;http://", "&#34;total&#34;: 1.50", "data-copy=\"curl\"", "value=\"1.50\""]);
    assert_eq!(node.get("/api/v1/events").await.json()["items"], json!([]));
    node.end().await;
}

#[actix::test]
async fn a_hundred_have_ids_of_their_own() {
    let (node, _folder) = start().await;
    let answer = post(&node, "/send", "type=ok.a&id=n&source=%2Fdesk&count=100&then=send").await;
    let place = answer.header("location").unwrap();
    assert_eq!(place, "/events?type=ok.a&source=/desk&notice=events-sent&count=100");
    shows(&node.get(place).await, 200, &["100 events are in the ledger."]);
    for id in ["n-1", "n-100"] {
        assert_eq!(
            node.get(&format!("/api/v1/events?event_id={id}")).await.json()["items"].as_array().unwrap().len(),
            1
        );
    }
    node.end().await;
}

#[actix::test]
async fn a_form_of_another_site_sends_nothing() {
    let node = Node::start().await;
    let form = TestRequest::with_uri("/send").method(actix_web::http::Method::POST);
    let form = form.insert_header(("content-type", "application/x-www-form-urlencoded"));
    let form = form.insert_header(("origin", "https://elsewhere.example"));
    let answer = node.ask(form.set_payload("type=ok.a&id=1&source=s&count=1")).await;
    assert_eq!(answer.status.as_u16(), 403, "{answer:?}");
    node.end().await;
}
