//! A clock that another clock has set, and that the monotonic clock drives. Pure: it is told what time it is here.

use std::time::{Duration, Instant};

use super::Timestamp;

/// What was shown, and what was right, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    at: Instant,
    shown: Timestamp,
    right: Timestamp,
}

impl Anchor {
    /// Set to the right time.
    pub(super) const fn new(at: Instant, right: Timestamp) -> Self {
        Self { at, shown: right, right }
    }

    /// What it shows. A clock that was ahead goes at half its speed until the right time has caught up: it never runs
    /// backwards, and what waits for it does not wait for long.
    pub(super) fn at(&self, now: Instant) -> Timestamp {
        self.right_at(now).max(self.shown.after(self.passed(now) / 2))
    }

    /// What is right, as far as is known.
    pub(super) fn right_at(&self, now: Instant) -> Timestamp {
        self.right.after(self.passed(now))
    }

    fn passed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at)
    }

    /// Sets it to the right time.
    pub(super) fn correct(&mut self, at: Instant, right: Timestamp) {
        *self = Self { at, shown: self.at(at), right };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_clock_that_was_behind_shows_the_right_time_at_once() {
        let start = Instant::now();
        let mut anchor = Anchor::new(start, Timestamp(0));
        assert_eq!(anchor.at(start + SECOND), Timestamp(1_000_000));
        anchor.correct(start + SECOND, Timestamp(60_000_000));
        assert_eq!(anchor.at(start + SECOND), Timestamp(60_000_000));
        assert_eq!(anchor.at(start + 2 * SECOND), Timestamp(61_000_000));
    }

    #[test]
    fn a_clock_that_was_ahead_goes_on_slowly_until_the_right_time_has_caught_up() {
        let start = Instant::now();
        let mut anchor = Anchor::new(start, Timestamp(10_000_000));
        anchor.correct(start, Timestamp(6_000_000));
        let shown: Vec<i64> = (0..10).map(|n| anchor.at(start + n * SECOND).0 / 100_000).collect();
        assert_eq!(shown, [100, 105, 110, 115, 120, 125, 130, 135, 140, 150]);
    }

    #[test]
    fn a_correction_before_the_last_is_over_does_not_run_backwards() {
        let start = Instant::now();
        let mut anchor = Anchor::new(start, Timestamp(10_000_000));
        anchor.correct(start, Timestamp(0));
        let before = anchor.at(start + SECOND);
        anchor.correct(start + SECOND, Timestamp(0));
        assert_eq!(anchor.at(start + SECOND), before);
        assert!(anchor.at(start + 2 * SECOND) > before);
    }
}
