//! What there is to be alerted of. Pure: only words.

use std::fmt;

use serde::{Serialize, Serializer};

/// A kind of alert. The word is the same in the log, the metrics, the API and the webhook's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Events were given up.
    DeadLetter,
    /// Events arrived that nobody could handle.
    Invalid,
    /// Events cannot be put out of hand: the database refuses the write.
    Stuck,
    /// A handler cannot do its work.
    HandlerDown,
    /// Too many of a handler's attempts fail.
    HandlerFailing,
    /// An event has waited for its handler for too long.
    OldestPending,
    /// The ledger cannot be written.
    LedgerUnavailable,
    /// This node does not hold its lease.
    LeaseLost,
    /// The broker takes no events.
    BrokerAway,
    /// Listeners get no events from the broker.
    ListenerDown,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody has to look at it.
    Warning,
    /// Events do not go on until somebody, or something, mends it.
    Critical,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::DeadLetter,
        Self::Invalid,
        Self::Stuck,
        Self::HandlerDown,
        Self::HandlerFailing,
        Self::OldestPending,
        Self::LedgerUnavailable,
        Self::LeaseLost,
        Self::BrokerAway,
        Self::ListenerDown,
    ];

    /// The word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead_letter",
            Self::Invalid => "invalid",
            Self::Stuck => "stuck",
            Self::HandlerDown => "handler_down",
            Self::HandlerFailing => "handler_failing",
            Self::OldestPending => "oldest_pending",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::LeaseLost => "lease_lost",
            Self::BrokerAway => "broker_away",
            Self::ListenerDown => "listener_down",
        }
    }

    /// In a few words, for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::DeadLetter => "events were given up",
            Self::Invalid => "invalid events arrived",
            Self::Stuck => "events cannot be taken over",
            Self::HandlerDown => "a handler is down",
            Self::HandlerFailing => "a handler fails too often",
            Self::OldestPending => "an event waits too long for its handler",
            Self::LedgerUnavailable => "the ledger cannot be written",
            Self::LeaseLost => "this node does not hold its lease",
            Self::BrokerAway => "the broker takes no events",
            Self::ListenerDown => "listeners get no events from the broker",
        }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::DeadLetter | Self::Invalid | Self::HandlerFailing | Self::OldestPending => Severity::Warning,
            Self::Stuck
            | Self::HandlerDown
            | Self::LedgerUnavailable
            | Self::LeaseLost
            | Self::BrokerAway
            | Self::ListenerDown => Severity::Critical,
        }
    }

    /// Whether it may pass by itself in a moment, and is told only when it does not.
    pub(super) const fn has_grace(self) -> bool {
        matches!(self, Self::LedgerUnavailable | Self::LeaseLost | Self::BrokerAway | Self::ListenerDown)
    }

    /// Whether it is about events, which come one by one, and not about a state that lasts.
    pub(crate) const fn is_of_events(self) -> bool {
        matches!(self, Self::DeadLetter | Self::Invalid | Self::Stuck)
    }
}

impl Severity {
    /// The word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
