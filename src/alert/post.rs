//! What still has to be posted. Pure: no I/O, no clock.
//!
//! A receiver that is away must not lose that an incident began or that it is over, and must not cost memory without end:
//! what is to be said of one incident is kept once, however often it changes. So that a flood of incidents is no flood of
//! posts, at most so many go out in a minute; the last of them sums up all that waits.

use std::collections::VecDeque;
use std::time::Duration;

use super::incident::{Incident, Notice, Word};
use crate::clock::Timestamp;

/// So many posts go out in a minute; the last of them sums up what waits.
pub(super) const MOST_A_MINUTE: u32 = 20;

/// What is to be said of so many incidents is kept. Those that came and went unsaid make room for others.
pub(super) const MOST_WAITING: usize = 500;

const MINUTE: Duration = Duration::from_secs(60);

/// What goes out in one post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    /// One notice.
    One(Notice),
    /// Many in one: too many to post each.
    Summary(Summary),
}

/// Many notices in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// How many incidents began.
    pub raised: u64,
    /// How many go on.
    pub reminders: u64,
    /// How many are over.
    pub resolved: u64,
    /// They, as far as they are still known.
    pub incidents: Vec<Incident>,
}

/// What is to be said of one incident.
#[derive(Debug)]
struct Waiting {
    incident: Incident,
    raised: bool,
    reminder: bool,
    resolved: bool,
}

impl Waiting {
    /// Takes the next thing that is to be said.
    fn take(&mut self) -> Option<Word> {
        let words = [
            (&mut self.raised, Word::Raised),
            (&mut self.reminder, Word::Reminder),
            (&mut self.resolved, Word::Resolved),
        ];
        words.into_iter().find_map(|(is_due, word)| std::mem::take(is_due).then_some(word))
    }

    fn is_empty(&self) -> bool {
        !(self.raised || self.reminder || self.resolved)
    }
}

/// What still has to be posted, in the order in which it came up.
#[derive(Debug, Default)]
pub(super) struct Post {
    waiting: VecDeque<Waiting>,
    /// Incidents that came and went, and are not among those that wait any more.
    gone: u64,
    /// When this minute began, and how many posts went out in it.
    minute: Option<(Timestamp, u32)>,
}

impl Post {
    /// Something is to be said.
    pub(super) fn add(&mut self, notice: Notice) {
        let Notice { word, incident } = notice;
        let known = self.waiting.iter().position(|waiting| waiting.incident.id == incident.id);
        let mut waiting = match known.and_then(|place| self.waiting.get_mut(place)) {
            Some(waiting) => {
                waiting.incident = incident;
                waiting
            }
            None => {
                self.waiting.push_back(Waiting { incident, raised: false, reminder: false, resolved: false });
                self.make_room();
                let Some(waiting) = self.waiting.back_mut() else { return };
                waiting
            }
        };
        let waiting = &mut waiting;
        match word {
            Word::Raised => waiting.raised = true,
            // What began unsaid is said with its count: a reminder would say the same twice.
            Word::Reminder => waiting.reminder = !waiting.raised,
            Word::Resolved => (waiting.reminder, waiting.resolved) = (false, true),
        }
    }

    /// How many incidents wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The next letter, or when to ask again; neither if nothing waits. In a hurry nothing waits for the next minute.
    pub(super) fn next(&mut self, now: Timestamp, hurry: bool) -> Result<Letter, Option<Timestamp>> {
        if self.waiting.is_empty() {
            return Err(None);
        }
        let (began, sent) = self.minute.filter(|(began, _)| now < began.after(MINUTE)).unwrap_or((now, 0));
        let is_last = sent + 1 >= MOST_A_MINUTE || self.gone > 0 || hurry;
        if sent >= MOST_A_MINUTE && !hurry {
            return Err(Some(began.after(MINUTE)));
        }
        self.minute = Some((began, sent + 1));
        if is_last && (self.waiting.len() > 1 || self.gone > 0) {
            return Ok(Letter::Summary(self.sum_up()));
        }
        self.first().map(Letter::One).ok_or(None)
    }

    fn first(&mut self) -> Option<Notice> {
        let first = self.waiting.front_mut()?;
        let (word, incident) = (first.take(), first.incident.clone());
        if first.is_empty() {
            self.waiting.pop_front();
        }
        Some(Notice { word: word?, incident })
    }

    fn sum_up(&mut self) -> Summary {
        let gone = std::mem::take(&mut self.gone);
        let mut summary = Summary { raised: gone, resolved: gone, ..Summary::default() };
        for waiting in self.waiting.drain(..) {
            summary.raised += u64::from(waiting.raised);
            summary.reminders += u64::from(waiting.reminder);
            summary.resolved += u64::from(waiting.resolved);
            summary.incidents.push(waiting.incident);
        }
        summary
    }

    /// Open incidents are few: there is always one that came and went, and can be counted instead of kept.
    fn make_room(&mut self) {
        if self.waiting.len() > MOST_WAITING
            && let Some(place) = self.waiting.iter().position(|waiting| waiting.raised && waiting.resolved)
        {
            self.waiting.remove(place);
            self.gone += 1;
        }
    }
}

#[cfg(test)]
mod tests;
