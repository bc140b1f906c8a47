//! The states of an event and of its attempts, and the one table of transitions between them.
//!
//! Pure: no actix, no I/O, no clock. Every write of the ledger names a [`Transition`] from here, so a step that is
//! not in the table cannot be written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in the database, JSON, logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = Self::ALL.iter().map(|word| word.as_str());
                let meaning = concat!($($doc,)+).trim();
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).description(Some(meaning)).into()
            }
        }

        impl ToSchema for $name {}

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word { $($word => Ok(Self::$variant),)+ _ => Err(UnknownWord(word.to_owned())) }
            }
        }
    };
}

// After the macro, which is known only below the place where it stands.
mod operation;

pub use operation::{OperationAction, OperationState, OperationVerb};

/// A word that is none of the states.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no status")]
pub struct UnknownWord(pub String);

words! {
    /// Where an event stands.
    Status {
        /// Accepted with a delivery time in the future.
        Scheduled = "SCHEDULED",
        /// Accepted, waiting for a permit of its handler.
        Pending = "PENDING",
        /// Claimed by a node; its attempt is running.
        Processing = "PROCESSING",
        /// Failed; the next attempt has a time.
        RetryScheduled = "RETRY_SCHEDULED",
        /// The handler succeeded.
        Success = "SUCCESS",
        /// No event, or none that its handler's type accepts; never retried.
        Invalid = "INVALID",
        /// A second send of the same source and id with the same content.
        Duplicate = "DUPLICATE",
        /// No handler is bound to its type.
        NoHandler = "NO_HANDLER",
        /// The retries are used up.
        FailedMaxRetry = "FAILED_MAX_RETRY",
        /// The handler said that retrying is useless.
        FailedPermanent = "FAILED_PERMANENT",
        /// The process died three times with this event in hand.
        Poison = "POISON",
        /// An operator discarded a dead letter, or cancelled what had not started.
        Discarded = "DISCARDED",
    }
}

words! {
    /// How an event ended.
    FinalStatus {
        /// Handled.
        Completed = "COMPLETED",
        /// Invalid.
        Failed = "FAILED",
        /// A duplicate.
        Skipped = "SKIPPED",
        /// Nobody to handle it.
        NoHandler = "NO_HANDLER",
        /// Given up; an operator decides.
        DeadLetter = "DEAD_LETTER",
        /// Discarded by an operator.
        Discarded = "DISCARDED",
    }
}

words! {
    /// How an attempt stands or ended.
    AttemptStatus {
        /// It runs.
        Running = "RUNNING",
        /// The handler succeeded.
        Success = "SUCCESS",
        /// The handler answered with an error.
        Failed = "FAILED",
        /// It took longer than its timeout.
        TimedOut = "TIMED_OUT",
        /// The handler panicked.
        Panicked = "PANICKED",
        /// Its node died, was fenced, or was told to stop.
        Abandoned = "ABANDONED",
    }
}

words! {
    /// The verbs that change an event's status. Each is one write of the ledger.
    Verb {
        /// Takes a new event in.
        Accept = "accept",
        /// Takes an event in hand.
        Claim = "claim",
        /// Records what an attempt came to.
        Finish = "finish",
        /// Gives a claim back that did not come to an end.
        HandBack = "hand_back",
        /// Takes over what a dead process had in hand.
        Recover = "recover",
        /// Finds that nobody is left to handle an event.
        Unbind = "unbind",
        /// Starts a new round, asked for by a person.
        Redrive = "redrive",
        /// Lays a dead letter to rest.
        Discard = "discard",
        /// Stops an event that has not started.
        Cancel = "cancel",
    }
}

impl Status {
    /// What a status says about the end, if it is one.
    #[must_use]
    pub const fn final_status(self) -> Option<FinalStatus> {
        match self {
            Self::Scheduled | Self::Pending | Self::Processing | Self::RetryScheduled => None,
            Self::Success => Some(FinalStatus::Completed),
            Self::Invalid => Some(FinalStatus::Failed),
            Self::Duplicate => Some(FinalStatus::Skipped),
            Self::NoHandler => Some(FinalStatus::NoHandler),
            Self::FailedMaxRetry | Self::FailedPermanent | Self::Poison => Some(FinalStatus::DeadLetter),
            Self::Discarded => Some(FinalStatus::Discarded),
        }
    }

    /// Whether nothing happens to the event any more unless an operator acts.
    #[must_use]
    pub const fn is_final(self) -> bool {
        self.final_status().is_some()
    }
}

impl FinalStatus {
    /// Whether it is an end that somebody has to look at.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::DeadLetter)
    }
}

impl Verb {
    /// The statuses that this verb may start from; empty for the verb that makes a record.
    #[must_use]
    pub const fn from(self) -> &'static [Status] {
        use Status::*;
        match self {
            Self::Accept => &[],
            Self::Claim | Self::Unbind | Self::Cancel => &[Scheduled, Pending, RetryScheduled],
            Self::Finish | Self::HandBack | Self::Recover => &[Processing],
            Self::Redrive | Self::Discard => &[NoHandler, FailedMaxRetry, FailedPermanent, Poison],
        }
    }

    /// The statuses that this verb may lead to.
    #[must_use]
    pub const fn to(self) -> &'static [Status] {
        use Status::*;
        match self {
            Self::Accept => &[Scheduled, Pending, Processing, Invalid, Duplicate, NoHandler],
            Self::Claim => &[Processing],
            Self::Finish => &[RetryScheduled, Success, Invalid, FailedMaxRetry, FailedPermanent],
            Self::HandBack | Self::Redrive => &[Pending],
            Self::Recover => &[Pending, Poison],
            Self::Unbind => &[NoHandler],
            Self::Discard | Self::Cancel => &[Discarded],
        }
    }
}

/// One legal step of an event. It can only be had from [`transition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    from: Option<Status>,
    to: Status,
}

impl Transition {
    /// Where the event stood; `None` if it is new.
    #[must_use]
    pub const fn from(self) -> Option<Status> {
        self.from
    }

    /// Where it stands then.
    #[must_use]
    pub const fn to(self) -> Status {
        self.to
    }
}

/// A step that the table does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{verb} does not lead from {} to {to}", from.map_or("nothing", Status::as_str))]
pub struct Illegal {
    /// The verb that was asked for.
    pub verb: Verb,
    /// Where the event stood.
    pub from: Option<Status>,
    /// Where it should have gone.
    pub to: Status,
}

/// The step from `from` to `to` by `verb`, if there is one.
///
/// # Errors
/// [`Illegal`] if the table has no such step.
pub fn transition(verb: Verb, from: Option<Status>, to: Status) -> Result<Transition, Illegal> {
    let starts = match from {
        None => verb.from().is_empty(),
        Some(from) => verb.from().contains(&from),
    };
    if starts && verb.to().contains(&to) { Ok(Transition { from, to }) } else { Err(Illegal { verb, from, to }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_status() -> impl Strategy<Value = Status> {
        prop::sample::select(Status::ALL)
    }

    fn any_verb() -> impl Strategy<Value = Verb> {
        prop::sample::select(Verb::ALL)
    }

    proptest! {
        #[test]
        fn a_final_status_changes_only_by_an_operator(verb in any_verb(), from in any_status(), to in any_status()) {
            if from.is_final() && transition(verb, Some(from), to).is_ok() {
                prop_assert!(matches!(verb, Verb::Redrive | Verb::Discard));
            }
        }

        #[test]
        fn success_invalid_duplicate_and_discarded_are_the_end(verb in any_verb(), to in any_status()) {
            for from in [Status::Success, Status::Invalid, Status::Duplicate, Status::Discarded] {
                prop_assert!(transition(verb, Some(from), to).is_err());
            }
        }

        #[test]
        fn any_walk_through_the_table_can_still_reach_an_end(verbs in prop::collection::vec((any_verb(), any_status()), 1..40)) {
            let mut at = Status::Pending;
            for (verb, to) in verbs {
                if let Ok(step) = transition(verb, Some(at), to) {
                    at = step.to();
                }
            }
            prop_assert!(at.is_final() || reaches_an_end(at));
        }

        #[test]
        fn words_read_back_as_what_they_say(status in any_status()) {
            prop_assert_eq!(status.as_str().parse::<Status>(), Ok(status));
        }
    }

    fn reaches_an_end(from: Status) -> bool {
        let mut seen = vec![from];
        let mut next = 0;
        while next < seen.len() {
            for verb in Verb::ALL {
                for to in Status::ALL {
                    if transition(*verb, Some(seen[next]), *to).is_ok() && !seen.contains(to) {
                        seen.push(*to);
                    }
                }
            }
            next += 1;
        }
        seen.iter().any(|status| status.is_final())
    }

    #[test]
    fn every_status_can_be_reached() {
        for status in Status::ALL {
            assert!(Verb::ALL.iter().any(|verb| verb.to().contains(status)), "{status} cannot be reached");
        }
    }

    #[test]
    fn nothing_in_hand_can_be_cancelled() {
        assert!(transition(Verb::Cancel, Some(Status::Processing), Status::Discarded).is_err());
    }
}
