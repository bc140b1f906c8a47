//! What charts are drawn from: slots, summed up over nodes, kept for a day.

use std::time::Duration;

use super::*;
use crate::telemetry::{BUCKETS, SLOT, Span};

const MINUTE: Duration = Duration::from_secs(60);

fn span(accepted: u64) -> Span {
    let mut took = [0; BUCKETS];
    took[3] = accepted;
    Span { accepted, finished: accepted, failed: 1, retried: 2, took }
}

on_each_ledger!(slots_are_summed_up_into_buckets_and_gaps_stay_gaps);
async fn slots_are_summed_up_into_buckets_and_gaps_stay_gaps(place: Place) {
    let desk = desk(place).await;
    let start = Rollup::bucket(desk.clock.now(), MINUTE);
    let slot = |minute: u32, slot: u32| start.after(MINUTE * minute + SLOT * slot);
    for (at, accepted) in [(slot(0, 0), 1), (slot(0, 5), 2), (slot(2, 1), 4), (slot(3, 0), 8)] {
        // Twice: an answer that was lost is asked for again.
        for _ in 0..2 {
            desk.persist.roll_up(Rollup { at, span: span(accepted) }).await.unwrap();
        }
    }
    let buckets = desk.persist.reads().rollups(start, slot(3, 0), MINUTE).await.unwrap();
    let seen: Vec<_> = buckets.iter().map(|bucket| (bucket.at, bucket.span.accepted, bucket.span.failed)).collect();
    assert_eq!(seen, [(start, 3, 2), (slot(2, 0), 4, 1)]);
    assert_eq!((buckets[0].span.took[3], buckets[0].span.retried), (3, 4));
}

on_each_ledger!(what_is_older_than_a_day_and_an_hour_goes_with_the_next_slot);
async fn what_is_older_than_a_day_and_an_hour_goes_with_the_next_slot(place: Place) {
    let desk = desk(place).await;
    let now = Rollup::slot(desk.clock.now());
    let hours = |hours: u64| now.before(Duration::from_secs(3_600 * hours));
    for at in [hours(26), hours(24), now] {
        desk.persist.roll_up(Rollup { at, span: span(1) }).await.unwrap();
    }
    let kept = desk.persist.reads().rollups(hours(30), now.after(SLOT), SLOT).await.unwrap();
    assert_eq!(kept.iter().map(|slot| slot.at).collect::<Vec<_>>(), [hours(24), now]);
}
