//! A lane: one handler's waiting events, some in memory and the rest in the ledger, and its permits.
//!
//! Thin state behind a short lock, and pure decisions over it: nothing here waits, and nothing here writes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::hand::{Hand, Hold};
use crate::clock::{Clock, Timestamp};
use crate::handle::{Host, HostState};
use crate::persist::Claim;
use crate::retry::RetryPolicy;

/// At most so many events are claimed at once, so that a commit stays short.
const MOST_AT_ONCE: usize = 250;

/// One handler's lane.
pub(crate) struct Lane {
    pub(crate) name: Arc<str>,
    pub(crate) kind: String,
    pub(crate) patterns: Vec<String>,
    pub(crate) concurrency: usize,
    pub(crate) capacity: usize,
    pub(crate) timeout: Duration,
    pub(crate) policy: RetryPolicy,
    pub(crate) host: Host,
    state: Mutex<State>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    permits_taken: usize,
    /// Accepted, and their rows are PENDING in the ledger.
    waiting: VecDeque<Claim>,
    /// Places in `waiting` for events that are being accepted.
    reserved: usize,
    /// The ledger may hold due events that are not in memory.
    backlog: bool,
    /// The ledger is being asked for them.
    looking: bool,
    paused: bool,
    closed: bool,
}

impl State {
    fn has_overflowed(&self) -> bool {
        self.backlog || self.looking
    }

    fn may_claim(&self) -> bool {
        !self.paused && !self.closed
    }
}

/// How a new event enters its lane.
#[derive(Debug)]
pub(super) enum Admission {
    /// A permit is free, and one for everything that waits before it.
    Claim(Hold),
    /// It waits in memory.
    Memory(Slot),
    /// It waits in the ledger.
    Ledger,
}

/// What to claim next.
#[derive(Debug)]
pub(super) enum Order {
    /// These, from memory.
    Waiting(Vec<(Claim, Hold)>),
    /// What is due, from the head of what the ledger holds: as many as there are holds.
    Due(Vec<Hold>),
}

impl Lane {
    #[expect(clippy::too_many_arguments, reason = "they are the fields of a lane, set once")]
    pub(super) fn new(
        name: Arc<str>,
        kind: String,
        patterns: Vec<String>,
        concurrency: usize,
        capacity: usize,
        timeout: Duration,
        policy: RetryPolicy,
        host: Host,
    ) -> Self {
        // Whatever the ledger holds from before is found by looking.
        let state = Mutex::new(State { backlog: true, ..State::default() });
        Self { name, kind, patterns, concurrency, capacity, timeout, policy, host, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides how a new event enters. It never waits and never refuses.
    pub(super) fn admit(self: &Arc<Self>, hand: &Arc<Hand>, clock: &Clock) -> Admission {
        let mut state = self.state();
        let free = self.concurrency.saturating_sub(state.permits_taken);
        // Whoever waits in memory has a permit before this one; a look into the ledger has taken its permits already.
        let ahead = state.waiting.len() + state.reserved;
        if free > ahead && !state.backlog && state.may_claim() && hand.may_claim() && self.is_up() {
            state.permits_taken += 1;
            drop(state);
            return Admission::Claim(hand.hold(clock.new_id(), Some(Arc::clone(self)), clock.now()));
        }
        if !state.has_overflowed() && state.waiting.len() + state.reserved < self.capacity {
            state.reserved += 1;
            return Admission::Memory(Slot(Arc::clone(self)));
        }
        // Only after its commit may anybody look for it: see `has_backlog`.
        Admission::Ledger
    }

    /// What to claim now, if a permit is free and something waits: what is in memory is older than what is not.
    pub(super) fn next_order(self: &Arc<Self>, hand: &Arc<Hand>, clock: &Clock) -> Option<Order> {
        let mut state = self.state();
        let free = self.concurrency.saturating_sub(state.permits_taken).min(MOST_AT_ONCE);
        if free == 0 || !state.may_claim() || !hand.may_claim() || !self.is_up() {
            return None;
        }
        let from_memory = state.waiting.len().min(free);
        let claims: Vec<Claim> = state.waiting.drain(..from_memory).collect();
        // Not while an event is between its commit and its place in memory: the ledger would hand it out as well.
        let look = claims.is_empty() && state.reserved == 0 && state.backlog && !state.looking;
        let permits = if look { free } else { claims.len() };
        if permits == 0 {
            return None;
        }
        state.permits_taken += permits;
        if look {
            (state.looking, state.backlog) = (true, false);
        }
        drop(state);
        let holds = (0..permits).map(|_| hand.hold(clock.new_id(), Some(Arc::clone(self)), clock.now()));
        Some(if look { Order::Due(holds.collect()) } else { Order::Waiting(claims.into_iter().zip(holds).collect()) })
    }

    /// The ledger was asked for due events; `more` if it may hold further ones.
    pub(super) fn looked(&self, more: bool) {
        let mut state = self.state();
        state.looking = false;
        state.backlog |= more;
    }

    /// The ledger holds, or may hold, due events that are not in memory.
    pub(super) fn has_backlog(&self) {
        self.state().backlog = true;
    }

    /// Whether the ledger is worth a look that nobody has announced: none is due anyway, and events may be claimed.
    pub(super) fn is_curious(&self) -> bool {
        let state = self.state();
        state.may_claim() && !state.has_overflowed() && self.is_up()
    }

    /// Whether an event that is due since then is none of those that wait here in memory: these are younger.
    pub(super) fn has_only_younger(&self, head: Timestamp) -> bool {
        let state = self.state();
        state.reserved == 0 && state.waiting.front().is_none_or(|first| head < first.created_at)
    }

    /// Stops claiming, or starts again; what waits stays where it is.
    pub(super) fn pause(&self, paused: bool) {
        self.state().paused = paused;
    }

    /// Claims nothing any more: the engine stops.
    pub(super) fn close(&self) {
        self.state().closed = true;
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.state().paused
    }

    pub(super) fn take_permit(&self) {
        self.state().permits_taken += 1;
    }

    pub(super) fn return_permit(&self) {
        self.state().permits_taken -= 1;
    }

    /// Attempts that run.
    pub(crate) fn in_flight(&self) -> usize {
        self.state().permits_taken
    }

    /// Events that wait in memory.
    pub(crate) fn in_memory(&self) -> usize {
        self.state().waiting.len()
    }

    /// A handler that is down claims nothing: its events wait for it without losing a try.
    fn is_up(&self) -> bool {
        self.host.state() != HostState::Down
    }
}

/// A place in memory for an event that is being accepted.
#[derive(Debug)]
pub(super) struct Slot(Arc<Lane>);

impl Slot {
    /// The event is in the ledger: it waits in memory now.
    pub(super) fn fill(self, claim: Claim) {
        self.0.state().waiting.push_back(claim);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.state().reserved -= 1;
    }
}
