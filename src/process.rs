//! The path of an accepted event: lanes, claims, attempts, verdicts.
//!
//! User code never runs here; it runs inside a handler's host. An event in memory is never the only copy: whatever is
//! lost here is found again in the ledger.

mod attempt;
mod binding;
mod claims;
mod config;
mod elsewhere;
mod hand;
mod lane;
mod lanes;
mod pool;
mod processor;
mod recovery;
mod refusals;
mod settled;
mod sharing;
mod verdict;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use uuid::Uuid;

pub(crate) use binding::rebind;
pub use config::{Config, Timeouts};
pub use hand::InHand;
pub(crate) use lane::Lane;
pub(crate) use pool::{Begun, ProcessorPool};
pub(crate) use recovery::take_over;

use crate::alert::{Alerts, Undelivered};
use crate::clock::{Clock, Timestamp};
use crate::dead_letter::{Changed, Operations, Operator};
use crate::handle::{BindError, Registration, Routes};
use crate::persist::{Claim, Entry, Persist, Record};
use crate::retry::{RetryPolicy, RetryScheduler, Schedule};
use crate::telemetry::Metrics;
use elsewhere::Elsewhere;
use hand::{Hand, Hold};
use lane::{Admission, Slot};
use processor::Processors;
use refusals::Refusals;
use settled::Settled;

/// Everything that the path of an event shares; cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) persist: Persist,
    pub(crate) metrics: Metrics,
    pub(crate) alerts: Alerts,
    pub(crate) processors: Processors,
    pub(crate) processing_timeout: Duration,
    lanes: BTreeMap<Arc<str>, Arc<Lane>>,
    routes: Routes,
    hand: Arc<Hand>,
    settled: Settled,
    scheduler: OnceLock<Addr<RetryScheduler>>,
    operations: OnceLock<Addr<Operations>>,
    suspects: Arc<Semaphore>,
    refusals: Refusals,
    elsewhere: Elsewhere,
    looks: sharing::Looks,
    /// Held while it is decided who is paused, in the ledger and here.
    pauses: tokio::sync::Mutex<()>,
    cut: watch::Sender<bool>,
    draining: watch::Sender<bool>,
    deaths: Notify,
}

impl Deref for Pool {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What the pool is made of.
pub(crate) struct Parts {
    pub clock: Clock,
    pub persist: Persist,
    pub metrics: Metrics,
    pub alerts: Alerts,
    pub pool: Config,
    pub timeouts: Timeouts,
    pub retry: RetryPolicy,
    pub handlers: Vec<Registration>,
}

impl Pool {
    /// Builds the lanes and starts their handlers; nothing is claimed yet.
    pub(crate) fn new(parts: Parts) -> Result<Self, BindError> {
        let (lanes, routes) = lanes::build(&parts.pool, &parts.timeouts, &parts.retry, &parts.metrics, parts.handlers)?;
        let hand = Arc::new(Hand::new(parts.persist.lease().clone()));
        Ok(Self(Arc::new(Shared {
            clock: parts.clock,
            persist: parts.persist,
            metrics: parts.metrics,
            alerts: parts.alerts,
            processors: Processors::new(parts.pool.processors),
            processing_timeout: parts.timeouts.processing,
            lanes,
            routes,
            hand,
            settled: Settled::default(),
            scheduler: OnceLock::new(),
            operations: OnceLock::new(),
            suspects: Arc::new(Semaphore::new(1)),
            refusals: Refusals::default(),
            elsewhere: Elsewhere::default(),
            looks: sharing::Looks::default(),
            pauses: tokio::sync::Mutex::default(),
            cut: watch::Sender::new(false),
            draining: watch::Sender::new(false),
            deaths: Notify::new(),
        })))
    }

    /// Says where due times are to be announced.
    pub(crate) fn announce_to(&self, scheduler: Addr<RetryScheduler>) {
        // Said once, at the start.
        drop(self.scheduler.set(scheduler));
    }

    pub(crate) fn scheduler(&self) -> Option<&Addr<RetryScheduler>> {
        self.scheduler.get()
    }

    /// Says who works on operations.
    pub(crate) fn operations_by(&self, operations: Addr<Operations>) {
        // Said once, at the start.
        drop(self.operations.set(operations));
    }

    pub(crate) fn operations(&self) -> Option<&Addr<Operations>> {
        self.operations.get()
    }

    /// Something about an operation has changed; may be said from any thread.
    pub(crate) fn wake_operations(&self) {
        if let Some(operations) = self.operations.get() {
            // Who cannot hear it now looks by itself in a moment.
            let _ = operations.try_send(Changed);
        }
    }

    pub(crate) fn lane(&self, name: &str) -> Option<Arc<Lane>> {
        self.lanes.get(name).cloned()
    }

    pub(crate) fn lanes(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lanes.values()
    }

    /// The handler of a type on this node.
    pub(crate) fn resolve(&self, event_type: &str) -> Option<&Arc<str>> {
        self.routes.resolve(event_type)
    }

    /// Where events of this type go.
    pub(crate) fn destination(&self, event_type: &str) -> Destination {
        match self.resolve(event_type).and_then(|name| self.lane(name)) {
            Some(lane) => Destination::Here(lane),
            None => self.elsewhere.resolve(event_type).map_or(Destination::Nowhere, Destination::Elsewhere),
        }
    }

    /// What a lane has in hand, longest held first.
    pub(crate) fn in_hand(&self, handler: &str, limit: usize) -> Vec<InHand> {
        self.hand.of_lane(handler, limit)
    }

    /// Decides how a new event enters the ledger on its way to there.
    pub(crate) fn admit(&self, destination: &Destination, deliver_at: Option<Timestamp>) -> (Entry, Entrance) {
        let later = deliver_at.filter(|at| *at > self.clock.now());
        let lane = match (destination, later) {
            (Destination::Nowhere, _) => return (Entry::NoHandler, Entrance::nowhere()),
            (Destination::Elsewhere(_), None) => return (Entry::Waiting, Entrance::nowhere()),
            (Destination::Elsewhere(_), Some(at)) => return (Entry::Scheduled(at), Entrance::nowhere()),
            (Destination::Here(lane), Some(at)) => {
                return (Entry::Scheduled(at), Entrance(Place::Later(Arc::clone(lane), at)));
            }
            (Destination::Here(lane), None) => lane,
        };
        match lane.admit(&self.hand, &self.clock) {
            Admission::Claim(hold) => (Entry::Claimed(hold.attempt_id), Entrance(Place::Claimed(hold))),
            Admission::Memory(slot) => (Entry::Waiting, Entrance(Place::Memory(slot))),
            Admission::Ledger => (Entry::Waiting, Entrance(Place::Ledger)),
        }
    }

    /// The event is in the ledger as its entry said: it goes on from there.
    pub(crate) fn enter(&self, entrance: Entrance, claim: Claim, lane: &Arc<Lane>) {
        match entrance.0 {
            Place::Claimed(hold) => {
                hold.on(claim.record_id, &claim.handler, claim.attempt_number);
                self.processors.run(vec![(claim, hold)]);
            }
            Place::Memory(slot) => slot.fill(claim),
            Place::Ledger => lane.has_backlog(),
            Place::Later(lane, at) => self.schedule(Schedule { at, lane: Arc::clone(&lane.name) }),
            Place::Nothing => {}
        }
    }

    /// Claims what can be claimed in this lane, in the background. Must be called on a thread that lives on.
    pub(crate) fn refill(&self, lane: &Arc<Lane>) {
        if let Some(order) = lane.next_order(&self.hand, &self.clock) {
            actix::spawn(claims::carry_out(self.clone(), Arc::clone(lane), order));
        }
    }

    /// Something in this lane is due in the ledger; may be said from any thread.
    pub(crate) fn announce(&self, lane: &str) {
        if let Some(lane) = self.lane(lane) {
            lane.has_backlog();
            self.schedule(Schedule { at: self.clock.now(), lane: Arc::clone(&lane.name) });
        }
    }

    /// Pauses or resumes a handler, in the ledger first, so that it holds through a restart.
    pub(crate) async fn pause(
        &self,
        handler: &str,
        paused: bool,
        operator: &Operator,
    ) -> Result<(), crate::persist::Error> {
        let _pauses = self.pauses.lock().await;
        let action = crate::persist::Action::Pause { handler: handler.to_owned(), paused };
        self.operate(action, &operator.name, operator.reason.clone()).await?;
        if let Some(lane) = self.lane(handler) {
            lane.pause(paused);
            self.announce(handler);
        }
        Ok(())
    }

    /// Builds a handler's actor again, in this process; what it has in hand ends as it would.
    pub(crate) async fn restart(&self, lane: &Lane, operator: &Operator) -> Result<(), crate::persist::Error> {
        let action = crate::persist::Action::Restart { handler: lane.name.to_string() };
        self.operate(action, &operator.name, operator.reason.clone()).await?;
        lane.host.restart();
        self.announce(&lane.name);
        Ok(())
    }

    /// Sends a test to where alerts go; whether there is a webhook, or why it did not take the test.
    pub(crate) async fn test_alerts(
        &self,
        operator: &Operator,
    ) -> Result<Result<bool, Undelivered>, crate::persist::Error> {
        self.operate(crate::persist::Action::TestAlerts, &operator.name, operator.reason.clone()).await?;
        Ok(self.alerts.test(&operator.name).await)
    }

    /// Obeys what operators have said of handlers: before this process started, or to another node.
    pub(crate) async fn obey(&self) -> Result<(), sea_orm::DbErr> {
        // What is being decided here is newer than what could be read.
        let Ok(_pauses) = self.pauses.try_lock() else { return Ok(()) };
        let paused = self.persist.reads().paused().await?;
        for lane in self.lanes() {
            let is_paused = paused.iter().any(|name| **name == *lane.name);
            if lane.is_paused() != is_paused {
                lane.pause(is_paused);
                self.announce(&lane.name);
            }
        }
        Ok(())
    }

    /// The types of a handler that only other nodes have.
    pub(crate) fn types_elsewhere(&self, handler: &str) -> Option<Vec<String>> {
        self.elsewhere.types_of(handler)
    }

    fn schedule(&self, schedule: Schedule) {
        let Some(scheduler) = self.scheduler.get() else { return };
        if let Err(SendError::Full(schedule)) = scheduler.try_send(schedule) {
            // A timer that is not set would be a retry that comes only with the next restart: wait for room.
            actix::spawn(scheduler.send(schedule));
        }
    }

    /// The right to run a suspect; only one of them runs at a time.
    fn alone(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.suspects).try_acquire_owned().ok()
    }

    /// Waits for the end of this record. Nothing if there is no such record.
    pub(crate) async fn settled(&self, record_id: Uuid) -> Result<Option<Record>, sea_orm::DbErr> {
        let ended = self.settled.wait(record_id);
        // In this order: an attempt leaves the hand before its end is told.
        if !self.hand.has_record(record_id) {
            match self.persist.reads().record(record_id).await? {
                Some(record) if !record.status.is_final() => {}
                record => return Ok(record),
            }
        }
        match ended.await {
            Ok(record) => Ok(Some(record)),
            Err(oneshot::error::RecvError { .. }) => self.persist.reads().record(record_id).await,
        }
    }

    /// Tells who waits for these records, after an operator has changed them.
    pub(crate) async fn tell_settled(&self, record_ids: &[Uuid]) {
        for id in record_ids.iter().filter(|id| self.settled.is_awaited(**id)) {
            if let Ok(Some(record)) = self.persist.reads().record(*id).await
                && record.status.is_final()
            {
                self.settled.tell(&record);
            }
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Waits for the next death of an event, from now on: one that comes before it is awaited counts.
    pub(crate) fn died(&self) -> impl Future<Output = ()> {
        self.deaths.notified()
    }

    /// Waits until a drain begins.
    pub(crate) async fn drained(&self) {
        // The other end lives as long as this pool.
        drop(self.draining.subscribe().wait_for(|draining| *draining).await);
    }

    /// Claims nothing from now on.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
        self.lanes().for_each(|lane| lane.close());
    }

    /// Waits until nothing is in hand; what is not over at the deadline is cut and handed back.
    pub(crate) async fn finish_all(&self, within: Duration) {
        let empty = || async {
            while self.hand.len() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(within, empty()).await.is_err() {
            tracing::warn!(events = self.hand.len(), "not over in time; handing them back");
            self.cut.send_replace(true);
            if tokio::time::timeout(CUT, empty()).await.is_err() {
                tracing::error!(events = self.hand.len(), "could not be handed back; the next start takes them over");
            }
        }
        self.lanes().for_each(|lane| lane.host.stop());
    }
}

/// Where events of a type go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Into a lane of this node.
    Here(Arc<Lane>),
    /// Into the lane of a handler that only other nodes have.
    Elsewhere(Arc<str>),
    /// Nobody handles them.
    Nowhere,
}

impl Destination {
    /// The name of the handler.
    pub(crate) fn handler(&self) -> Option<&Arc<str>> {
        match self {
            Self::Here(lane) => Some(&lane.name),
            Self::Elsewhere(handler) => Some(handler),
            Self::Nowhere => None,
        }
    }
}

/// How long handing back may take.
const CUT: Duration = Duration::from_secs(5);

/// What is kept for an event while it is being accepted. Dropped, it gives back what it holds.
pub(crate) struct Entrance(Place);

impl Entrance {
    /// For an event that goes nowhere from the ledger.
    pub(crate) const fn nowhere() -> Self {
        Self(Place::Nothing)
    }
}

enum Place {
    Claimed(Hold),
    Memory(Slot),
    Ledger,
    Later(Arc<Lane>, Timestamp),
    Nothing,
}
