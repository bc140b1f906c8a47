//! The pulse: what happened lately, in slots of ten seconds, by handler. In memory, and bounded.
//!
//! The instruments of `metrics` only grow, for a Prometheus that subtracts; this is for people who have none. At the end
//! of each slot the engine writes its sum into the ledger, where charts are drawn from. Nothing here asks for the time:
//! who turns the slots knows when they end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a slot is.
pub const SLOT: Duration = Duration::from_secs(10);

/// So many slots are kept in memory: a quarter of an hour.
pub const SLOTS: usize = 90;

/// From acceptance to the end: the upper bounds of all buckets but the last, in milliseconds.
const BOUNDS: [u64; BUCKETS - 1] =
    [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000];

/// How many buckets the histogram has.
pub const BUCKETS: usize = 17;

/// What happened in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Records that were taken in.
    pub accepted: u64,
    /// Records that came to a final status.
    pub finished: u64,
    /// Those of them that became dead letters or INVALID.
    pub failed: u64,
    /// Retries that were scheduled.
    pub retried: u64,
    /// How long it took from acceptance to the end, in buckets.
    pub took: [u64; BUCKETS],
}

impl Span {
    /// Adds another span.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.finished += other.finished;
        self.failed += other.failed;
        self.retried += other.retried;
        self.took.iter_mut().zip(other.took).for_each(|(sum, more)| *sum += more);
    }

    /// The time within which this share of the events ended, as far as the buckets tell; none if none ended.
    #[must_use]
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let all: u64 = self.took.iter().sum();
        let wanted = (share * all as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        for (bucket, n) in self.took.iter().enumerate() {
            if below + n >= wanted && *n > 0 {
                let lower = if bucket == 0 { 0 } else { BOUNDS[bucket - 1] };
                // What took longer than the last bound took at least that long.
                let upper = BOUNDS.get(bucket).copied().unwrap_or(lower);
                let part = (wanted - below) as f64 / *n as f64;
                return Some(Duration::from_micros((lower * 1_000) + ((upper - lower) as f64 * 1_000.0 * part) as u64));
            }
            below += n;
        }
        None
    }
}

/// The slots of one handler, the newest last; what is running now is apart.
#[derive(Debug, Default)]
struct Beats {
    now: Span,
    past: VecDeque<Span>,
}

/// What happened lately. What has no handler is under the empty name.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<BTreeMap<String, Beats>>);

impl Pulse {
    fn beats(&self) -> MutexGuard<'_, BTreeMap<String, Beats>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, handler: &str, note: impl FnOnce(&mut Span)) {
        let mut beats = self.beats();
        match beats.get_mut(handler) {
            Some(known) => note(&mut known.now),
            None => note(&mut beats.entry(handler.to_owned()).or_default().now),
        }
    }

    /// A record was taken in.
    pub(crate) fn accepted(&self, handler: &str) {
        self.note(handler, |span| span.accepted += 1);
    }

    /// A record came to a final status, so long after its acceptance; one that ended with it says nothing of the time.
    pub(crate) fn finished(&self, handler: &str, failed: bool, took: Option<Duration>) {
        self.note(handler, |span| {
            span.finished += 1;
            span.failed += u64::from(failed);
            if let Some(took) = took {
                let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                span.took[BOUNDS.partition_point(|bound| *bound <= millis)] += 1;
            }
        });
    }

    /// A retry was scheduled.
    pub(crate) fn retried(&self, handler: &str) {
        self.note(handler, |span| span.retried += 1);
    }

    /// Ends the slot; returns what happened in it.
    pub(crate) fn turn(&self) -> Span {
        let mut sum = Span::default();
        for beats in self.beats().values_mut() {
            sum.add(&beats.now);
            beats.past.push_back(std::mem::take(&mut beats.now));
            while beats.past.len() > SLOTS {
                beats.past.pop_front();
            }
        }
        sum
    }

    /// What has happened in the slot that runs, over all handlers.
    pub(crate) fn now(&self) -> Span {
        let mut sum = Span::default();
        self.beats().values().for_each(|beats| sum.add(&beats.now));
        sum
    }

    /// What happened with a handler in the last so many slots and the one that runs.
    pub(crate) fn of(&self, handler: &str, slots: usize) -> Span {
        let beats = self.beats();
        let Some(beats) = beats.get(handler) else { return Span::default() };
        let mut sum = beats.now;
        beats.past.iter().rev().take(slots).for_each(|span| sum.add(span));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_summed_over_all_handlers_and_each_keeps_its_own() {
        let pulse = Pulse::default();
        pulse.accepted("a");
        pulse.accepted("b");
        pulse.finished("a", true, Some(Duration::from_millis(3)));
        pulse.retried("b");
        let slot = pulse.turn();
        assert_eq!((slot.accepted, slot.finished, slot.failed, slot.retried), (2, 1, 1, 1));
        assert_eq!(pulse.now(), Span::default());
        pulse.accepted("a");
        assert_eq!((pulse.of("a", 0).accepted, pulse.of("a", 1).accepted, pulse.of("c", 1).accepted), (1, 2, 0));
    }

    #[test]
    fn only_so_many_slots_are_kept() {
        let pulse = Pulse::default();
        for _ in 0..SLOTS + 5 {
            pulse.accepted("a");
            pulse.turn();
        }
        assert_eq!(pulse.of("a", usize::MAX).accepted, SLOTS as u64);
    }

    #[test]
    fn quantiles_lie_in_the_bucket_of_their_event() {
        let pulse = Pulse::default();
        for millis in 0..100 {
            pulse.finished("a", false, Some(Duration::from_millis(if millis < 95 { 7 } else { 20_000 })));
        }
        let span = pulse.now();
        let [half, most, nearly_all] = [0.5, 0.95, 0.99].map(|share| span.quantile(share).unwrap());
        assert!((Duration::from_millis(5)..=Duration::from_millis(10)).contains(&half), "{half:?}");
        assert_eq!(most, Duration::from_millis(10));
        assert!((Duration::from_secs(10)..=Duration::from_secs(30)).contains(&nearly_all), "{nearly_all:?}");
        assert_eq!(Span::default().quantile(0.5), None);
    }

    #[test]
    fn what_took_longer_than_all_bounds_took_at_least_the_last() {
        let pulse = Pulse::default();
        pulse.finished("a", false, Some(Duration::from_secs(86_400)));
        assert_eq!(pulse.now().quantile(0.5), Some(Duration::from_secs(300)));
    }
}
