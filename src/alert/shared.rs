//! What the Teller, the courier and the API have in common: the book, and what still has to be posted.
//!
//! Locks are held for as long as it takes to look and to write down, never while something is waited for.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::book::{Book, Times};
use super::config::Config;
use super::courier::Sealed;
use super::incident::{Notice, Word};
use super::kind::Kind;
use super::post::Post;
use super::{letter, teller};
use crate::clock::{Clock, Timestamp};
use crate::handlers::webhook::{self, Target};
use crate::telemetry::Metrics;

/// What the Teller, the courier and the API have in common.
pub(super) struct Shared {
    pub clock: Clock,
    pub metrics: Metrics,
    /// This node's name, for people.
    pub node: String,
    book: Mutex<Book>,
    outgoing: Mutex<Outgoing>,
    /// Where alerts are posted, if they are.
    pub target: Option<Target>,
    /// There is something to post.
    pub wake: Notify,
    pub ending: watch::Sender<bool>,
    /// What found no room, by kind.
    pub missed: [AtomicU64; Kind::ALL.len()],
}

#[derive(Default)]
pub(super) struct Outgoing {
    pub post: Post,
    /// The letter that is on its way.
    pub sealed: Option<Sealed>,
    pub last_error: Option<String>,
}

impl Shared {
    pub fn new(config: &Config, clock: Clock, metrics: Metrics, node: String) -> Result<Self, webhook::Error> {
        let target = config.target()?;
        // Rules ask what was added to a counter: one that first appears as 1 has had nothing added.
        for kind in Kind::ALL {
            metrics.alerts.with_label_values(&[kind.as_str()]);
            metrics.alerts_open.with_label_values(&[kind.as_str()]);
        }
        for outcome in ["delivered", "failed", "given_up"] {
            metrics.alert_posts.with_label_values(&[outcome]);
        }
        let Config { cooldown, resolve_after, grace, .. } = *config;
        Ok(Self {
            clock,
            metrics,
            node,
            book: Mutex::new(Book::new(Times { cooldown, resolve_after, grace })),
            outgoing: Mutex::default(),
            target,
            wake: Notify::new(),
            ending: watch::Sender::new(false),
            missed: Default::default(),
        })
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells operators: counted, in the log, and to be posted.
    pub fn tell(&self, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            let kind = notice.incident.key.kind;
            teller::log(&notice);
            if notice.word == Word::Raised {
                self.metrics.alerts.with_label_values(&[kind.as_str()]).inc();
            }
            let open = i64::try_from(self.book().count(kind)).unwrap_or(i64::MAX);
            self.metrics.alerts_open.with_label_values(&[kind.as_str()]).set(open);
            if self.target.is_some() {
                self.outgoing().post.add(notice);
                self.wake.notify_one();
            }
        }
    }

    /// The letter that has to be posted now, or when to ask again.
    pub fn seal(&self) -> Result<Sealed, Option<Timestamp>> {
        let (now, hurry) = (self.clock.now(), *self.ending.borrow());
        let mut outgoing = self.outgoing();
        if let Some(sealed) = &outgoing.sealed {
            return Ok(sealed.clone());
        }
        let letter = outgoing.post.next(now, hurry)?;
        let sealed = Sealed { id: self.clock.new_id(), body: letter::body(&letter, &self.node, now) };
        Ok(outgoing.sealed.insert(sealed).clone())
    }

    /// The letter that was on its way is not any more.
    pub fn delivered(&self, outcome: &str, error: Option<String>) {
        self.metrics.alert_posts.with_label_values(&[outcome]).inc();
        let mut outgoing = self.outgoing();
        outgoing.sealed = None;
        outgoing.last_error = error;
    }

    /// A try to post it did not succeed; the next follows.
    pub fn failed(&self, error: String) {
        self.metrics.alert_posts.with_label_values(&["failed"]).inc();
        self.outgoing().last_error = Some(error);
    }
}
