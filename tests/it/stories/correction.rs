//! A dead letter whose data is wrong is mended by hand: it is edited and submitted as a new event.

use crate::browser::Browser;
use crate::harness::Place;
use crate::stories::{Shop, dead_order};

#[actix::test]
async fn a_dead_letter_is_edited_and_resubmitted_and_each_of_the_two_names_the_other() {
    let Some(browser) = Browser::start().await else { return };
    let (place, shop) = (Place::new(), Shop::open().await);
    let node = shop.node(&place).await;
    let original = dead_order(&node, "order-7").await;
    browser.open(&format!("{}/dead-letters", node.url)).await;
    browser.until("#groups", "what went wrong is told", |text| text.contains("the amount is no number")).await;
    browser.click("#groups tbody a").await;
    browser.follow("order-7").await;
    browser.follow("Edit and resubmit").await;

    browser.fill("textarea[name=data]", r#"{"amount": 19.90, "to": "#).await;
    browser.follow("Submit as a new event").await;
    let refused = browser.until("[role=alert]", "it is refused", |_| true).await;
    assert!(refused.contains("not well-formed JSON"), "{refused}");
    let kept = browser.ask("return document.querySelector('textarea').value").await;
    assert_eq!(kept, r#"{"amount": 19.90, "to": "#);
    // The refusal is an answer of its own kind, and the console says so.
    browser.complains_only_of(400).await;

    browser.fill("textarea[name=data]", r#"{"amount": 19.90, "to": "Ada"}"#).await;
    browser.fill("[name=reason]", "the shop writes amounts as text").await;
    browser.click("[name=discard]").await;
    browser.follow("Submit as a new event").await;
    browser.until(".notice", "the new event is shown", |text| text.starts_with("This is the new event.")).await;
    browser.until("#event .status", "it succeeds", |text| text == "SUCCESS").await;
    let made = browser.place().await.split(['/', '?']).nth(2).unwrap().to_owned();
    assert_eq!(node.record(&made).await["data"]["amount"], 19.90);

    browser.click(&format!("a[href='/events/{original}']")).await;
    browser.until_at(&format!("/events/{original}")).await;
    let life = browser.until(".timeline", "its life is shown", |_| true).await;
    for part in
        [&*made, "Resubmitted by dashboard@127.0.0.1: the shop writes amounts as text", "Discarded by dashboard"]
    {
        assert!(life.contains(part), "{part} is not in {life}");
    }
    browser.click(&format!(".timeline a[href='/events/{made}']")).await;
    browser.until_at(&format!("/events/{made}")).await;
    assert_eq!(node.record(&original).await["status"], "DISCARDED");
    browser.quit().await;
}
