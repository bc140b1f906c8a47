//! No mouse: every way through the dashboard can be gone with the keyboard, and where one is can be seen.

use crate::browser::{Browser, ENTER, ESCAPE, TAB};
use crate::harness::Place;
use crate::stories::{Shop, dead_order};

#[actix::test]
async fn a_dead_letter_is_mended_with_the_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let (place, shop) = (Place::new(), Shop::open().await);
    let node = shop.node(&place).await;
    dead_order(&node, "order-7").await;
    browser.open(&node.url).await;
    browser.press("?").await;
    browser.until("dialog h2", "the keys are shown", |text| text == "Keys").await;
    browser.press(ESCAPE).await;
    assert_eq!(browser.ask("return document.querySelector('dialog').open").await, false);
    browser.press("/").await;
    assert_eq!(browser.ask("return document.activeElement.id").await, "search");
    browser.press("id:order-7").await;
    browser.press(ENTER).await;
    browser.until_at("/events").await;
    browser.until("#events tbody tr", "it is found", |text| text.starts_with("order-7")).await;

    browser.press("go").await;
    browser.until("h1", "the keys lead to the overview", |text| text == "Overview").await;
    browser.tab_to("a.figure[href='/dead-letters']:has([data-live=dead_letters])").await;
    browser.press(ENTER).await;
    browser.until_at("/dead-letters").await;
    browser.tab_to("#groups a[href*='group=']").await;
    browser.press(ENTER).await;
    browser.until_at("/dead-letters?group=").await;
    browser.tab_to("td.id a").await;
    browser.press(ENTER).await;
    browser.until_at("/events/").await;
    browser.tab_to("a[href$='/edit']").await;
    browser.press(ENTER).await;
    browser.until("h1", "the form is shown", |text| text == "Edit and resubmit").await;
    browser.tab_to("textarea").await;
    browser.press_with_control('a').await;
    browser.press(r#"{"amount":19.90}"#).await;
    browser.tab_to("[name=reason]").await;
    browser.press("a typo").await;
    browser.tab_to("form.fields button").await;
    browser.press(ENTER).await;
    browser.until(".notice", "the new event is shown", |text| text.starts_with("This is the new event.")).await;
    browser.until("#event .status", "it succeeds", |text| text == "SUCCESS").await;

    browser.press("gh").await;
    browser.until("h1", "the keys lead to the handlers", |text| text == "Handlers").await;
    for (word, state) in [("pause", "PAUSED"), ("resume", "RUNNING")] {
        browser.tab_to(&format!("details:has(form[action$='/{word}']) > summary")).await;
        browser.press(ENTER).await;
        browser.press(TAB).await;
        browser.press("because").await;
        browser.press(ENTER).await;
        browser.until("tbody .status", "the handler stands so", |text| text == state).await;
        browser.until(".notice", "the page says so", |text| text.contains("handler")).await;
    }
    browser.quit().await;
}
