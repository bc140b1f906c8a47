//! The book of incidents: decides when one begins, is told of again, and is over. Pure: no actix, no I/O, no clock.
//!
//! An incident is raised once. Of events it is over when none has come for a while, of a state when the state is. What
//! goes on meanwhile is counted, and told of again only after a cool-down. The book is bounded: what there is no room for
//! is summed up in one incident a kind.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use super::incident::{Incident, Key, Notice, Word};
use super::kind::Kind;
use crate::clock::Timestamp;

/// So many incidents are open at a time, and one more of each kind that sums up the rest.
pub(super) const MOST_OPEN: usize = 100;

/// So many incidents that are over are remembered.
pub(super) const MOST_PAST: usize = 100;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Between two notices of an incident that goes on.
    pub cooldown: Duration,
    /// From the last event of an incident to its end.
    pub resolve_after: Duration,
    /// From the beginning of a state that may pass to its incident.
    pub grace: Duration,
}

/// Something that has happened to events.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    pub key: Key,
    pub title: String,
    pub error: Option<String>,
    pub record: Option<Uuid>,
    /// To how many.
    pub count: u64,
}

/// A state that an operator has to know of: of which handler, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub subject: Option<String>,
    pub why: String,
}

/// A moment, and the id for an incident that begins with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub now: Timestamp,
    pub id: Uuid,
}

/// All incidents that are open, and the last that are over.
#[derive(Debug)]
pub(super) struct Book {
    times: Times,
    open: BTreeMap<Key, Incident>,
    /// States that hold, and are no incidents yet.
    brewing: BTreeMap<Key, Timestamp>,
    /// The newest last.
    past: VecDeque<Incident>,
}

impl Book {
    pub(super) const fn new(times: Times) -> Self {
        Self { times, open: BTreeMap::new(), brewing: BTreeMap::new(), past: VecDeque::new() }
    }

    /// Takes down what has happened to events; a notice if that is the beginning of an incident.
    pub(super) fn happened(&mut self, what: Happened, at: Moment) -> Option<Notice> {
        let key = self.place(what.key);
        if let Some(incident) = self.open.get_mut(&key) {
            incident.count += what.count;
            incident.last_seen = incident.last_seen.max(at.now);
            incident.title = what.title;
            incident.error = what.error;
            incident.record = what.record;
            return None;
        }
        Some(self.raise(key, what.title, what.error, what.record, what.count, at))
    }

    /// Takes down which states of a kind hold now: all that do, so that what is not among them is over.
    pub(super) fn looked(
        &mut self,
        kind: Kind,
        holds: Vec<Condition>,
        now: Timestamp,
        mut id: impl FnMut() -> Uuid,
    ) -> Vec<Notice> {
        let key = |condition: &Condition| Key { kind, subject: condition.subject.clone(), fingerprint: None };
        let held: BTreeMap<Key, Condition> = holds.into_iter().map(|condition| (key(&condition), condition)).collect();
        let mut notices = self.end_where(now, |incident| {
            let is_covered = incident.key.is_others() && !held.is_empty();
            incident.key.kind == kind && !held.contains_key(&incident.key) && !is_covered
        });
        self.brewing.retain(|key, _| key.kind != kind || held.contains_key(key));
        for (key, condition) in held {
            let since = *self.brewing.entry(key.clone()).or_insert(now);
            let title = kind.title().to_owned();
            let key = self.place(key);
            if let Some(incident) = self.open.get_mut(&key) {
                incident.last_seen = incident.last_seen.max(now);
                incident.error = Some(condition.why);
            } else if !kind.has_grace() || now >= since.after(self.times.grace) {
                let at = Moment { now, id: id() };
                notices.push(self.raise(key, title, Some(condition.why), None, 1, at));
            }
        }
        notices
    }

    /// What the time brings: incidents of events that are over, and reminders of what goes on.
    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Notice> {
        let Times { cooldown, resolve_after, .. } = self.times;
        let is_over =
            |incident: &Incident| incident.key.kind.is_of_events() && now >= incident.last_seen.after(resolve_after);
        let mut notices = self.end_where(now, is_over);
        for incident in self.open.values_mut() {
            let (at, count) = incident.told;
            let goes_on = incident.count > count || !incident.key.kind.is_of_events();
            if goes_on && now >= at.after(cooldown) {
                incident.told = (now, incident.count);
                notices.push(Notice { word: Word::Reminder, incident: incident.clone() });
            }
        }
        notices
    }

    /// All that are known, newest first.
    pub(super) fn all(&self) -> Vec<Incident> {
        let mut all: Vec<Incident> = self.open.values().chain(&self.past).cloned().collect();
        all.sort_by_key(|incident| std::cmp::Reverse((incident.first_seen, incident.id)));
        all
    }

    /// How many of a kind are open.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.open.keys().filter(|key| key.kind == kind).count()
    }

    /// Where it belongs: under its own key, or with the others if there is no room.
    fn place(&self, key: Key) -> Key {
        let has_room = self.open.len() < MOST_OPEN || self.open.contains_key(&key);
        if has_room { key } else { Key::others(key.kind) }
    }

    fn raise(
        &mut self,
        key: Key,
        title: String,
        error: Option<String>,
        record: Option<Uuid>,
        count: u64,
        at: Moment,
    ) -> Notice {
        let Moment { now, id } = at;
        let (first_seen, last_seen, told) = (now, now, (now, count));
        let incident = Incident {
            id,
            key: key.clone(),
            title,
            error,
            record,
            count,
            first_seen,
            last_seen,
            resolved_at: None,
            told,
        };
        self.open.insert(key, incident.clone());
        Notice { word: Word::Raised, incident }
    }

    fn end_where(&mut self, now: Timestamp, is_over: impl Fn(&Incident) -> bool) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (_, mut incident) in self.open.extract_if(.., |_, incident| is_over(incident)) {
            incident.resolved_at = Some(now);
            self.past.push_back(incident.clone());
            notices.push(Notice { word: Word::Resolved, incident });
        }
        self.past.drain(..self.past.len().saturating_sub(MOST_PAST));
        notices
    }
}

#[cfg(test)]
mod tests;
