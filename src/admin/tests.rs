//! Pages as a browser gets them, without its scripts. Their headers are held against their contract with each answer.

mod dead_letters;
mod events;
mod palette;
mod sending;

use std::future::Ready;

use actix_web::test::TestRequest;
use serde_json::json;

use crate::api::tests::{Answered, Node, event};
use crate::engine::Builder;
use crate::{Event, HandlerError, NewEvent, Payload};

/// Fills a form in.
async fn post(node: &Node, path: &str, fields: &str) -> Answered {
    let form = TestRequest::with_uri(path).method(actix_web::http::Method::POST);
    let form = form.insert_header(("content-type", "application/x-www-form-urlencoded"));
    node.ask(form.set_payload(fields.to_owned())).await
}

async fn get_in_a_browser(node: &Node, path: &str) -> Answered {
    node.ask(TestRequest::with_uri(path).insert_header(("accept", "text/html,*/*;q=0.8"))).await
}

#[actix::test]
async fn the_overview_says_how_it_stands_and_leads_to_each_list() {
    let node = Node::start().await;
    let empty = node.get("/").await.text;
    assert!(empty.contains("evenkeel send demo.hello"), "{empty}");
    node.settle(event("ok.a")).await;
    node.settle(event("fail")).await;
    let alerted = async {
        while node.get("/api/v1/alerts").await.json()["items"].as_array().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), alerted).await.unwrap();
    let group = dead_letters::group(&node).await;
    let page = node.get("/?range=24h").await.text;
    for part in [
        &*format!(r#"<a href="/dead-letters?group={group}"><strong data-kind="warn">dead_letter</strong> fail</a>:"#),
        "no such account (1)",
        "All is well.",
        r#"<a class="figure" href="/dead-letters"><span class="label">Dead letters</span> <b data-live="dead_letters">1</b>"#,
        r#"<b data-live="succeeded">1</b>"#,
        r#"<a href="/?range=24h" aria-current="true">24 h</a>"#,
        "<svg",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    node.end().await;
}

#[actix::test]
async fn the_overview_says_why_it_is_degraded_and_has_an_answer_without_a_ledger() {
    let node = Node::start().await;
    node.post("/api/v1/handlers/fail/pause", json!({})).await;
    let page = node.get("/").await.text;
    assert!(page.contains("Degraded.") && page.contains("Handler fail is paused: its events wait."), "{page}");
    node.engine.shutdown().await.unwrap();
    for path in ["/", "/actors", "/handlers"] {
        assert_eq!(node.get(path).await.said().0, 200, "{path}");
    }
    let page = node.get("/").await.text;
    assert!(page.contains("Not ready.") && page.contains("The ledger cannot be read."), "{page}");
}

#[actix::test]
async fn a_handler_is_paused_resumed_and_restarted_by_plain_forms() {
    let node = Node::start().await;
    let form = "reason=so&back=%2Fhandlers";
    for (verb, seen) in [("pause", "PAUSED"), ("resume", "RUNNING"), ("restart", "RUNNING")] {
        let answer = post(&node, &format!("/admin/handlers/ok%2E%2A/{verb}"), form).await;
        assert_eq!(answer.status.as_u16(), 303, "{answer:?}");
        let back = answer.header("location").unwrap().to_owned();
        assert!(back.starts_with("/handlers?notice=handler-"), "{back}");
        let page = node.get(&back).await.text;
        assert!(page.contains(r#"role="status">The handler"#), "{page}");
        let handlers = node.get("/api/v1/handlers").await.json();
        assert_eq!((&handlers["items"][1]["name"], &handlers["items"][1]["state"]), (&json!("ok.*"), &json!(seen)));
    }
    let missing = get_in_a_browser(&node, "/admin/handlers/ok/pause").await;
    assert_eq!(missing.status.as_u16(), 405);
    assert_eq!(post(&node, "/admin/handlers/nobody/pause", form).await.status.as_u16(), 404);
    assert_eq!(post(&node, "/admin/handlers/fail/pause", "reason=so&other=1").await.status.as_u16(), 400);
    node.end().await;
}

#[actix::test]
async fn what_a_panic_says_is_text_wherever_an_actors_last_error_is_shown() {
    let broken = |builder: Builder| {
        builder.handler_fn("broken", |_: Event<Payload>| -> Ready<Result<(), HandlerError>> {
            panic!("<script>alert(1)</script>")
        })
    };
    let node = Node::start_from(broken).await;
    node.engine.submit(NewEvent::raw("broken", Payload::default())).await.unwrap();
    while node.get("/api/v1/handlers").await.json()["items"][0]["last_error"].is_null() {
        tokio::task::yield_now().await;
    }
    for path in ["/actors", "/handlers"] {
        let page = node.get(path).await.text;
        assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{page}");
        assert!(!page.contains("<script>alert"), "{page}");
    }
    node.engine.shutdown().await.unwrap();
}

#[actix::test]
async fn a_handler_is_restarted_over_http() {
    let node = Node::start().await;
    let answer = node.post("/api/v1/handlers/fail/restart", json!({ "reason": "a new version of its server" })).await;
    assert_eq!((answer.said().0, &answer.json()["name"]), (200, &json!("fail")));
    assert_eq!(node.post("/api/v1/handlers/nobody/restart", json!({})).await.said(), (404, "not_found".to_owned()));
    node.end().await;
}

#[actix::test]
async fn who_asks_for_a_page_that_is_not_there_gets_a_page_that_says_so() {
    let node = Node::start().await;
    let page = get_in_a_browser(&node, "/nothing").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(page.text.contains("there is nothing at `/nothing`"), "{}", page.text);
    assert_eq!(node.get("/nothing").await.said(), (404, "unknown_path".to_owned()));
    node.end().await;
}

#[actix::test]
async fn colours_are_chosen_by_a_form_and_kept_by_the_browser() {
    let node = Node::start().await;
    let answer = post(&node, "/admin/theme", "theme=dark&back=%2Factors").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some("/actors")));
    assert!(answer.header("set-cookie").unwrap().starts_with("evenkeel-theme=dark; Path=/;"));
    let page = node.ask(TestRequest::with_uri("/actors").insert_header(("cookie", "evenkeel-theme=dark"))).await;
    assert!(page.text.contains(r#"data-theme="dark""#), "{}", page.text);
    node.end().await;
}

#[actix::test]
async fn the_name_of_the_installation_is_on_every_page_and_only_text() {
    let node = Node::start_with(|config| config.dashboard.environment = "<b>production</b>".to_owned()).await;
    let page = node.get("/actors").await.text;
    assert!(page.contains("&#60;b&#62;production&#60;/b&#62;</span>"), "{page}");
    node.end().await;
}

#[actix::test]
async fn what_pages_load_is_kept_for_ever_and_changes_its_address_with_its_content() {
    let node = Node::start().await;
    let page = node.get("/").await.text;
    let loaded: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert!(loaded.len() >= 3, "{page}");
    for address in &loaded {
        let file = node.get(address).await;
        assert_eq!((file.status.as_u16(), file.header("x-content-type-options")), (200, Some("nosniff")));
        assert_eq!(file.header("cache-control"), Some("public, max-age=31536000, immutable"));
    }
    assert_eq!(node.get("/assets/0123456789abcdef/app.css").await.status.as_u16(), 404);
    node.end().await;
}
