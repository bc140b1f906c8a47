//! The list of events, one event, and its way back in as a new one.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;
use uuid::Uuid;

use crate::api::tests::{Answered, Node, event};
use crate::{NewEvent, Payload};

/// What a browser would run if it were not text.
const TRICK: &str = r#"</pre><script>alert(1)</script><img src=x onerror=alert(2)>"'"#;

/// What a form sends.
async fn fill(node: &Node, path: &str, fields: &str) -> Answered {
    let request = TestRequest::with_uri(path).method(Method::POST).insert_header(("accept", "text/html"));
    let request = request.insert_header(("content-type", "application/x-www-form-urlencoded"));
    node.ask(request.set_payload(fields.to_owned())).await
}

fn shows(page: &Answered, texts: &[&str]) {
    assert_eq!(page.status.as_u16(), 200, "{page:?}");
    for text in texts {
        assert!(page.text.contains(text), "{text} is missing: {}", page.text);
    }
}

/// The links to events, in their order.
fn rows(page: &Answered) -> Vec<String> {
    page.text.split("<tr data-id=\"").skip(1).map(|row| row.split('"').next().unwrap().to_owned()).collect()
}

#[actix::test]
async fn the_list_keeps_what_was_asked_for_in_its_addresses() {
    let node = Node::start().await;
    shows(&node.get("/events").await, &["evenkeel send demo.hello"]);
    let dead = node.settle(event("fail").id("a b").source("/shop")).await;
    let mut fine = Vec::new();
    for _ in 0..51 {
        fine.push(node.settle(event("ok.a")).await.to_string());
    }
    let page = node.get("/events?q=status%3Afailed_permanent+error%3A%22such+account%22").await;
    shows(
        &page,
        &["value=\"status:FAILED_PERMANENT error:&#34;such account&#34;\"", "<option selected>FAILED_PERMANENT"],
    );
    shows(&page, &["href=\"/api/v1/events.ndjson?status=FAILED_PERMANENT&#38;error=such%20account\""]);
    assert_eq!(rows(&page), [dead.to_string()]);
    assert_eq!(rows(&node.get("/events?q=a").await), Vec::<String>::new());
    assert_eq!(rows(&node.get("/events?q=%22a+b%22").await), [dead.to_string()]);
    let first = node.get("/events?type=ok.a&since=1h").await;
    assert_eq!((rows(&first).len(), &rows(&first)[0]), (50, &fine[50]));
    let older = first.text.split("rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap();
    let older = older.split('"').next().unwrap().replace("&#38;", "&");
    assert!(older.starts_with("/events?since=1h&type=ok.a&cursor="), "{older}");
    let second = node.get(&older).await;
    assert_eq!(rows(&second), fine[..1]);
    shows(&second, &["href=\"/events?since=1h&#38;type=ok.a\" rel=\"first\""]);
    node.end().await;
}

#[actix::test]
async fn a_search_for_a_record_goes_to_it_and_a_bad_one_says_what_is_wrong() {
    let node = Node::start().await;
    let id = node.settle(event("ok.a")).await;
    let found = node.get(&format!("/events?q={id}")).await;
    assert_eq!((found.status.as_u16(), found.header("location")), (303, Some(format!("/events/{id}").as_str())));
    let ask = |uri: &str| TestRequest::with_uri(uri).insert_header(("accept", "text/html"));
    for (uri, status, text) in [
        ("/events?q=status:DONE", 400, "is none of them"),
        ("/events?stat=1", 400, "did you mean"),
        ("/events?cursor=x", 400, "is no cursor"),
        ("/events/nothing", 404, "there is no record"),
        ("/events/0190163d-8694-739b-aea5-966c26f8ad91/edit", 404, "there is no record"),
    ] {
        let page = node.ask(ask(uri)).await;
        assert_eq!(page.status.as_u16(), status, "{uri}");
        assert!(page.text.contains(text), "{uri}: {}", page.text);
    }
    node.end().await;
}

#[actix::test]
async fn an_event_is_shown_with_its_life_and_its_data() {
    let node = Node::start().await;
    let sent = r#"{"big": 12345678901234567890123, "list": [{"deep": true}]}"#;
    let dead = node.settle(NewEvent::raw("fail", Payload::json(sent)).id("it's").source("/shop")).await;
    let page = node.get(&format!("/events/{dead}")).await;
    shows(&page, &["Attempt 1 by fail on node", "no such account", "FAILED_PERMANENT", "Accepted from embedded"]);
    shows(&page, &["<code>12345678901234567890123</code>", "object of 2", "array of 1", "Redrive", "Discard"]);
    shows(&page, &["it&#39;\\&#39;&#39;s", "curl -i &#39;http://"]);
    assert!(!page.text.contains("/cancel"), "it has ended");
    node.end().await;
}

#[actix::test]
async fn whatever_an_event_holds_is_text_on_every_page() {
    let node = Node::start().await;
    let data = json!({ TRICK: TRICK }).to_string();
    let tricky = NewEvent::raw(format!("ok.{TRICK}"), Payload::json(data)).id(TRICK).source(TRICK).subject(TRICK);
    let id = node.settle(tricky.extension("trick", TRICK).extension("evenkeelorigin", "ftp://elsewhere")).await;
    let typed = format!("error:\"{}\"", TRICK.replace('"', "\\\""));
    let typed: String = typed.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let pages =
        ["/events".to_owned(), format!("/events/{id}"), format!("/events/{id}/edit"), format!("/events?q={typed}")];
    for page in pages {
        let page = node.get(&page).await;
        assert_eq!(page.status.as_u16(), 200);
        for harm in ["<script>alert", "<img src=x", "href=\"ftp:"] {
            assert!(!page.text.contains(harm), "{}", page.text);
        }
        assert!(page.text.contains("&#60;script&#62;alert(1)"), "{}", page.text);
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'; script-src 'self';"));
    }
    node.end().await;
}

#[actix::test]
async fn an_operator_does_with_an_event_what_its_state_allows() {
    let node = Node::start().await;
    let dead = node.settle(event("fail")).await;
    let redriven = fill(&node, &format!("/admin/events/{dead}/redrive"), "reason=again").await;
    assert_eq!(redriven.status.as_u16(), 303);
    assert_eq!(redriven.header("location"), Some(format!("/events/{dead}?notice=event-redriven").as_str()));
    node.engine.settled(dead).await.unwrap();
    let page = node.get(&format!("/events/{dead}?notice=event-redriven")).await;
    shows(
        &page,
        &["A new round of attempts has begun.", "Attempt 2 by fail", "Redriven by dashboard@192.0.2.7: again"],
    );
    assert_eq!(fill(&node, &format!("/admin/events/{dead}/discard"), "").await.status.as_u16(), 303);
    let again = fill(&node, &format!("/admin/events/{dead}/discard"), "").await;
    assert_eq!(again.status.as_u16(), 409);
    assert_eq!(fill(&node, &format!("/admin/events/{dead}/delete"), "").await.status.as_u16(), 404);
    node.end().await;
}

#[actix::test]
async fn a_dead_letter_is_mended_in_a_form_and_becomes_a_new_event() {
    let node = Node::start().await;
    let dead = node.settle(NewEvent::new("fail", &json!({ "n": 1 })).unwrap().id("1").source("/shop")).await;
    shows(&node.get(&format!("/events/{dead}/edit")).await, &["{&#34;n&#34;:1}</textarea>", "Discard the dead letter"]);
    let path = format!("/admin/events/{dead}/resubmit");
    let broken = fill(&node, &path, "type=ok.a&source=/shop&data=%7B&reason=typo").await;
    assert_eq!(broken.status.as_u16(), 400);
    for text in ["not well-formed JSON", "{</textarea>", "value=\"ok.a\"", "value=\"typo\""] {
        assert!(broken.text.contains(text), "{text}: {}", broken.text);
    }
    let fields =
        "type=ok.a&source=/shop&subject=s&data=%7B%0D%0A%22n%22:+12345678901234567890%7D&reason=typo&discard=yes";
    let answer = fill(&node, &path, fields).await;
    assert_eq!(answer.status.as_u16(), 303, "{answer:?}");
    let place = answer.header("location").unwrap();
    let (new, notice) = place.strip_prefix("/events/").unwrap().split_once('?').unwrap();
    assert_eq!(notice, "notice=event-resubmitted-discarded");
    node.engine.settled(new.parse::<Uuid>().unwrap()).await.unwrap();
    shows(&node.get(place).await, &["12345678901234567890", "SUCCESS", "made from", &dead.to_string()]);
    shows(
        &node.get(&format!("/events/{dead}")).await,
        &["DISCARDED", "Resubmitted as", new, "Resubmitted by", ": typo"],
    );
    node.end().await;
}
