//! What goes on that operators were alerted of, for the overview: each with the way to what is behind it.

use super::dead_letters::address;
use super::shown::{self, Moment};
use crate::alert::{Incident, Kind, Severity};
use crate::api::State;

/// So many are shown.
const MOST: usize = 10;

/// An incident that goes on.
#[derive(Debug)]
pub(super) struct Alert {
    pub word: &'static str,
    /// The word for the style sheet.
    pub mood: &'static str,
    /// The handler or the type; empty if it is about the whole node.
    pub of: String,
    /// What went wrong.
    pub what: String,
    /// How many events it is about; empty for a state.
    pub count: String,
    pub since: Moment,
    pub href: String,
}

/// What goes on, the newest first, and how many more there are.
pub(super) fn open(state: &State) -> (Vec<Alert>, usize) {
    let mut open = state.pool.alerts.open();
    let more = open.len().saturating_sub(MOST);
    open.truncate(MOST);
    let now = state.pool.clock.now();
    let shown = open.into_iter().map(|incident| Alert {
        word: incident.key.kind.as_str(),
        mood: if incident.key.kind.severity() == Severity::Critical { "bad" } else { "warn" },
        href: behind(&incident),
        count: if incident.key.kind.is_of_events() {
            shown::number(incident.count.cast_signed())
        } else {
            String::new()
        },
        since: Moment::of(incident.first_seen, now),
        // Of a state, the error says more than its title.
        what: if incident.key.kind.is_of_events() { incident.title } else { incident.error.unwrap_or(incident.title) },
        of: incident.key.subject.unwrap_or_default(),
    });
    (shown.collect(), more)
}

/// Where the events are, or the actor, that it is about.
fn behind(incident: &Incident) -> String {
    let (of, fingerprint) = (incident.key.subject.as_deref(), incident.key.fingerprint.as_deref());
    match (incident.key.kind, of) {
        (Kind::DeadLetter, Some(_)) => address("/dead-letters", fingerprint.map(|group| ("group", group)).into_iter()),
        (Kind::DeadLetter, None) => "/dead-letters".to_owned(),
        (Kind::Invalid, of) => address("/events", [("status", "INVALID")].into_iter().chain(of.map(|of| ("type", of)))),
        (Kind::OldestPending, of) => {
            address("/events", [("status", "PENDING")].into_iter().chain(of.map(|of| ("handler", of))))
        }
        (Kind::Stuck, _) => match incident.record {
            Some(record) => format!("/events/{record}"),
            None => "/events?status=PROCESSING".to_owned(),
        },
        (Kind::HandlerDown | Kind::HandlerFailing, _) => "/handlers".to_owned(),
        (Kind::LeaseLost, _) => "/nodes".to_owned(),
        (Kind::LedgerUnavailable | Kind::BrokerAway | Kind::ListenerDown, _) => "/actors".to_owned(),
    }
}
