//! A Processor: takes claimed events in and lets each run its course. The attempts do not depend on its life.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use actix::prelude::*;

use super::Pool;
use super::attempt;
use super::hand::Hold;
use crate::persist::Claim;

/// Claimed events that are to be run.
pub(super) struct Run(pub Vec<(Claim, Hold)>);

impl Message for Run {
    type Result = ();
}

/// The actor.
pub(super) struct Processor {
    pub pool: Pool,
}

impl Actor for Processor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Permits bound what can be on its way; the mailbox only carries.
        ctx.set_mailbox_capacity(65_536);
    }
}

impl Handler<Run> for Processor {
    type Result = ();

    fn handle(&mut self, Run(claims): Run, _: &mut Self::Context) {
        for (claim, hold) in claims {
            actix::spawn(attempt::run(self.pool.clone(), claim, hold));
        }
    }
}

/// One Processor's place.
#[derive(Default)]
struct Slot {
    address: RwLock<Option<Addr<Processor>>>,
    restarts: AtomicU64,
}

/// The addresses of the Processors.
pub(crate) struct Processors {
    slots: Vec<Slot>,
    next: AtomicUsize,
}

impl Processors {
    pub(super) fn new(count: usize) -> Self {
        Self { slots: (0..count.max(1)).map(|_| Slot::default()).collect(), next: AtomicUsize::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn put(&self, slot: usize, processor: Addr<Processor>) {
        let slot = &self.slots[slot];
        if slot.address.write().unwrap_or_else(PoisonError::into_inner).replace(processor).is_some() {
            slot.restarts.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_alive(&self, slot: usize) -> bool {
        let address = self.slots[slot].address.read().unwrap_or_else(PoisonError::into_inner);
        address.as_ref().is_some_and(Addr::connected)
    }

    pub(crate) fn restarts(&self, slot: usize) -> u64 {
        self.slots[slot].restarts.load(Ordering::Relaxed)
    }

    /// Hands claimed events to one of them, in turn. What cannot be handed over is dropped, and its holds with it: the
    /// reconciliation gives it back.
    pub(super) fn run(&self, claims: Vec<(Claim, Hold)>) {
        let slot = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let slot = self.slots[slot].address.read().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|processor| processor.try_send(Run(claims)).is_err()) {
            tracing::error!("a Processor took no events; they will be handed back");
        }
    }
}
