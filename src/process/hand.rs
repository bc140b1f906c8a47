//! What this process has in hand: every claim from before its commit until after its outcome is recorded.
//!
//! A [`Hold`] is the claim's place in memory. Whatever drops it, a panic included, gives the permit back and lets the
//! reconciliation see that nobody holds the claim any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::lane::Lane;
use crate::clock::Timestamp;
use crate::persist::Lease;

/// One claim in hand.
#[derive(Clone, Debug)]
pub struct InHand {
    /// The record; unknown while the claim is being made.
    pub record_id: Option<Uuid>,
    /// Whose lane; unknown for a suspect that is being looked for.
    pub handler: Option<Arc<str>>,
    /// Which attempt.
    pub attempt_number: u32,
    /// Since when.
    pub since: Timestamp,
}

/// All claims in hand, under the lease that they were made under.
#[derive(Debug)]
pub(super) struct Hand {
    held: Mutex<Held>,
    lease: Lease,
}

#[derive(Debug, Default)]
struct Held {
    claims: HashMap<Uuid, InHand>,
    records: HashMap<Uuid, Uuid>,
}

impl Hand {
    pub(super) fn new(lease: Lease) -> Self {
        Self { held: Mutex::default(), lease }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a claim that is about to be made.
    pub(super) fn hold(self: &Arc<Self>, attempt_id: Uuid, lane: Option<Arc<Lane>>, now: Timestamp) -> Hold {
        let handler = lane.as_ref().map(|lane| Arc::clone(&lane.name));
        let place = InHand { record_id: None, handler, attempt_number: 0, since: now };
        self.held().claims.insert(attempt_id, place);
        // Before its commit: whoever is fenced from now on finds another id when it is to start.
        Hold { hand: Arc::clone(self), attempt_id, node: self.lease.node(), permit: lane }
    }

    /// Whether anything may be claimed: not without a lease.
    pub(super) fn may_claim(&self) -> bool {
        self.lease.holds()
    }

    /// Whether this claim is in hand.
    pub(super) fn has_claim(&self, attempt_id: Uuid) -> bool {
        self.held().claims.contains_key(&attempt_id)
    }

    /// Whether this record is in hand.
    pub(super) fn has_record(&self, record_id: Uuid) -> bool {
        self.held().records.contains_key(&record_id)
    }

    pub(super) fn len(&self) -> usize {
        self.held().claims.len()
    }

    /// The claims of one lane, longest held first, up to a bound.
    pub(super) fn of_lane(&self, handler: &str, limit: usize) -> Vec<InHand> {
        let held = self.held();
        let mut claims: Vec<InHand> =
            held.claims.values().filter(|claim| claim.handler.as_deref() == Some(handler)).cloned().collect();
        claims.sort_by_key(|claim| claim.since);
        claims.truncate(limit);
        claims
    }
}

/// A claim's place in memory, with the permit of its lane until the handler has ended.
#[derive(Debug)]
pub(super) struct Hold {
    hand: Arc<Hand>,
    pub(super) attempt_id: Uuid,
    /// Which of this process's ids it was claimed for.
    pub(super) node: Uuid,
    permit: Option<Arc<Lane>>,
}

impl Hold {
    /// Asks whether a handler may start with this claim, at the last moment before it does.
    pub(super) fn may_start(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let (lease, node) = (self.hand.lease.clone(), self.node);
        move || lease.holds_as(node)
    }

    /// Says which record it is about.
    pub(super) fn on(&self, record_id: Uuid, handler: &Arc<str>, attempt_number: u32) {
        let mut held = self.hand.held();
        if let Some(place) = held.claims.get_mut(&self.attempt_id) {
            place.record_id = Some(record_id);
            place.handler = Some(Arc::clone(handler));
            place.attempt_number = attempt_number;
        }
        held.records.insert(record_id, self.attempt_id);
    }

    /// Takes a permit of the lane that a suspect turned out to belong to, even if none is free: suspects are few.
    pub(super) fn join(&mut self, lane: &Arc<Lane>) {
        lane.take_permit();
        self.permit = Some(Arc::clone(lane));
    }

    /// Gives the permit back; the claim stays in hand until its outcome is recorded.
    pub(super) fn free_permit(&mut self) {
        if let Some(lane) = self.permit.take() {
            lane.return_permit();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.free_permit();
        let mut held = self.hand.held();
        if let Some(InHand { record_id: Some(record_id), .. }) = held.claims.remove(&self.attempt_id)
            && held.records.get(&record_id) == Some(&self.attempt_id)
        {
            held.records.remove(&record_id);
        }
    }
}
