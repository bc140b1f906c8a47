//! The states of an operation on many dead letters, and the one table of transitions between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::UnknownWord;

words! {
    /// What an operation does to many dead letters.
    OperationAction {
        /// Starts a new round for each.
        Redrive = "redrive",
        /// Lays each to rest.
        Discard = "discard",
        /// Puts each into the group of its error; the engine does this by itself to what is older than groups.
        Group = "group",
    }
}

words! {
    /// Where an operation on many dead letters stands.
    OperationState {
        /// It goes on by itself, through restarts too.
        Running = "RUNNING",
        /// It waits for a person.
        Paused = "PAUSED",
        /// A person has ended it; what it had changed stays changed.
        Cancelled = "CANCELLED",
        /// It has come to all that matched.
        Done = "DONE",
        /// It cannot go on, and says why.
        Failed = "FAILED",
    }
}

words! {
    /// What changes the state of an operation.
    OperationVerb {
        /// A person lets it wait.
        Pause = "pause",
        /// A person lets it go on.
        Resume = "resume",
        /// A person ends it.
        Cancel = "cancel",
        /// It finds nothing more.
        Complete = "complete",
        /// It finds that it cannot go on.
        Fail = "fail",
    }
}

impl OperationState {
    /// Whether nothing happens to the operation any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Done | Self::Failed)
    }
}

impl OperationVerb {
    /// The states that this verb may start from.
    #[must_use]
    pub const fn from(self) -> &'static [OperationState] {
        use OperationState::*;
        match self {
            Self::Pause | Self::Complete | Self::Fail => &[Running],
            Self::Resume => &[Paused],
            Self::Cancel => &[Running, Paused],
        }
    }

    /// The state that this verb leads to.
    #[must_use]
    pub const fn to(self) -> OperationState {
        match self {
            Self::Pause => OperationState::Paused,
            Self::Resume => OperationState::Running,
            Self::Cancel => OperationState::Cancelled,
            Self::Complete => OperationState::Done,
            Self::Fail => OperationState::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over() {
        for verb in OperationVerb::ALL {
            assert!(!verb.from().iter().any(|state| state.is_over()), "{verb}");
        }
    }

    #[test]
    fn every_state_but_the_first_can_be_reached_and_every_open_one_can_be_left() {
        for state in OperationState::ALL {
            let reached = OperationVerb::ALL.iter().any(|verb| verb.to() == *state);
            let left = OperationVerb::ALL.iter().any(|verb| verb.from().contains(state));
            assert!(reached && left != state.is_over(), "{state}");
        }
    }

    #[test]
    fn no_verb_leads_to_where_it_starts() {
        for verb in OperationVerb::ALL {
            assert!(!verb.from().contains(&verb.to()), "{verb}");
        }
    }
}
