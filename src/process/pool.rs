//! The ProcessorPool: keeps the Processors alive, and looks after what nobody else announces.
//!
//! Once a second it looks at every Processor, handler and lane; every five seconds it compares what the ledger says
//! this process has in hand with what it holds; after each renewal of the lease it takes over what nodes that are gone
//! have left.

use std::time::Duration;

use actix::prelude::*;

use super::Pool;
use super::processor::Processor;
use super::sharing;
use crate::retry::LaneDue;

const LOOK: Duration = Duration::from_secs(1);
const RECONCILE: Duration = Duration::from_secs(5);
const TIDY_UP: Duration = Duration::from_secs(60);

/// Asks whether the Processors are there; answered when they are.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Begun;

/// The supervising actor.
pub(crate) struct ProcessorPool {
    pool: Pool,
}

impl ProcessorPool {
    pub(crate) const fn new(pool: Pool) -> Self {
        Self { pool }
    }

    fn look(&self) {
        for slot in 0..self.pool.processors.len() {
            if !self.pool.processors.is_alive(slot) {
                tracing::error!(processor = slot, "a Processor died; starting another");
                self.pool.metrics.actor_restarts.with_label_values(&["processor"]).inc();
                self.pool.processors.put(slot, Processor { pool: self.pool.clone() }.start());
            }
        }
        for lane in self.pool.lanes() {
            lane.host.watch(lane.timeout);
            self.pool.refill(lane);
        }
        self.pool.settled.forget_gone();
        actix::spawn(super::recovery::run_suspects(self.pool.clone()));
    }
}

impl Actor for ProcessorPool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(10_000);
        for slot in 0..self.pool.processors.len() {
            self.pool.processors.put(slot, Processor { pool: self.pool.clone() }.start());
        }
        ctx.run_interval(LOOK, |pool, _| pool.look());
        ctx.run_interval(RECONCILE, |pool, _| {
            actix::spawn(super::recovery::reconcile(pool.pool.clone()));
        });
        actix::spawn(super::recovery::look_after_the_gone(self.pool.clone()));
        if self.pool.persist.is_shared() {
            ctx.run_interval(sharing::LOOK, |pool, _| {
                actix::spawn(sharing::look_for_events(pool.pool.clone()));
            });
            ctx.run_interval(LOOK, |pool, _| {
                actix::spawn(sharing::look_around(pool.pool.clone()));
            });
            ctx.run_interval(TIDY_UP, |pool, _| {
                actix::spawn(sharing::tidy_up(pool.pool.clone()));
            });
        }
        self.look();
    }
}

impl Handler<Begun> for ProcessorPool {
    type Result = ();

    fn handle(&mut self, _: Begun, _: &mut Self::Context) {}
}

impl Handler<LaneDue> for ProcessorPool {
    type Result = ();

    fn handle(&mut self, LaneDue(name): LaneDue, _: &mut Self::Context) {
        if let Some(lane) = self.pool.lane(&name) {
            lane.has_backlog();
            self.pool.refill(&lane);
        }
    }
}
