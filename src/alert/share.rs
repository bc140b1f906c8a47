//! Which share of a handler's attempts fails, over a window that moves. Pure: no clock, and no more than so many samples.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;

/// In so many steps the window moves.
const STEPS: u32 = 30;

/// What had ended until a moment, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub attempts: u64,
    pub failures: u64,
}

/// What had ended until some moments of the window, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Shares(VecDeque<(Timestamp, Ended)>);

impl Shares {
    /// Takes down what has ended until now; returns what of it ended within the window.
    pub(crate) fn within(&mut self, window: Duration, now: Timestamp, ended: Ended) -> Ended {
        // The newest sample that is as old as the window or older: the one to compare with.
        while self.0.get(1).is_some_and(|(at, _)| now >= at.after(window)) {
            self.0.pop_front();
        }
        if self.0.back().is_none_or(|(at, _)| now >= at.after(window / STEPS)) {
            // The first sample says that there was nothing before it.
            let sample = if self.0.is_empty() { Ended::default() } else { ended };
            self.0.push_back((now, sample));
        }
        let before = self.0.front().map_or(Ended::default(), |(_, before)| *before);
        Ended {
            attempts: ended.attempts.saturating_sub(before.attempts),
            failures: ended.failures.saturating_sub(before.failures),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ended(attempts: u64, failures: u64) -> Ended {
        Ended { attempts, failures }
    }

    #[test]
    fn what_ended_before_the_window_is_forgotten() {
        let (mut shares, start) = (Shares::default(), Timestamp(0));
        assert_eq!(shares.within(MINUTE, start, ended(4, 1)), ended(4, 1));
        assert_eq!(shares.within(MINUTE, start.after(MINUTE / 2), ended(10, 7)), ended(10, 7));
        assert_eq!(shares.within(MINUTE, start.after(MINUTE * 3 / 2), ended(12, 7)), ended(2, 0));
        assert_eq!(shares.within(MINUTE, start.after(MINUTE * 10), ended(12, 7)), ended(0, 0));
    }

    #[test]
    fn however_often_it_is_asked_only_so_many_samples_are_kept() {
        let mut shares = Shares::default();
        for tenth in 0..10_000 {
            shares.within(MINUTE, Timestamp(tenth * 100_000), ended(tenth.unsigned_abs(), 0));
        }
        assert!(shares.0.len() <= STEPS as usize + 2, "{}", shares.0.len());
    }
}
