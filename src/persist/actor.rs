//! The Persistence actor: the only writer of the ledger.
//!
//! Commands queue up; one transaction commits all that waits; what arrives during a commit is the next batch. It
//! waits for no other actor, and what leaves hands goes before what comes in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;

use super::command::Command;
use super::commit::Writer;

/// About this many rows go into one commit: larger ones make every lane wait.
const BATCH_ROWS: usize = 1_000;

/// The actor.
pub(super) struct Persistence {
    writer: Writer,
    urgent: VecDeque<Command>,
    accepts: VecDeque<Command>,
    committing: bool,
    queued: Arc<AtomicUsize>,
}

impl Persistence {
    pub(super) fn new(writer: Writer, queued: Arc<AtomicUsize>) -> Self {
        Self { writer, urgent: VecDeque::new(), accepts: VecDeque::new(), committing: false, queued }
    }

    fn next_batch(&mut self) -> Vec<Command> {
        let (mut batch, mut rows) = (Vec::new(), 0);
        for queue in [&mut self.urgent, &mut self.accepts] {
            while rows < BATCH_ROWS
                && let Some(command) = queue.pop_front()
            {
                rows += command.rows();
                batch.push(command);
            }
        }
        batch
    }

    fn commit(&mut self, ctx: &mut Context<Self>) {
        let batch = self.next_batch();
        self.queued.store(self.urgent.len() + self.accepts.len(), Ordering::Relaxed);
        self.committing = !batch.is_empty();
        if self.committing {
            let commit = self.writer.clone().commit(batch);
            ctx.spawn(commit.into_actor(self).map(|(), persistence, ctx| persistence.commit(ctx)));
        }
    }
}

impl Actor for Persistence {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Who sends has waited for room before; the mailbox only carries.
        ctx.set_mailbox_capacity(super::MAILBOX);
    }
}

impl Handler<Command> for Persistence {
    type Result = ();

    fn handle(&mut self, command: Command, ctx: &mut Self::Context) {
        if self.writer.metrics.ledger_unavailable.get() != 0 {
            // Nothing moves: what nobody waits for any more gives its room back.
            self.accepts.retain(Command::is_wanted);
        }
        if command.is_accept() {
            self.accepts.push_back(command)
        } else {
            self.urgent.push_back(command)
        }
        self.queued.store(self.urgent.len() + self.accepts.len(), Ordering::Relaxed);
        if !self.committing {
            // Not at once: what else is in the mailbox by now goes into the same commit.
            self.committing = true;
            ctx.notify(Begin);
        }
    }
}

/// Begins the next commit.
#[derive(Message)]
#[rtype(result = "()")]
struct Begin;

impl Handler<Begin> for Persistence {
    type Result = ();

    fn handle(&mut self, _: Begin, ctx: &mut Self::Context) {
        self.commit(ctx);
    }
}
