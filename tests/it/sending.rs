//! A test event and the times of its life, in a real browser.

use chrono::{DateTime, FixedOffset};

use crate::browser::{Browser, ENTER, ZONE};
use crate::harness::Place;
use crate::process::{Node, configure};

const SCHEMA: &str = r#"{"type": "object", "required": ["total", "note"], "properties": {
    "total": {"type": "integer", "minimum": 0}, "note": {"type": "string", "pattern": "^[a-z]+$"},
    "currency": {"enum": ["EUR", "USD"], "default": "EUR"}}}"#;

async fn node(place: &Place) -> Node {
    std::fs::write(place.path().join("paid.json"), SCHEMA).unwrap();
    configure(
        place,
        "[[schema]]\ntype = \"order.paid\"\nfile = \"paid.json\"\n\
         [[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"order.*\"]\n",
    );
    Node::serve(place).await
}

async fn type_into(browser: &Browser, field: &str, text: &str) {
    let script = format!("const field = document.querySelector('[name=\"{field}\"]'); field.focus(); field.select()");
    browser.ask(&script).await;
    browser.press(text).await;
}

/// Fills the form in wrongly, mends it, and gets to the event.
async fn send(browser: &Browser, node: &Node) {
    browser.open(&format!("{}/send", node.url)).await;
    browser.ask("document.querySelector('table a').click()").await;
    browser.until("main legend", "the schema makes a form", |text| text == "Data").await;
    type_into(browser, "/data/total", "12").await;
    type_into(browser, "/data/note", "NO").await;
    browser.press(ENTER).await;
    let told = browser.until("label .bad", "it is told beside its field", |text| text.contains("does not match")).await;
    assert!(told.contains("/data/note"), "{told}");
    assert_eq!(browser.ask("return document.querySelector('[name=\"/data/total\"]').value").await, "12");
    browser.complains_only_of(422).await;
    type_into(browser, "/data/note", "fine").await;
    browser.press(ENTER).await;
    browser.until(".notice", "it is sent", |text| text == "The event is in the ledger.").await;
    assert_eq!(browser.text("h1").await.as_deref(), Some("order.paid"));
}

#[actix::test]
async fn a_test_event_is_filled_in_mended_and_sent_with_and_without_scripts() {
    let place = Place::new();
    let node = node(&place).await;
    let Some((browser, scriptless)) = Browser::start().await.zip(Browser::scriptless().await) else { return };
    send(&browser, &node).await;
    browser.is_a_phone().await;
    send(&browser, &node).await;
    browser.open(&format!("{}/send?type=order.paid", node.url)).await;
    browser.fits("the form").await;
    browser.quit().await;
    send(&scriptless, &node).await;
    scriptless.quit().await;
    assert_eq!(node.list("type=order.paid&status=SUCCESS").await.len(), 3);
    assert_eq!(node.count("INVALID").await, 0);
}

/// What a page shows of a moment: its time of day, its exact time, and that as its title has it.
async fn shown(browser: &Browser) -> [String; 3] {
    let script = "const clock = document.querySelector('time[data-clock]'); \
                  return [clock.innerText, clock.dateTime, clock.nextElementSibling.title]";
    let seen = browser.ask(script).await;
    [0, 1, 2].map(|place| seen[place].as_str().unwrap().to_owned())
}

#[actix::test]
async fn times_are_in_utc_until_the_reader_wants_their_own_and_the_browser_keeps_that() {
    let Some(browser) = Browser::start().await else { return };
    let place = Place::new();
    let node = node(&place).await;
    send(&browser, &node).await;
    browser.until("#times", "times are in UTC", |text| text == "UTC").await;
    let [clock, exact, title] = shown(&browser).await;
    assert_eq!((&clock, &title), (&exact[11..23].to_owned(), &exact));
    browser.ask("document.getElementById('times').click()").await;
    let at: DateTime<FixedOffset> = exact.parse().unwrap();
    let there = at.with_timezone(&ZONE.1.parse::<FixedOffset>().unwrap());
    let local = [there.format("%H:%M:%S%.3f").to_string(), exact, there.format("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()];
    assert_eq!(shown(&browser).await, local);
    assert_eq!(browser.text("[data-zone]").await.as_deref(), Some("local"));
    let here = browser.ask("return location.href").await;
    browser.open(here.as_str().unwrap()).await;
    browser.until("#times", "it is kept", |text| text == "Local").await;
    assert_eq!(shown(&browser).await, local);
    browser.open(&node.url).await;
    browser.until("#times", "on every page", |text| text == "Local").await;
    browser.ask("document.getElementById('times').click()").await;
    browser.until("#times", "and can be taken back", |text| text == "UTC").await;
    browser.quit().await;
}
