//! Without scripts every page can be read, and what changes something works as a plain form.

use crate::browser::Browser;
use crate::harness::Place;
use crate::stories::everywhere::every_page;
use crate::stories::{Shop, dead_order};

#[actix::test]
async fn without_scripts_every_page_can_be_read_and_dead_letters_are_redriven_and_edited() {
    let Some(browser) = Browser::scriptless().await else { return };
    let (place, shop) = (Place::new(), Shop::open().await);
    let node = shop.node(&place).await;
    for path in every_page(&node).await {
        browser.open(&format!("{}{path}", node.url)).await;
        let whole = browser.text("main").await.unwrap();
        assert!(whole.lines().count() > 2, "{path}: {whole}");
    }
    assert_eq!(browser.ask("return document.getElementById('live').hidden").await, true, "no script has run");
    node.post("/api/v1/handlers/shop/resume", &serde_json::json!({})).await;
    shop.mend();

    browser.open(&format!("{}/dead-letters", node.url)).await;
    browser.click("#groups tbody a").await;
    browser.click("tbody tr:nth-child(1) input[name=id]").await;
    browser.click("tbody tr:nth-child(2) input[name=id]").await;
    browser.follow("Redrive chosen").await;
    browser.until(".notice", "they are redriven", |text| text.starts_with("2 redriven.")).await;
    node.until_count("SUCCESS", 2).await;
    browser.follow("Redrive all 1").await;
    browser.follow("Redrive 1").await;
    browser.until(".notice", "it has begun", |text| text.starts_with("The operation has begun.")).await;
    node.until_count("SUCCESS", 3).await;

    let original = dead_order(&node, "order-8").await;
    browser.open(&format!("{}/events/{original}", node.url)).await;
    browser.follow("Edit and resubmit").await;
    browser.fill("textarea", r#"{"amount": 5}"#).await;
    browser.follow("Submit as a new event").await;
    browser.until(".notice", "the new event is shown", |text| text.starts_with("This is the new event.")).await;
    node.until_count("SUCCESS", 4).await;

    browser.open(&format!("{}/handlers", node.url)).await;
    browser.click("details:has(form[action$='/pause']) > summary").await;
    browser.click("form[action$='/pause'] button").await;
    browser.until("tbody .status", "the handler is paused", |text| text == "PAUSED").await;
    browser.quit().await;
}
