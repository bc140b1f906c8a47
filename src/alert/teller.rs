//! The Teller: the actor that hears what happens, has the book decide, and tells operators in the log.
//!
//! It stands in nobody's way: who has something to say leaves it in a bounded mailbox and goes on. Nothing is posted
//! here, that is the courier's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::book::{Condition, Happened, Moment};
use super::courier;
use super::incident::{Incident, Key, Notice, Word};
use super::kind::Kind;
use super::shared::Shared;
use crate::fingerprint::Fingerprint;

/// How often it is looked what the time has brought.
const LOOK: Duration = Duration::from_secs(1);

/// So much may wait; what finds no room is counted by its kind alone. A commit's worth of failures fits in.
const ROOM: usize = 4_096;

/// Something has happened to an event.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Signal {
    pub kind: Kind,
    /// The handler, or the type.
    pub subject: Option<String>,
    pub record: Uuid,
    pub error: Option<String>,
}

/// Which states of a kind hold: all that do.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Looked {
    pub kind: Kind,
    pub holds: Vec<Condition>,
}

/// Tells what is to be told before the end.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Finish;

/// The actor. What it knows outlives it.
pub(super) struct Teller {
    shared: Arc<Shared>,
    courier: Option<JoinHandle<()>>,
}

impl Teller {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, courier: None }
    }

    fn look(&mut self) {
        self.take_down_the_missed();
        let now = self.shared.clock.now();
        let notices = self.shared.book().tick(now);
        self.shared.tell(notices);
        let Some(target) = &self.shared.target else { return };
        if self.courier.as_ref().is_some_and(|courier| !courier.is_finished()) || *self.shared.ending.borrow() {
            return;
        }
        let run = courier::run(Arc::clone(&self.shared), target.clone());
        if self.courier.replace(actix::spawn(run)).is_some() {
            tracing::error!("the courier of alerts died; started another");
            self.shared.metrics.actor_restarts.with_label_values(&["alerts"]).inc();
        }
    }

    /// What found no room in the mailbox is counted all the same.
    fn take_down_the_missed(&self) {
        for (kind, missed) in Kind::ALL.into_iter().zip(&self.shared.missed) {
            let count = missed.swap(0, Ordering::Relaxed);
            if count > 0 {
                let title = format!("{}, too many at once to tell them apart", kind.title());
                self.happened(Happened { key: Key::others(kind), title, error: None, record: None, count });
            }
        }
    }

    fn happened(&self, what: Happened) {
        let at = Moment { now: self.shared.clock.now(), id: self.shared.clock.new_id() };
        let notice = self.shared.book().happened(what, at);
        self.shared.tell(notice);
    }
}

impl Actor for Teller {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(ROOM);
        self.look();
        ctx.run_interval(LOOK, |teller, _| teller.look());
    }
}

impl Handler<Signal> for Teller {
    type Result = ();

    fn handle(&mut self, signal: Signal, _: &mut Self::Context) {
        let Signal { kind, subject, record, error } = signal;
        let name = subject.as_deref().unwrap_or_default();
        // Dead letters have the fingerprint of their group, so that the one leads to the other.
        let of = if kind == Kind::DeadLetter {
            Fingerprint::of_death(name, error.as_deref())
        } else {
            Fingerprint::of_trouble(kind.as_str(), name, error.as_deref())
        };
        let key = Key { kind, subject, fingerprint: Some(of.id) };
        self.happened(Happened { key, title: of.title, error, record: Some(record), count: 1 });
    }
}

impl Handler<Looked> for Teller {
    type Result = ();

    fn handle(&mut self, Looked { kind, holds }: Looked, _: &mut Self::Context) {
        let clock = &self.shared.clock;
        let notices = self.shared.book().looked(kind, holds, clock.now(), || clock.new_id());
        self.shared.tell(notices);
    }
}

impl Handler<Finish> for Teller {
    type Result = ();

    fn handle(&mut self, _: Finish, _: &mut Self::Context) {
        self.look();
    }
}

/// Tells one thing in the log.
pub(super) fn log(notice: &Notice) {
    let Incident { id, key, title, error, record, count, .. } = &notice.incident;
    let (kind, subject, error) = (key.kind.as_str(), key.subject.as_deref(), error.as_deref());
    let (handler, event_type) = if key.kind == Kind::Invalid { (None, subject) } else { (subject, None) };
    let record = record.map(tracing::field::display);
    let (what, title) = (key.kind.title(), title.as_str());
    match notice.word {
        Word::Raised => tracing::warn!(
            alert = kind, incident = %id, count, record, handler, event_type, title, error, "alert: {what}"
        ),
        Word::Reminder => tracing::warn!(
            alert_goes_on = kind, incident = %id, count, record, handler, event_type, title, error, "still: {what}"
        ),
        Word::Resolved => tracing::info!(
            alert_resolved = kind, incident = %id, count, handler, event_type, title, "over: {what}"
        ),
    }
}
