//! What charts are drawn from goes into the ledger as time goes on, and is there after a restart.

use std::time::Duration;

use evenkeel::persist::Rollup;
use evenkeel::{Engine, Event, NewEvent, Payload};

use crate::harness::{Place, eventually, on_each_ledger, settled, standing_clock, stop};

async fn rollups(engine: &Engine, clock: &evenkeel::clock::Clock) -> Vec<Rollup> {
    let now = clock.now();
    let hour = Duration::from_secs(3_600);
    engine.reads().rollups(now.before(hour), now.after(hour), Duration::from_secs(10)).await.unwrap()
}

on_each_ledger!(slots_are_written_as_they_end_and_the_last_one_at_the_stop);
async fn slots_are_written_as_they_end_and_the_last_one_at_the_stop(place: Place) {
    let clock = standing_clock();
    let builder = place.engine().clock(clock.clone()).handler_fn("a", async |_: Event<Payload>| Ok(()));
    let engine = builder.start().await.unwrap();
    let accepted = engine.submit(NewEvent::raw("a", Payload::default())).await.unwrap();
    settled(&engine, accepted.id).await;
    let first = eventually("the slot is written", async || {
        // The engine may not sleep yet when the clock is moved.
        clock.advance(Duration::from_secs(10));
        rollups(&engine, &clock).await.into_iter().find(|slot| slot.span.accepted > 0)
    })
    .await;
    assert_eq!((first.span.accepted, first.span.finished, first.span.failed), (1, 1, 0));
    engine.submit(NewEvent::raw("nobody", Payload::default())).await.unwrap();
    stop(engine).await;

    let engine = place.engine().clock(clock.clone()).start().await.unwrap();
    let all: u64 = rollups(&engine, &clock).await.iter().map(|slot| slot.span.accepted).sum();
    assert_eq!(all, 2);
    stop(engine).await;
}
