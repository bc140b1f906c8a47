//! What an operator has to know at once: one alert an incident, not one an event.
//!
//! Who has something to say leaves it with `Alerts` and goes on. The `book` decides what is an incident, when it is
//! told of again and when it is over; the `Teller` says it in the log, the `courier` posts it to the webhook. No event
//! ever waits for any of it, and nothing here is kept in the ledger: what still holds after a restart is raised anew.

mod book;
mod config;
mod courier;
mod incident;
mod kind;
mod letter;
mod post;
mod share;
mod shared;
mod teller;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use uuid::Uuid;

pub(crate) use book::Condition;
pub use config::Config;
pub(crate) use courier::Undelivered;
pub use incident::{Incident, Key, Notice, Word};
pub use kind::{Kind, Severity};
pub(crate) use letter::View;
pub(crate) use share::{Ended, Shares};

use crate::clock::Clock;
use crate::handlers::webhook;
use crate::lifecycle::Status;
use crate::telemetry::Metrics;
use shared::Shared;
use teller::{Finish, Looked, Signal, Teller};

/// So much of an error is kept, in bytes.
const LONGEST_ERROR: usize = 2_048;

/// How long what is to be posted may take at the end.
const LAST_POSTS: Duration = Duration::from_secs(3);

/// Where all rooms say what an operator has to know; cheap to clone.
#[derive(Clone)]
pub(crate) struct Alerts(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    arbiter: ArbiterHandle,
    teller: Mutex<Addr<Teller>>,
    restarts: AtomicU64,
}

/// How the webhook fares.
pub(crate) struct Posting {
    /// How many incidents wait to be posted.
    pub waiting: usize,
    /// Why the last try failed, if it did.
    pub last_error: Option<String>,
}

impl Alerts {
    /// Starts it on a thread of its own.
    ///
    /// # Errors
    /// What is wrong with the webhook.
    pub(crate) fn start(config: &Config, clock: Clock, metrics: Metrics, node: String) -> Result<Self, webhook::Error> {
        let shared = Arc::new(Shared::new(config, clock, metrics, node)?);
        let arbiter = Arbiter::new().handle();
        let teller = Mutex::new(start_teller(&shared, &arbiter));
        Ok(Self(Arc::new(Handle { shared, arbiter, teller, restarts: AtomicU64::new(0) })))
    }

    /// An event was given up and waits for an operator.
    pub(crate) fn dead_letter(&self, record: Uuid, handler: &str, reason: Status, error: Option<&str>) {
        let reason = reason.as_str();
        self.0.shared.metrics.dead_letters.with_label_values(&[handler, reason]).inc();
        tracing::info!(record = %record, handler, reason, error, "an event was given up");
        self.signal(Kind::DeadLetter, Some(handler), record, error);
    }

    /// Something arrived that is no event, or not one that anybody could handle.
    pub(crate) fn invalid(&self, record: Uuid, event_type: &str, error: Option<&str>) {
        tracing::info!(record = %record, event_type, error, "an invalid event arrived");
        self.signal(Kind::Invalid, Some(event_type), record, error);
    }

    /// An event cannot be put out of hand: the database refuses the write.
    pub(crate) fn stuck(&self, record: Uuid, error: &str) {
        tracing::error!(record = %record, error, "an event cannot be taken over; look at its row");
        self.signal(Kind::Stuck, None, record, Some(error));
    }

    /// Says which states of a kind hold: all that do, so that what is not among them is over.
    pub(crate) fn looked(&self, kind: Kind, holds: Vec<Condition>) {
        // Who cannot hear it now hears it with the next look.
        drop(self.teller().try_send(Looked { kind, holds }));
    }

    /// Starts another Teller if the one before died. What it knew is still known.
    pub(crate) fn look_after(&self) {
        let mut teller = self.teller();
        if !teller.connected() && !*self.0.shared.ending.borrow() {
            tracing::error!("the Teller of alerts died; starting another");
            self.0.shared.metrics.actor_restarts.with_label_values(&["alerts"]).inc();
            self.0.restarts.fetch_add(1, Ordering::Relaxed);
            *teller = start_teller(&self.0.shared, &self.0.arbiter);
        }
    }

    /// Whether the Teller lives, and how often it was started again.
    pub(crate) fn vitals(&self) -> (bool, u64) {
        (self.teller().connected(), self.0.restarts.load(Ordering::Relaxed))
    }

    /// All incidents that are known, newest first.
    pub(crate) fn incidents(&self) -> Vec<View> {
        let shared = &self.0.shared;
        shared.book().all().iter().map(|incident| View::of(incident, &shared.node)).collect()
    }

    /// Those that go on, newest first.
    pub(crate) fn open(&self) -> Vec<Incident> {
        self.0.shared.book().all().into_iter().filter(Incident::is_open).collect()
    }

    /// How the webhook fares, if there is one.
    pub(crate) fn posting(&self) -> Option<Posting> {
        self.0.shared.target.as_ref()?;
        let outgoing = self.0.shared.outgoing();
        let waiting = outgoing.post.len() + usize::from(outgoing.sealed.is_some());
        Some(Posting { waiting, last_error: outgoing.last_error.clone() })
    }

    /// Sends a test: in the log, and to the webhook if there is one. Says whether there is one.
    ///
    /// # Errors
    /// [`Undelivered`], if the webhook did not take it.
    pub(crate) async fn test(&self, operator: &str) -> Result<bool, Undelivered> {
        let shared = &self.0.shared;
        tracing::warn!(alert = "test", operator, "alert: a test");
        match &shared.target {
            Some(target) => courier::test(shared, target, operator).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Posts what still has to be, for a moment at most, and ends. What is open stays so: a stop mends nothing.
    pub(crate) async fn end(&self) {
        let teller = self.teller().clone();
        let posted = async {
            // An error means that the Teller is dead; what it knew is posted all the same.
            let _ = teller.send(Finish).await;
            self.0.shared.ending.send_replace(true);
            while self.posting().is_some_and(|posting| posting.waiting > 0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(LAST_POSTS, posted).await.is_err() {
            tracing::warn!(
                "alerts could not be posted before the end; what still holds is raised anew at the next start"
            );
        }
        self.0.arbiter.stop();
    }

    fn signal(&self, kind: Kind, subject: Option<&str>, record: Uuid, error: Option<&str>) {
        let (subject, error) = (subject.map(str::to_owned), error.map(|error| shortened(error).to_owned()));
        if self.teller().try_send(Signal { kind, subject, record, error }).is_err()
            && let Some((_, missed)) =
                Kind::ALL.into_iter().zip(&self.0.shared.missed).find(|(known, _)| *known == kind)
        {
            missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn teller(&self) -> MutexGuard<'_, Addr<Teller>> {
        self.0.teller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts").field("target", &self.0.shared.target).finish_non_exhaustive()
    }
}

fn start_teller(shared: &Arc<Shared>, arbiter: &ArbiterHandle) -> Addr<Teller> {
    let teller = Teller::new(Arc::clone(shared));
    Actor::start_in_arbiter(arbiter, move |_| teller)
}

/// As much of an error as is compared, and no more than a mailbox can keep many of.
fn shortened(error: &str) -> &str {
    let error = error.trim_start();
    &error[..error.floor_char_boundary(LONGEST_ERROR)]
}

#[cfg(test)]
mod tests;
