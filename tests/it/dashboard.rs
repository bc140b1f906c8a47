//! The dashboard in a real browser, and on the wire.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use rustix::process::Signal;
use serde_json::json;

use crate::browser::{Browser, Look};
use crate::harness::{Place, eventually};
use crate::process::Node;

/// The pages of the navigation.
const PAGES: [&str; 4] = ["/", "/actors", "/handlers", "/nodes"];

/// A node with an event of each kind.
async fn node_with_events(place: &Place) -> Node {
    let node = Node::dev(place).await;
    for (event_type, status) in [("demo.hello", "SUCCESS"), ("demo.panic", "RETRY_SCHEDULED"), ("nobody", "NO_HANDLER")]
    {
        let id =
            node.submit(&json!({ "type": event_type, "id": "<b>&\"'" , "source": format!("/{event_type}") })).await;
        node.until(&id, status).await;
    }
    node
}

#[actix::test]
async fn the_overview_changes_when_an_event_arrives() {
    let Some(browser) = Browser::start(Look::default()).await else { return };
    let place = Place::new();
    let node = Node::dev(&place).await;
    browser.open(&node.url).await;
    browser.until("#live", "the stream is open", |text| text == "Live").await;
    assert_eq!(browser.text("[data-live=succeeded]").await.as_deref(), Some("0"));
    let id = node.submit(&json!({ "type": "demo.hello", "id": "the-first" })).await;
    node.until(&id, "SUCCESS").await;
    browser.until("[data-live=succeeded]", "the count lives", |text| text == "1").await;
    browser.until("#newest tbody th", "the event is listed", |text| text == "the-first").await;
    browser.picture("overview-live").await;
    browser.quit().await;
}

#[actix::test]
async fn every_page_is_sound_in_light_dark_and_on_a_phone() {
    let place = Place::new();
    let node = node_with_events(&place).await;
    let looks = [
        ("light", Look::default()),
        ("dark", Look { dark: true, ..Look::default() }),
        ("phone", Look { phone: true, ..Look::default() }),
    ];
    for (name, look) in looks {
        let Some(browser) = Browser::start(look).await else { return };
        for path in PAGES {
            browser.open(&format!("{}{path}", node.url)).await;
            browser.until("#live", "the stream is open", |text| text == "Live").await;
            browser.fits(&format!("{path} in {name}")).await;
            browser.has_no_complaint(path).await;
            browser.picture(&format!("{name}{}", path.replace('/', "-"))).await;
        }
        browser.quit().await;
    }
}

#[actix::test]
async fn every_page_can_be_read_without_scripts() {
    let place = Place::new();
    let node = node_with_events(&place).await;
    let Some(browser) = Browser::start(Look { scriptless: true, ..Look::default() }).await else { return };
    for (path, selector, text) in [
        ("/", "#newest tbody", "<b>&\"'"),
        ("/actors", "#actors tbody", "processor-0"),
        ("/handlers", "#handlers tbody", "3 retries"),
    ] {
        browser.open(&format!("{}{path}", node.url)).await;
        let shown = browser.text(selector).await.unwrap();
        assert!(shown.contains(text), "{text} is not in {shown}");
    }
    assert_eq!(browser.ask("return document.getElementById('live').hidden").await, true, "no script has run");
    browser.quit().await;
}

#[actix::test]
async fn a_handler_is_paused_and_resumed_with_the_keyboard_alone() {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    const ESCAPE: &str = "\u{e00c}";
    let Some(browser) = Browser::start(Look::default()).await else { return };
    let place = Place::new();
    let node = Node::dev(&place).await;
    browser.open(&node.url).await;
    browser.press("?").await;
    browser.until("dialog h2", "the keys are shown", |text| text == "Keys").await;
    browser.press(ESCAPE).await;
    browser.press("/").await;
    assert_eq!(browser.ask("return document.activeElement.id").await, "search");
    browser.ask("document.activeElement.blur()").await;
    browser.press("gh").await;
    browser.until("h1", "the keys lead to the handlers", |text| text == "Handlers").await;
    for (word, state) in [("Pause", "PAUSED"), ("Resume", "RUNNING")] {
        let focused = format!(
            "const at = document.activeElement;\
             return at.matches('tbody tr:first-child summary') && at.textContent === '{word}'"
        );
        for _ in 0..200 {
            browser.press(TAB).await;
            if browser.ask(&focused).await == true {
                break;
            }
        }
        browser.press(ENTER).await;
        browser.press(TAB).await;
        browser.press("because").await;
        browser.press(ENTER).await;
        let first = "tbody tr:first-child .status";
        browser.until(first, "the handler stands so", |text| text.contains(state)).await;
        browser.until(".notice", "the page says so", |text| text.contains("handler")).await;
    }
    browser.quit().await;
}

/// Reads a stream until this is in it.
async fn read_until(answer: &mut reqwest::Response, wanted: &str) -> String {
    let mut read = String::new();
    while !read.contains(wanted) {
        let chunk = answer.chunk().await.unwrap().unwrap_or_else(|| panic!("the stream ended with {read}"));
        read.push_str(&String::from_utf8_lossy(&chunk));
    }
    read
}

#[actix::test]
async fn the_stream_says_what_has_changed_and_a_browser_that_comes_back_hears_only_what_is_new() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let live = || node.http.get(format!("{}/live", node.url));
    let mut stream = live().send().await.unwrap();
    assert_eq!(stream.headers()[CONTENT_TYPE], "text/event-stream");
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    let first = read_until(&mut stream, "\"version\"").await;
    assert!(first.starts_with("retry: 2000\n\n"), "{first}");
    let id = first.split("id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let mut again = live().header("last-event-id", &id).send().await.unwrap();
    node.submit(&json!({ "type": "demo.hello" })).await;
    let next = read_until(&mut again, "\"all\":\"1\"").await;
    assert!(!next.contains(&format!("id: {id}\n")), "{next}");
    read_until(&mut stream, "\"all\":\"1\"").await;
}

#[actix::test]
async fn there_are_only_so_many_streams_and_who_goes_gives_its_place() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let live = || node.http.get(format!("{}/live", node.url));
    let mut streams = Vec::new();
    for _ in 0..64 {
        let stream = live().send().await.unwrap();
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    let refused = live().send().await.unwrap();
    assert_eq!(
        (refused.status(), refused.headers()["retry-after"].as_bytes()),
        (StatusCode::SERVICE_UNAVAILABLE, &b"5"[..])
    );
    drop(streams);
    eventually("a place is free", async || live().send().await.unwrap().status().is_success().then_some(())).await;
}

#[actix::test]
async fn ctrl_c_ends_the_engine_at_once_although_a_dashboard_is_open() {
    let place = Place::new();
    let mut node = Node::dev(&place).await;
    let mut stream = node.http.get(format!("{}/live", node.url)).send().await.unwrap();
    read_until(&mut stream, "\"version\"").await;
    let asked = Instant::now();
    node.process.signal(Signal::INT);
    assert!(node.process.ended().await.success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    while let Ok(Some(_)) = stream.chunk().await {}
}
