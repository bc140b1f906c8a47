//! The path of an accepted event: lanes, claims, attempts, verdicts.
//!
//! User code never runs here; it runs inside a handler's host. An event in memory is never the only copy: whatever is
//! lost here is found again in the ledger.

mod attempt;
mod config;
mod hand;
mod lane;
mod pool;
mod processor;
mod recovery;
mod settled;
mod verdict;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use uuid::Uuid;

pub use config::{Config, Timeouts};
pub use hand::InHand;
pub(crate) use lane::Lane;
pub(crate) use pool::ProcessorPool;
pub(crate) use recovery::{rebind, take_over};

use crate::clock::{Clock, Timestamp};
use crate::handle::{BindError, Registration, Routes};
use crate::persist::{Claim, Due, Entry, Persist, Record};
use crate::retry::{RetryPolicy, RetryScheduler, Schedule};
use crate::telemetry::Metrics;
use hand::{Hand, Hold};
use lane::{Admission, Order, Slot};
use processor::{Processor, Run};
use settled::Settled;

/// Everything that the path of an event shares; cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) persist: Persist,
    pub(crate) metrics: Metrics,
    pub(crate) processors: Processors,
    pub(crate) processing_timeout: Duration,
    lanes: BTreeMap<Arc<str>, Arc<Lane>>,
    routes: Routes,
    hand: Arc<Hand>,
    settled: Settled,
    scheduler: OnceLock<Addr<RetryScheduler>>,
    suspects: Arc<Semaphore>,
    cut: watch::Sender<bool>,
    draining: watch::Sender<bool>,
}

impl Deref for Pool {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The addresses of the Processors.
pub(crate) struct Processors {
    slots: Vec<RwLock<Option<Addr<Processor>>>>,
    next: AtomicUsize,
    restarts: Mutex<Vec<u64>>,
}

impl Processors {
    fn new(count: usize) -> Self {
        let slots = (0..count.max(1)).map(|_| RwLock::new(None)).collect();
        Self { slots, next: AtomicUsize::new(0), restarts: Mutex::new(vec![0; count.max(1)]) }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    fn put(&self, slot: usize, processor: Addr<Processor>) {
        let old = self.slots[slot].write().unwrap_or_else(PoisonError::into_inner).replace(processor);
        if old.is_some() {
            self.restarts.lock().unwrap_or_else(PoisonError::into_inner)[slot] += 1;
        }
    }

    pub(crate) fn is_alive(&self, slot: usize) -> bool {
        let slot = self.slots[slot].read().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().is_some_and(Addr::connected)
    }

    pub(crate) fn restarts(&self, slot: usize) -> u64 {
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner)[slot]
    }

    /// Hands claimed events to one of them, in turn. What cannot be handed over is dropped, and its holds with it: the
    /// reconciliation gives it back.
    fn run(&self, claims: Vec<(Claim, Hold)>) {
        let slot = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let slot = self.slots[slot].read().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|processor| processor.try_send(Run(claims)).is_err()) {
            tracing::error!("a Processor took no events; they will be handed back");
        }
    }
}

/// What the pool is made of.
pub(crate) struct Parts {
    pub clock: Clock,
    pub persist: Persist,
    pub metrics: Metrics,
    pub pool: Config,
    pub timeouts: Timeouts,
    pub retry: RetryPolicy,
    pub handlers: Vec<Registration>,
}

impl Pool {
    /// Builds the lanes and starts their handlers; nothing is claimed yet.
    pub(crate) fn new(parts: Parts) -> Result<Self, BindError> {
        let (lanes, routes) = build_lanes(&parts.pool, &parts.timeouts, &parts.retry, &parts.metrics, parts.handlers)?;
        Ok(Self(Arc::new(Shared {
            clock: parts.clock,
            persist: parts.persist,
            metrics: parts.metrics,
            processors: Processors::new(parts.pool.processors),
            processing_timeout: parts.timeouts.processing,
            lanes,
            routes,
            hand: Arc::default(),
            settled: Settled::default(),
            scheduler: OnceLock::new(),
            suspects: Arc::new(Semaphore::new(1)),
            cut: watch::Sender::new(false),
            draining: watch::Sender::new(false),
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

    pub(crate) fn lane(&self, name: &str) -> Option<Arc<Lane>> {
        self.lanes.get(name).cloned()
    }

    pub(crate) fn lanes(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lanes.values()
    }

    /// The handler of a type.
    pub(crate) fn resolve(&self, event_type: &str) -> Option<&Arc<str>> {
        self.routes.resolve(event_type)
    }

    /// What a lane has in hand, longest held first.
    pub(crate) fn in_hand(&self, handler: &str, limit: usize) -> Vec<InHand> {
        self.hand.of_lane(handler, limit)
    }

    /// Decides how a new event of this lane enters the ledger.
    pub(crate) fn admit(&self, lane: Option<&Arc<Lane>>, deliver_at: Option<Timestamp>) -> (Entry, Entrance) {
        let Some(lane) = lane else { return (Entry::NoHandler, Entrance(Place::Nothing)) };
        if let Some(at) = deliver_at.filter(|at| *at > self.clock.now()) {
            return (Entry::Scheduled(at), Entrance(Place::Later(Arc::clone(lane), at)));
        }
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
            actix::spawn(carry_out(self.clone(), Arc::clone(lane), order));
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
    pub(crate) async fn pause(&self, lane: &Lane, paused: bool, actor: &str) -> Result<(), crate::persist::Error> {
        let action = crate::persist::Action::Pause { handler: lane.name.to_string(), paused };
        self.operate(action, actor, None).await?;
        lane.pause(paused);
        self.announce(&lane.name);
        Ok(())
    }

    /// Obeys what operators said of handlers before this process started.
    pub(crate) async fn obey(&self) -> Result<(), sea_orm::DbErr> {
        for name in self.persist.reads().paused().await? {
            if let Some(lane) = self.lane(&name) {
                lane.pause(true);
            }
        }
        Ok(())
    }

    fn schedule(&self, schedule: Schedule) {
        let lane = Arc::clone(&schedule.lane);
        let told = self.scheduler.get().is_some_and(|scheduler| scheduler.try_send(schedule).is_ok());
        if !told && let Some(lane) = self.lane(&lane) {
            // Too many timers at once: the lane looks for itself, once a second.
            lane.has_backlog();
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

/// How long handing back may take.
const CUT: Duration = Duration::from_secs(5);

/// What is kept for an event while it is being accepted. Dropped, it gives back what it holds.
pub(crate) struct Entrance(Place);

enum Place {
    Claimed(Hold),
    Memory(Slot),
    Ledger,
    Later(Arc<Lane>, Timestamp),
    Nothing,
}

/// Claims what was ordered, and what there is to claim after that.
async fn carry_out(pool: Pool, lane: Arc<Lane>, first: Order) {
    let mut next = Some(first);
    while let Some(order) = next {
        let claimed = match order {
            Order::Waiting(waiting) => claim_waiting(&pool, &lane, waiting).await,
            Order::Due(holds) => claim_due(&pool, &lane, holds).await,
        };
        if !claimed.is_empty() {
            pool.processors.run(claimed);
        }
        next = lane.next_order(&pool.hand, &pool.clock);
    }
}

async fn claim_waiting(pool: &Pool, lane: &Lane, mut waiting: Vec<(Claim, Hold)>) -> Vec<(Claim, Hold)> {
    let now = pool.clock.now();
    for (claim, hold) in &mut waiting {
        (claim.attempt_id, claim.claimed_at) = (hold.attempt_id, now);
        hold.on(claim.record_id, &claim.handler, claim.attempt_number);
    }
    let claims = waiting.iter().map(|(claim, _)| claim.clone()).collect();
    match pool.persist.claim(claims).await {
        // What did not match was cancelled in the meantime.
        Ok(claimed) => waiting.into_iter().zip(claimed).filter_map(|(event, mine)| mine.then_some(event)).collect(),
        Err(error) => {
            tracing::warn!(handler = &*lane.name, %error, "events that wait could not be claimed");
            lane.has_backlog();
            Vec::new()
        }
    }
}

async fn claim_due(pool: &Pool, lane: &Lane, holds: Vec<Hold>) -> Vec<(Claim, Hold)> {
    let attempt_ids: Vec<Uuid> = holds.iter().map(|hold| hold.attempt_id).collect();
    let wanted = attempt_ids.len();
    let due = Due { handlers: vec![lane.name.to_string()], suspects: false, attempt_ids, now: pool.clock.now() };
    match pool.persist.claim_due(due).await {
        Ok(claims) => {
            lane.looked(claims.len() == wanted);
            let claimed: Vec<(Claim, Hold)> = claims.into_iter().zip(holds).collect();
            claimed.iter().for_each(|(claim, hold)| hold.on(claim.record_id, &claim.handler, claim.attempt_number));
            claimed
        }
        Err(error) => {
            tracing::warn!(handler = &*lane.name, %error, "due events could not be claimed");
            // Looked at again within a second.
            lane.looked(true);
            Vec::new()
        }
    }
}

type Lanes = (BTreeMap<Arc<str>, Arc<Lane>>, Routes);

fn build_lanes(
    pool: &Config,
    timeouts: &Timeouts,
    retry: &RetryPolicy,
    metrics: &Metrics,
    handlers: Vec<Registration>,
) -> Result<Lanes, BindError> {
    let (mut lanes, mut routes) = (BTreeMap::new(), Routes::default());
    for handler in handlers {
        let bind = handler.bind.clone();
        let name: Arc<str> = bind.handler_name().into();
        routes.add(&name, &bind.patterns)?;
        let concurrency = bind.concurrency.unwrap_or(crate::handle::Config::DEFAULT_CONCURRENCY);
        let timeout = bind.timeout.unwrap_or(timeouts.handler);
        if concurrency == 0 {
            return Err(BindError::NoPermit(name.to_string()));
        }
        if timeout > timeouts.processing {
            return Err(BindError::Timeout(name.to_string()));
        }
        if lanes.contains_key(&name) {
            return Err(BindError::SameName(name.to_string()));
        }
        let policy = bind.retry.as_ref().map_or_else(|| retry.clone(), |retry_of| retry_of.apply(retry));
        let capacity = bind.queue_capacity.unwrap_or(pool.queue_capacity);
        let kind = handler.kind.clone();
        // One more than the permits: a suspect may join a full lane.
        let host = handler.host(&name, concurrency + 1, metrics.clone());
        let lane = Lane::new(Arc::clone(&name), kind, bind.patterns, concurrency, capacity, timeout, policy, host);
        lanes.insert(name, Arc::new(lane));
    }
    Ok((lanes, routes))
}
