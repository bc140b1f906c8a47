//! What the engine decides from the way an attempt ended. Pure.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::handle::{Ended, Kind};
use crate::lifecycle::{AttemptStatus, Status};
use crate::retry::RetryPolicy;

/// How an attempt ended, as the process room sees it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The handler has answered, panicked or run out of time.
    Ended(Ended),
    /// The time from the claim to an outcome is over and nothing was heard of the handler.
    Silent(Duration),
    /// The engine stopped while it ran.
    Cut,
    /// The handler never got it.
    NeverStarted,
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// How the attempt ended; none if there was none.
    pub attempt: Option<AttemptStatus>,
    /// Where the event stands then.
    pub to: Status,
    /// Retries used then.
    pub retry_count: u32,
    /// When it is due again.
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Decides. `sample` in `[0, 1)` spreads retries as far as the policy's jitter allows.
pub(super) fn verdict(
    outcome: &Outcome,
    policy: &RetryPolicy,
    retry_count: u32,
    timeout: Duration,
    at: Timestamp,
    sample: f64,
) -> Verdict {
    let end = |attempt, to, error: Option<String>| Verdict {
        attempt: Some(attempt),
        to,
        retry_count,
        next_attempt_at: None,
        error,
    };
    let again = |attempt, delay: Option<Duration>, error: String| {
        if !policy.retries(retry_count) {
            return end(attempt, Status::FailedMaxRetry, Some(error));
        }
        let delay = delay.unwrap_or_else(|| policy.delay(retry_count, sample));
        Verdict {
            attempt: Some(attempt),
            to: Status::RetryScheduled,
            retry_count: retry_count + 1,
            next_attempt_at: Some(at.after(delay)),
            error: Some(error),
        }
    };
    match outcome {
        Outcome::Ended(Ended::Answered(Ok(()))) => end(AttemptStatus::Success, Status::Success, None),
        Outcome::Ended(Ended::Answered(Err(error))) => match error.kind() {
            Kind::Retry => again(AttemptStatus::Failed, None, error.to_string()),
            Kind::RetryAfter(delay) => again(AttemptStatus::Failed, Some(delay), error.to_string()),
            Kind::Permanent => end(AttemptStatus::Failed, Status::FailedPermanent, Some(error.to_string())),
            Kind::Invalid => end(AttemptStatus::Failed, Status::Invalid, Some(error.to_string())),
        },
        Outcome::Ended(Ended::Undecodable(error)) => {
            let error = format!("the data is not what the handler takes: {error}");
            end(AttemptStatus::Failed, Status::Invalid, Some(error))
        }
        Outcome::Ended(Ended::TimedOut) => {
            let error = format!("the handler took longer than its timeout of {}", humantime::format_duration(timeout));
            again(AttemptStatus::TimedOut, None, error)
        }
        Outcome::Ended(Ended::Panicked(text)) => {
            again(AttemptStatus::Panicked, None, format!("the handler panicked: {text}"))
        }
        Outcome::Silent(after) => {
            let after = humantime::format_duration(*after);
            again(AttemptStatus::TimedOut, None, format!("nothing was heard of the handler for {after}"))
        }
        Outcome::Cut => Verdict {
            next_attempt_at: Some(at),
            ..end(AttemptStatus::Abandoned, Status::Pending, Some("the engine stopped before it ended".to_owned()))
        },
        Outcome::NeverStarted => {
            Verdict { attempt: None, to: Status::Pending, retry_count, next_attempt_at: Some(at), error: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handle::HandlerError;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn judge(outcome: Outcome, retry_count: u32) -> Verdict {
        verdict(&outcome, &RetryPolicy::default(), retry_count, Duration::from_secs(30), NOW, 0.0)
    }

    fn failed(error: HandlerError) -> Outcome {
        Outcome::Ended(Ended::Answered(Err(error)))
    }

    #[test]
    fn retries_come_1_2_and_4_seconds_after_the_end_of_the_one_before() {
        let delays: Vec<_> = (0..3)
            .map(|count| judge(failed(HandlerError::retry("no")), count))
            .map(|verdict| verdict.next_attempt_at.unwrap().since(NOW).as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4]);
    }

    #[test]
    fn the_fourth_failure_is_the_last() {
        let verdict = judge(failed(HandlerError::retry("no")), 3);
        assert_eq!((verdict.to, verdict.next_attempt_at), (Status::FailedMaxRetry, None));
    }

    #[test]
    fn a_handler_may_name_the_delay_but_not_the_number_of_retries() {
        let after = || failed(HandlerError::retry_after(Duration::from_secs(60), "busy"));
        assert_eq!(judge(after(), 0).next_attempt_at, Some(NOW.after(Duration::from_secs(60))));
        assert_eq!(judge(after(), 3).to, Status::FailedMaxRetry);
    }

    #[test]
    fn a_permanent_failure_is_not_retried() {
        assert_eq!(judge(failed(HandlerError::permanent("no")), 0).to, Status::FailedPermanent);
    }

    #[test]
    fn data_that_the_type_rejects_is_invalid() {
        let verdict = judge(Outcome::Ended(Ended::Undecodable("missing field".into())), 0);
        assert_eq!((verdict.to, verdict.attempt), (Status::Invalid, Some(AttemptStatus::Failed)));
    }

    #[test]
    fn a_panic_keeps_its_text() {
        let verdict = judge(Outcome::Ended(Ended::Panicked("index out of bounds".into())), 0);
        assert_eq!(verdict.attempt, Some(AttemptStatus::Panicked));
        assert!(verdict.error.unwrap().contains("index out of bounds"));
    }

    proptest! {
        #[test]
        fn stopping_never_costs_a_retry(retry_count in 0u32..10) {
            for outcome in [Outcome::Cut, Outcome::NeverStarted] {
                let verdict = judge(outcome, retry_count);
                prop_assert_eq!((verdict.to, verdict.retry_count), (Status::Pending, retry_count));
            }
        }

        #[test]
        fn what_is_not_final_is_due_again(retry_count in 0u32..10, kind in 0..4) {
            let outcome = match kind {
                0 => failed(HandlerError::retry("no")),
                1 => Outcome::Ended(Ended::TimedOut),
                2 => Outcome::Silent(Duration::from_secs(60)),
                _ => Outcome::Cut,
            };
            let verdict = judge(outcome, retry_count);
            prop_assert_eq!(verdict.to.is_final(), verdict.next_attempt_at.is_none());
        }
    }
}
