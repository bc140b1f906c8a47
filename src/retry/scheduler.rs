//! The RetryScheduler: knows when something in a lane will be due, and says so then. It claims nothing itself.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use actix::prelude::*;

use crate::clock::{Clock, Timestamp};
use crate::persist::Reads;

/// At most so many timers are kept; what lies beyond them is read from the ledger when its turn comes.
const MOST_TIMERS: usize = 10_000;

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
    timers: BTreeSet<(Timestamp, Arc<str>)>,
    /// Lanes of which the ledger may hold due times that no timer knows.
    incomplete: HashSet<Arc<str>>,
    sleeping: Option<(Timestamp, SpawnHandle)>,
}

impl RetryScheduler {
    /// Knows nothing yet of what the ledger holds for these lanes, and finds out when it starts.
    pub(crate) fn new(clock: Clock, reads: Reads, due: Recipient<LaneDue>, lanes: Vec<Arc<str>>) -> Self {
        let incomplete = lanes.into_iter().collect();
        Self { clock, reads, due, timers: BTreeSet::new(), incomplete, sleeping: None }
    }

    fn add(&mut self, at: Timestamp, lane: Arc<str>, ctx: &mut Context<Self>) {
        self.timers.insert((at, lane));
        if self.timers.len() > MOST_TIMERS
            && let Some((_, lane)) = self.timers.pop_last()
        {
            self.incomplete.insert(lane);
        }
        self.sleep(ctx);
    }

    /// Sleeps until the earliest timer.
    fn sleep(&mut self, ctx: &mut Context<Self>) {
        let Some((next, _)) = self.timers.first() else { return };
        let next = *next;
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
        let mut lanes = BTreeSet::new();
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            lanes.extend(self.timers.pop_first().map(|(_, lane)| lane));
        }
        for lane in lanes {
            if self.due.try_send(LaneDue(Arc::clone(&lane))).is_err() {
                // The pool looks at all lanes by itself every second as well.
                tracing::debug!(handler = &*lane, "the pool was too busy to hear of a due retry");
            }
            if self.incomplete.contains(&lane) {
                self.read_next(lane, ctx);
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
            Ok(None) => drop(scheduler.incomplete.remove(&lane)),
            Err(error) => {
                tracing::warn!(handler = &*lane, %error, "cannot read the next due time; trying again");
                scheduler.add(now.after(std::time::Duration::from_secs(1)), lane, ctx);
            }
        }));
    }
}

impl Actor for RetryScheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MOST_TIMERS);
        for lane in self.incomplete.clone() {
            self.read_next(lane, ctx);
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
