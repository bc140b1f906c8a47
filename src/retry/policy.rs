//! When a failed attempt is tried again. Pure: no actix, no I/O, no clock, and no dice either: the caller brings the
//! random sample.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::written;

/// How often and how long after a failure an event is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetryPolicy {
    /// How many retries follow the first attempt.
    pub max_retries: u32,
    /// From the end of the first attempt to the first retry.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub initial_delay: Duration,
    /// How much longer each delay is than the one before.
    pub multiplier: f64,
    /// No delay is longer than this.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub max_delay: Duration,
    /// The share of a delay that chance may add to it, so that what failed together does not come back together: 0.1 is
    /// up to a tenth.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            initial_delay: Duration::from_secs(1),
            multiplier: 2.0,
            max_delay: Duration::from_secs(60 * 60),
            jitter: 0.0,
        }
    }
}

impl RetryPolicy {
    /// Whether a failure is followed by another retry after this many of them.
    #[must_use]
    pub const fn retries(&self, retry_count: u32) -> bool {
        retry_count < self.max_retries
    }

    /// The time from a failure to its retry, after this many retries: `initial_delay × multiplier^retry_count`, longer
    /// by `jitter × sample`, and at most `max_delay`. `sample` is a random number in `[0, 1)`.
    ///
    /// A policy that [`Config::check`](crate::Config::check) would refuse gives some delay too, never a panic.
    #[must_use]
    pub fn delay(&self, retry_count: u32, sample: f64) -> Duration {
        if self.initial_delay.is_zero() {
            return Duration::ZERO;
        }
        let growth = self.multiplier.max(1.0).powf(f64::from(retry_count));
        let spread = 1.0 + self.jitter.max(0.0) * sample.clamp(0.0, 1.0);
        let seconds = self.initial_delay.as_secs_f64() * growth * spread;
        // Too long for a `Duration`, or not a number: longer than any cap.
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(self.max_delay)
    }
}

/// What one handler has otherwise than the rest; a key that is absent is as in `[retry]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetryOverride {
    /// How many retries follow the first attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// From the end of the first attempt to the first retry.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "written::duration")]
    pub initial_delay: Option<Duration>,
    /// How much longer each delay is than the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<f64>,
    /// No delay is longer than this.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "written::duration")]
    pub max_delay: Option<Duration>,
    /// The share of a delay that chance may add to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
}

impl RetryOverride {
    /// `base` with what this overrides.
    #[must_use]
    pub fn apply(&self, base: &RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            max_retries: self.max_retries.unwrap_or(base.max_retries),
            initial_delay: self.initial_delay.unwrap_or(base.initial_delay),
            multiplier: self.multiplier.unwrap_or(base.multiplier),
            max_delay: self.max_delay.unwrap_or(base.max_delay),
            jitter: self.jitter.unwrap_or(base.jitter),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sensible() -> impl Strategy<Value = RetryPolicy> {
        (0_u32..20, 0_u64..100_000, 1.0..10.0_f64, 0_u64..10_000_000, 0.0..3.0_f64).prop_map(
            |(max_retries, initial, multiplier, max, jitter)| RetryPolicy {
                max_retries,
                initial_delay: Duration::from_millis(initial),
                multiplier,
                max_delay: Duration::from_millis(max),
                jitter,
            },
        )
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic_or_exceed_the_longest_delay(
            initial_delay: Duration, max_delay: Duration, multiplier in prop::num::f64::ANY,
            jitter in prop::num::f64::ANY, sample in prop::num::f64::ANY, retry_count: u32,
        ) {
            let policy = RetryPolicy { max_retries: 3, initial_delay, multiplier, max_delay, jitter };
            prop_assert!(policy.delay(retry_count, sample) <= max_delay);
        }

        #[test]
        fn a_later_retry_never_comes_sooner(policy in sensible(), retry_count in 0_u32..1_000, sample in 0.0..1.0_f64) {
            prop_assert!(policy.delay(retry_count, sample) <= policy.delay(retry_count + 1, sample));
        }

        #[test]
        fn jitter_only_makes_a_delay_longer(policy in sensible(), retry_count in 0_u32..100, sample in 0.0..1.0_f64) {
            let plain = RetryPolicy { jitter: 0.0, ..policy.clone() };
            let (delay, base) = (policy.delay(retry_count, sample), plain.delay(retry_count, sample));
            prop_assert!(base <= delay);
            prop_assert!(delay.as_secs_f64() <= base.as_secs_f64() * (1.0 + policy.jitter) + 1e-6);
        }

        #[test]
        fn retries_end_after_as_many_as_were_asked_for(policy in sensible()) {
            prop_assert_eq!((0..1_000).take_while(|count| policy.retries(*count)).count(), policy.max_retries as usize);
        }
    }

    #[test]
    fn the_default_waits_one_two_and_four_seconds() {
        let policy = RetryPolicy::default();
        let delays: Vec<u64> =
            (0..).take_while(|count| policy.retries(*count)).map(|count| policy.delay(count, 0.9).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4]);
    }

    #[test]
    fn a_sample_of_a_half_adds_half_of_the_jitter() {
        let policy = RetryPolicy { jitter: 0.5, ..RetryPolicy::default() };
        assert_eq!(policy.delay(1, 0.5), Duration::from_millis(2_500));
    }

    #[test]
    fn an_override_changes_only_what_it_names() {
        let changed = RetryOverride { max_retries: Some(5), ..RetryOverride::default() }.apply(&RetryPolicy::default());
        assert_eq!(changed, RetryPolicy { max_retries: 5, ..RetryPolicy::default() });
    }
}
