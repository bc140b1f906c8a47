//! The README's pictures: `EVENKEEL_SCREENSHOTS=docs/images cargo test --test it the_pictures -- --ignored` makes them.
//!
//! What they show has happened: the engine lives through a shop's last hour on a clock of the test's own, and the browser
//! looks at a process that goes on from there.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use evenkeel::clock::Clock;
use evenkeel::engine::Builder;
use evenkeel::lifecycle::Status;
use evenkeel::persist::{Filter, Rollup};
use evenkeel::{Bind, Engine, Event, HandlerError, NewEvent, Payload};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{Place, eventually};
use crate::process::{Node, configure};
use crate::target::{Reply, Target};

/// What the shop's handlers are called, and what they handle.
const HANDLERS: [(&str, &str); 3] = [("billing", "order.*"), ("shipping", "parcel.*"), ("mail", "mail.*")];

/// How long a slot of the charts is, and how many of them the hour has.
const SLOT: Duration = Duration::from_secs(10);
const SLOTS: u32 = 354;

/// The shop on a clock of its own: each event takes its time there, and some go wrong.
fn shop(place: &Place, clock: &Clock) -> Builder {
    HANDLERS.into_iter().fold(place.engine().clock(clock.clone()), |builder, (name, types)| {
        let (clock, failed) = (clock.clone(), Mutex::new(HashSet::new()));
        builder.handler_fn(Bind::to(types).name(name), move |event: Event<Value>| {
            let number = event.data["number"].as_u64().unwrap();
            clock.advance(Duration::from_millis(1 + number * 7 % 23));
            let is_first = failed.lock().unwrap().insert(number);
            let outcome = match (number % 97, number % 16, number % 331) {
                (13 | 57, ..) => {
                    Err(HandlerError::permanent(format!("card {} was refused by the bank", 4_000 + number)))
                }
                (31, ..) => Err(HandlerError::permanent("the address has no postal code")),
                (.., 5) => Err(HandlerError::retry("the bank answered 503 Service Unavailable")),
                (_, 5, _) if is_first => Err(HandlerError::retry("the bank answered 503 Service Unavailable")),
                _ => Ok(()),
            };
            std::future::ready(outcome)
        })
    })
}

/// The event of this number.
fn event(number: u64) -> NewEvent {
    let kinds = [("order.paid", "order"), ("parcel.sent", "parcel"), ("mail.wanted", "mail")];
    let (event_type, word) = kinds[usize::try_from(number % 3).unwrap()];
    let data = json!({
        "number": number, "customer": { "name": "Ada", "city": "Ghent" }, "amount": 19.90,
        "items": [{ "sku": "K-1043", "count": 2 }, { "sku": "M-77", "count": 1 }],
    });
    NewEvent::raw(event_type, Payload::json(data.to_string())).source("/shop").id(format!("{word}-{}", 18_000 + number))
}

/// So many events come in a slot: more of them as the evening comes, and many at once in between.
fn coming(slot: u32) -> usize {
    let many = 3 + slot / 90 + slot * 7 % 5 + 6 * u32::from((150..190).contains(&slot));
    usize::try_from(many).unwrap()
}

/// Waits until nothing is to be done before the clock goes on.
async fn at_rest(engine: &Engine, clock: &Clock) {
    let waits = Filter { status: Some(Status::RetryScheduled), ..Filter::default() };
    eventually("all of it is handled", async || {
        let counts = engine.reads().counts().await.unwrap();
        let is_busy = |status| matches!(status, Status::Pending | Status::Processing);
        let retries = engine.reads().list(&waits, None, 100).await.unwrap();
        let is_due = retries.iter().any(|record| record.next_attempt_at <= Some(clock.now()));
        (!is_due && !counts.iter().any(|((_, status), n)| is_busy(*status) && *n > 0)).then_some(())
    })
    .await;
}

async fn live_an_hour(place: &Place) {
    let begin = Rollup::slot(Clock::default().now().before(SLOT * SLOTS));
    let clock = Clock::manual(begin);
    let engine = shop(place, &clock).start().await.unwrap();
    let mut numbers = 1..;
    for slot in 0..SLOTS {
        let events = (&mut numbers).take(coming(slot)).map(event).collect();
        engine.submit_all(events).await.unwrap();
        // Retries have their turn at their time.
        for pause in [1, 2, 4] {
            at_rest(&engine, &clock).await;
            clock.advance(Duration::from_secs(pause));
        }
        at_rest(&engine, &clock).await;
        let end = begin.after(SLOT * (slot + 1));
        clock.advance(end.since(clock.now()));
        eventually("the slot is written down", async || {
            (!engine.reads().rollups(end.before(SLOT), end, SLOT).await.unwrap().is_empty()).then_some(())
        })
        .await;
    }
    engine.shutdown().await.unwrap();
}

/// The process that goes on from there, and who receives what it sends: shipping takes its time.
async fn go_on(place: &Place) -> (Node, Target) {
    let target =
        Target::new(|delivery| if delivery.event_id.starts_with("parcel") { Reply::Hold } else { Reply::Now(200) });
    let handlers: Vec<String> = HANDLERS.iter().map(|(name, types)| target.handler(name, types)).collect();
    configure(place, &format!("[dashboard]\nenvironment = \"shop\"\ncolour = \"green\"\n\n{}", handlers.join("\n")));
    let node = Node::serve(place).await;
    (node, target)
}

#[actix::test]
#[ignore = "it writes files: EVENKEEL_SCREENSHOTS says where"]
async fn the_pictures_of_the_readme() {
    let folder = std::env::var_os("EVENKEEL_SCREENSHOTS").expect("EVENKEEL_SCREENSHOTS names a folder");
    let folder = Path::new(&folder);
    let Some(browser) = Browser::start().await else { return };
    let place = Place::new();
    live_an_hour(&place).await;
    let (node, target) = go_on(&place).await;
    let dead = node.list("status=FAILED_MAX_RETRY&handler=billing").await;
    let mended = dead[0]["id"].as_str().unwrap();
    let asked = json!({ "data": { "number": 0, "amount": 19.90 }, "reason": "the bank is back" });
    node.post(&format!("/api/v1/events/{mended}/resubmit"), &asked).await;
    let ids = |word: &str| (1..=4).map(|n| format!("{word}-{}", 30_000 + n)).collect::<Vec<_>>();
    node.submit_all("order.paid", &ids("order")).await;
    node.submit_all("parcel.sent", &ids("parcel")).await;
    target.until_in_hand(4).await;

    let pictures = [
        ("overview-light", "/?range=1h".to_owned(), false, false),
        ("overview-dark", "/?range=1h".to_owned(), true, false),
        ("dead-letters", "/dead-letters".to_owned(), false, false),
        ("event", format!("/events/{mended}"), false, false),
        ("phone", "/?range=1h".to_owned(), true, true),
    ];
    for (name, path, is_dark, is_a_phone) in pictures {
        browser.is_dark(is_dark).await;
        if is_a_phone {
            browser.is_a_phone().await
        } else {
            browser.is_wide().await
        }
        browser.open(&format!("{}{path}", node.url)).await;
        browser.until("#live", "the stream is open", |text| text == "Live").await;
        browser.picture(folder, name).await;
    }
    browser.quit().await;
}
