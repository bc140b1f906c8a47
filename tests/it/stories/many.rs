//! Dead letters by the thousand: a group is redriven as an operation, is paused and cancelled, and is fought over.

use serde_json::{Value, json};

use crate::browser::{Browser, seen};
use crate::harness::Place;
use crate::process::Node;
use crate::stories::{Shop, dead_group};

/// From the page of groups to the question that a group's button asks.
async fn ask_to(browser: &Browser, node: &Node, verb: &str) {
    browser.open(&format!("{}/dead-letters", node.url)).await;
    browser.until("#groups", "the group is shown", |text| text.contains("closed for today")).await;
    browser.follow(verb).await;
    browser.until_at("/dead-letters/all").await;
}

/// The operation whose page is shown, as the API tells it.
async fn operation(browser: &Browser, node: &Node) -> Value {
    let place = browser.until_at("/operations/").await;
    node.get(&format!("/api/v1{}", place.split('?').next().unwrap())).await
}

/// The number beside a name on the page of an operation.
async fn told(browser: &Browser, name: &str) -> u64 {
    let script = format!(
        "return [...document.querySelectorAll('#operation dt')].find((name) => name.textContent === '{name}')\
         .nextElementSibling.textContent"
    );
    browser.ask(&script).await.as_str().unwrap().replace(',', "").parse().unwrap()
}

#[actix::test]
async fn a_group_of_a_thousand_is_redriven_and_its_progress_is_seen_to_move() {
    let Some(browser) = Browser::start().await else { return };
    let (place, shop) = (Place::new(), Shop::open().await);
    let node = shop.node(&place).await;
    dead_group(&node, 1_000, 1_000).await;
    shop.mend();
    ask_to(&browser, &node, "Redrive").await;
    assert_eq!(browser.text("h1").await.as_deref(), Some("Redrive 1,000 dead letters?"));
    assert_eq!(node.count("FAILED_PERMANENT").await, 1_000, "a question changes nothing");
    browser.fill("[name=rate]", "400").await;
    browser.fill("[name=reason]", "the shop is open again").await;
    browser.follow("Redrive 1,000").await;
    browser.until(".notice", "it has begun", |text| text.starts_with("The operation has begun.")).await;

    browser.ask("window.isTheSame = true").await;
    let mut shares = vec![told(&browser, "Changed").await];
    while shares.last() != Some(&1_000) {
        let last = *shares.last().unwrap();
        let next = async || Some(told(&browser, "Changed").await).filter(|now| *now > last);
        shares.push(seen("the progress moves", next).await);
    }
    assert!(shares.len() >= 3, "{shares:?}");
    browser.until("#operation .status", "it is done", |text| text == "DONE").await;
    assert_eq!(browser.ask("return window.isTheSame").await, true, "the page was loaded again");
    assert_eq!(browser.ask("return document.querySelector('progress').value").await, 100);
    node.until_count("SUCCESS", 1_000).await;
    browser.open(&format!("{}/dead-letters", node.url)).await;
    browser.until(".empty", "nothing is dead", |text| text.contains("Nothing is dead")).await;
    browser.quit().await;
}

#[actix::test]
async fn an_operation_is_paused_resumed_and_cancelled_on_its_page() {
    let Some(browser) = Browser::start().await else { return };
    let (place, shop) = (Place::new(), Shop::open().await);
    let node = shop.node(&place).await;
    dead_group(&node, 100, 100).await;
    ask_to(&browser, &node, "Discard").await;
    assert_eq!(browser.text("h1").await.as_deref(), Some("Discard 100 dead letters?"));
    browser.fill("[name=rate]", "5").await;
    browser.follow("Discard 100").await;
    browser
        .until("#operation", "some are discarded", |text| text.contains("RUNNING") && !text.contains("· 0 of"))
        .await;
    for (verb, state) in [("pause", "PAUSED"), ("resume", "RUNNING"), ("cancel", "CANCELLED")] {
        browser.click(&format!("details:has(form[action$='/{verb}']) > summary")).await;
        browser.click(&format!("form[action$='/{verb}'] button")).await;
        browser.until("#operation .status", "it stands so", |text| text == state).await;
    }
    let ended = operation(&browser, &node).await;
    let done = ended["done"].as_u64().unwrap();
    assert!((1..100).contains(&done), "{ended}");
    assert_eq!((told(&browser, "Changed").await, node.count("DISCARDED").await), (done, done));
    browser.follow("Its lines in the audit log").await;
    let log = browser.until("main tbody", "the log is shown", |_| true).await;
    for action in ["begin_discard", "pause_operation", "resume_operation", "cancel_operation"] {
        assert!(log.contains(action), "{action} is not in {log}");
    }
    browser.quit().await;
}

#[actix::test]
async fn two_operators_at_once_redrive_every_record_once_and_each_hears_the_truth() {
    let Some((ada, ben)) = Browser::start().await.zip(Browser::start().await) else { return };
    let (place, shop) = (Place::new(), Shop::open().await);
    let node = shop.node(&place).await;
    dead_group(&node, 1_000, 1_000).await;
    shop.mend();
    let mut told_both = Vec::new();
    for browser in [&ada, &ben] {
        ask_to(browser, &node, "Redrive").await;
        assert_eq!(browser.text("h1").await.as_deref(), Some("Redrive 1,000 dead letters?"));
        browser.fill("[name=rate]", "1000").await;
    }
    tokio::join!(ada.follow("Redrive 1,000"), ben.follow("Redrive 1,000"));
    for browser in [&ada, &ben] {
        browser.until("#operation .status", "it is done", |text| text == "DONE").await;
        let ended = operation(browser, &node).await;
        let shown = (told(browser, "Changed").await, told(browser, "Changed by somebody else before").await);
        assert_eq!((json!(shown.0), json!(shown.1)), (ended["done"].clone(), ended["skipped"].clone()), "{ended}");
        assert_eq!(json!(shown.0 + shown.1), ended["matched"], "{ended}");
        told_both.push(shown.0);
    }
    assert_eq!(told_both.iter().sum::<u64>(), 1_000, "{told_both:?}");
    node.until_count("SUCCESS", 1_000).await;
    let records = node.list("type=order.placed").await;
    assert!(records.iter().all(|record| record["round"] == 2 && record["attempt_count"] == 2));
    ada.quit().await;
    ben.quit().await;
}
