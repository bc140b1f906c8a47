//! The RetryScheduler: knows when something in a lane will be due, and says so then. It claims nothing itself.
//!
//! One timer a lane is enough, the earliest: when it fires, the lane takes all that is due, and the ledger says when
//! the next will be. So the timers are a cache, and their number does not grow with the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::clock::{Clock, Timestamp};
use crate::persist::Reads;

/// How long to wait before something that did not work is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Something in this lane will be due.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Schedule {
    pub at: Timestamp,
    pub lane: Arc<str>,
}

/// Something in this lane is due.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct LaneDue(pub Arc<str>);

/// Asks how many timers are kept.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub(crate) struct Timers;

/// The actor.
pub(crate) struct RetryScheduler {
    clock: Clock,
    reads: Reads,
    due: Recipient<LaneDue>,
    lanes: Vec<Arc<str>>,
    timers: BTreeMap<Arc<str>, Timestamp>,
    sleeping: Option<(Timestamp, SpawnHandle)>,
}

impl RetryScheduler {
    /// Knows nothing yet of what the ledger holds for these lanes, and finds out when it starts.
    pub(crate) fn new(clock: Clock, reads: Reads, due: Recipient<LaneDue>, lanes: Vec<Arc<str>>) -> Self {
        Self { clock, reads, due, lanes, timers: BTreeMap::new(), sleeping: None }
    }

    fn add(&mut self, at: Timestamp, lane: Arc<str>, ctx: &mut Context<Self>) {
        let timer = self.timers.entry(lane).or_insert(at);
        *timer = at.min(*timer);
        self.sleep(ctx);
    }

    /// Sleeps until the earliest timer.
    fn sleep(&mut self, ctx: &mut Context<Self>) {
        let Some(next) = self.timers.values().min().copied() else { return };
        if let Some((at, handle)) = self.sleeping {
            if at <= next {
                return;
            }
            ctx.cancel_future(handle);
        }
        let clock = self.clock.clone();
        let sleep = async move { clock.sleep_until(next).await };
        let handle = ctx.spawn(sleep.into_actor(self).map(|(), scheduler, ctx| scheduler.wake(ctx)));
        self.sleeping = Some((next, handle));
    }

    fn wake(&mut self, ctx: &mut Context<Self>) {
        self.sleeping = None;
        let now = self.clock.now();
        let fired: Vec<Arc<str>> =
            self.timers.iter().filter(|(_, at)| **at <= now).map(|(lane, _)| Arc::clone(lane)).collect();
        for lane in fired {
            self.timers.remove(&lane);
            if self.due.try_send(LaneDue(Arc::clone(&lane))).is_ok() {
                self.read_next(lane, ctx);
            } else {
                // The pool is too busy to hear it now.
                self.timers.insert(lane, now.after(AGAIN));
            }
        }
        self.sleep(ctx);
    }

    /// Reads from the ledger when the next event of this lane will be due.
    fn read_next(&self, lane: Arc<str>, ctx: &mut Context<Self>) {
        let (reads, now) = (self.reads.clone(), self.clock.now());
        let read = async move {
            let next = reads.next_due(&lane, now).await;
            (lane, next)
        };
        ctx.spawn(read.into_actor(self).map(move |(lane, next), scheduler, ctx| match next {
            Ok(Some(at)) => scheduler.add(at, lane, ctx),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(handler = &*lane, %error, "cannot read the next due time; trying again");
                scheduler.add(now.after(AGAIN), lane, ctx);
            }
        }));
    }
}

impl Actor for RetryScheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(10_000);
        for lane in &self.lanes {
            self.read_next(Arc::clone(lane), ctx);
        }
    }
}

impl Handler<Schedule> for RetryScheduler {
    type Result = ();

    fn handle(&mut self, Schedule { at, lane }: Schedule, ctx: &mut Self::Context) {
        self.add(at, lane, ctx);
    }
}

impl Handler<Timers> for RetryScheduler {
    type Result = usize;

    fn handle(&mut self, _: Timers, _: &mut Self::Context) -> usize {
        self.timers.len()
    }
}
