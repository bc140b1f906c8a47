//! A newcomer's first minute: an event comes in, fails, is tried again, and succeeds, and all of it is seen as it happens.

use serde_json::json;

use crate::browser::Browser;
use crate::harness::Place;
use crate::process::Node;

#[actix::test]
async fn a_newcomer_sees_an_event_arrive_fail_and_succeed_without_loading_a_page_again() {
    let Some(browser) = Browser::start().await else { return };
    let place = Place::new();
    let node = Node::dev(&place).await;
    browser.open(&node.url).await;
    browser.until("#live", "the stream is open", |text| text == "Live").await;
    browser.until("#newest .empty", "the first command is shown", |text| text.contains("evenkeel send")).await;
    browser.ask("window.isTheSame = true").await;
    let event = json!({ "type": "demo.flaky", "id": "the-first", "data": { "failures": 2 } });
    let record = node.submit(&event).await;
    browser.until("#newest", "the event is listed", |text| text.contains("the-first")).await;
    assert_eq!(browser.ask("return window.isTheSame").await, true, "the page was loaded again");

    browser.click("#newest tbody a").await;
    browser.until_at(&format!("/events/{record}")).await;
    browser.ask("window.isTheSame = true").await;
    let life = browser.until(".timeline", "it succeeds", |life| life.contains("Its end")).await;
    for part in ["Accepted from embedded", "FAILED", "Attempt 1 by flaky", "this was attempt 2", "Attempt 3 by flaky"] {
        assert!(life.contains(part), "{part} is not in {life}");
    }
    assert_eq!(browser.ask("return window.isTheSame").await, true, "the page was loaded again");
    assert_eq!(browser.text("#event .status").await.as_deref(), Some("SUCCESS"));
    browser.quit().await;
}

#[actix::test]
async fn new_events_are_announced_above_a_list_that_stays_where_it_is() {
    let Some(browser) = Browser::start().await else { return };
    let place = Place::new();
    let node = Node::dev(&place).await;
    browser.open(&format!("{}/events?type=demo.hello", node.url)).await;
    browser.until("#live", "the stream is open", |text| text == "Live").await;
    for (number, rows) in [("one", 1), ("two", 2)] {
        node.submit(&json!({ "type": "demo.hello", "id": number })).await;
        node.submit(&json!({ "type": "nobody", "id": number, "source": "/other" })).await;
        browser.until("#news", "it is announced", |text| text == "1 new").await;
        assert_eq!(browser.ask("return document.querySelectorAll('tr[data-id]').length").await, rows - 1);
        browser.follow("1 new").await;
        browser.until("#events tbody tr", "it is the first of the list", |text| text.starts_with(number)).await;
        assert_eq!(browser.ask("return document.querySelectorAll('tr[data-id]').length").await, rows);
    }
    browser.quit().await;
}
