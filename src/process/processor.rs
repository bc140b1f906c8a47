//! A Processor: takes claimed events in and lets each run its course. The attempts do not depend on its life.

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
