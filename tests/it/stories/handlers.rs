//! A handler is paused, its lane fills, it is resumed, and its actor is built again.

use crate::browser::Browser;
use crate::harness::Place;
use crate::process::Node;

/// Opens a question of the handler `hello` and says yes.
async fn say(browser: &Browser, verb: &str) {
    let form = format!("#handler-hello form[action$='/{verb}']");
    browser.click(&format!("#handler-hello details:has(form[action$='/{verb}']) > summary")).await;
    browser.fill(&format!("{form} [name=reason]"), "a look at its database").await;
    browser.click(&format!("{form} button")).await;
}

#[actix::test]
async fn a_paused_handlers_lane_fills_and_empties_when_it_is_resumed() {
    const WAITS: &str = "#handler-hello [data-live='lane.hello.queued']";
    let Some(browser) = Browser::start().await else { return };
    let place = Place::new();
    let node = Node::dev(&place).await;
    browser.open(&format!("{}/handlers", node.url)).await;
    say(&browser, "pause").await;
    browser.until("#handler-hello .status", "it is paused", |text| text == "PAUSED").await;
    node.submit_all("demo.hello", &["a", "b", "c"].map(str::to_owned)).await;
    browser.until(WAITS, "its lane fills", |text| text == "3").await;
    browser.open(&format!("{}/actors", node.url)).await;
    let lane = browser.until("#actors", "its lane is in the tree", |text| text.contains("hello")).await;
    let row = browser.text("#actors tr:has(a[href*='handler=hello'])").await.unwrap();
    assert!(row.contains("PAUSED") && row.contains("3 / 100"), "{row} in {lane}");
    browser.open(&node.url).await;
    browser.until("#health", "the overview says why", |text| text.contains("hello is paused")).await;

    browser.open(&format!("{}/handlers", node.url)).await;
    browser.until("#handler-hello", "it says how long they wait", |text| text.contains("held back for")).await;
    say(&browser, "resume").await;
    browser.until("#handler-hello .status", "it runs", |text| text == "RUNNING").await;
    browser.until(WAITS, "its lane empties", |text| text == "0").await;
    node.until_count("SUCCESS", 3).await;
    say(&browser, "restart").await;
    browser.until(".notice", "its actor is built again", |text| text.contains("built again")).await;
    browser.open(&format!("{}/audit", node.url)).await;
    let log = browser.until("main tbody", "the log is shown", |_| true).await;
    assert_eq!(log.matches("a look at its database").count(), 3, "{log}");
    browser.quit().await;
}
