//! The stream behind a page: closed while nobody looks, and one can see whether it is there.

use serde_json::json;

use crate::browser::Browser;
use crate::harness::Place;
use crate::process::Node;

/// Notes what the page shows in each moment when it goes behind another tab, or comes back.
const EYES: &str = "window.seen = []; document.addEventListener('visibilitychange', () => window.seen.push( \
                    [document.hidden, document.querySelector('[data-live=succeeded]').textContent]))";

#[actix::test]
async fn a_page_hears_nothing_behind_another_tab_and_everything_when_it_is_back() {
    let Some(browser) = Browser::start().await else { return };
    let place = Place::new();
    let node = Node::dev(&place).await;
    browser.open(&node.url).await;
    browser.until("#live", "the stream is open", |text| text == "Live").await;
    browser.ask(EYES).await;
    browser
        .behind_another_tab(async || {
            let id = node.submit(&json!({ "type": "demo.hello" })).await;
            node.until(&id, "SUCCESS").await;
            // Long enough for who listens: another does.
            let mut stream = node.http.get(format!("{}/live", node.url)).send().await.unwrap();
            let mut said = String::new();
            while !said.contains("\"succeeded\":\"1\"") {
                said.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
            }
        })
        .await;
    browser.until("[data-live=succeeded]", "what was missed is there", |text| text == "1").await;
    assert_eq!(browser.ask("return window.seen").await, json!([[true, "0"], [false, "0"]]));
    browser.quit().await;
}

#[actix::test]
async fn that_the_server_is_away_can_be_seen_and_it_is_found_again() {
    let Some(browser) = Browser::start().await else { return };
    let place = Place::new();
    let mut node = Node::dev(&place).await;
    browser.open(&node.url).await;
    browser.until("#live", "the stream is open", |text| text == "Live").await;
    assert!(node.terminate().await.success());
    browser.until("#live", "the page says so", |text| text == "No connection").await;
    let port = node.url.rsplit(':').next().unwrap().to_owned();
    let node = Node::start(&place, &["dev", "--port", &port, "--data-dir", "."]).await;
    browser.until("#live", "the stream is open again", |text| text == "Live").await;
    node.submit(&json!({ "type": "demo.hello", "id": "after" })).await;
    browser.until("#newest", "the page lives", |text| text.contains("after")).await;
    // The browser itself complains that nobody was there, and of nothing else.
    let said = browser.complaints().await;
    assert!(said.iter().all(|line| line.contains("net::ERR_")), "{said:?}");
    browser.quit().await;
}
