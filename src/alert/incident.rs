//! An incident: what an operator is alerted of once, however many events it is about. Pure.

use std::fmt;

use uuid::Uuid;

use super::kind::Kind;
use crate::clock::Timestamp;

/// What incidents are told apart by: what it is, of which handler or type, and how its error reads without its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// The handler, or the type of the events; none if it is about the whole node.
    pub subject: Option<String>,
    /// Of the error; none if it does not matter.
    pub fingerprint: Option<String>,
}

/// The fingerprint of the incident that sums up what there is no room for.
const OTHERS: &str = "others";

impl Key {
    /// What sums up all incidents of a kind that there is no room for.
    pub(super) fn others(kind: Kind) -> Self {
        Self { kind, subject: None, fingerprint: Some(OTHERS.to_owned()) }
    }

    /// Whether it sums up others.
    pub(super) fn is_others(&self) -> bool {
        self.fingerprint.as_deref() == Some(OTHERS)
    }
}

impl fmt::Display for Key {
    /// The same after a restart, so that a receiver can bring together what belongs together.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [self.subject.as_deref(), self.fingerprint.as_deref()];
        write!(f, "{}", self.kind)?;
        parts.into_iter().flatten().try_for_each(|part| write!(f, "/{part}"))
    }
}

/// An incident, from its first sign on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its own id, a uuid v7.
    pub id: Uuid,
    /// What it is about.
    pub key: Key,
    /// What went wrong, the last time; without its values if it is about events.
    pub title: String,
    /// The last error as it was.
    pub error: Option<String>,
    /// The last event.
    pub record: Option<Uuid>,
    /// How many events it is about; 1 for a state.
    pub count: u64,
    /// When it began.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// The last notice, and the count that it told.
    pub(super) told: (Timestamp, u64),
}

impl Incident {
    /// Whether it goes on.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }
}

/// What a notice says of its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It has begun.
    Raised,
    /// It goes on.
    Reminder,
    /// It is over.
    Resolved,
}

impl Word {
    /// The word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
        }
    }
}

/// What operators are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What is said.
    pub word: Word,
    /// Of which incident, as it stands.
    pub incident: Incident,
}
