//! The chronicle: at the end of each slot, what happened in it goes into the ledger, so that charts survive a restart.
//!
//! Nobody waits for it, and nothing is lost with it but a point of a chart.

use std::time::Duration;

use crate::persist::Rollup;
use crate::process::Pool;
use crate::telemetry::{SLOT, Span};

/// How long the last entry may take: nobody waits longer for a chart at the end.
const PATIENCE: Duration = Duration::from_millis(500);

/// Writes slot after slot until the engine drains.
pub(super) async fn keep(pool: Pool) {
    loop {
        let slot = Rollup::slot(pool.clock.now());
        tokio::select! {
            () = pool.clock.sleep_until(slot.after(SLOT)) => {}
            () = pool.drained() => return,
        }
        let span = pool.metrics.pulse.turn();
        // It waits as long as the ledger is away; what happens meanwhile is in the slot that follows.
        if let Err(error) = pool.persist.roll_up(Rollup { at: slot, span }).await {
            tracing::warn!(%error, "ten seconds are missing in the charts");
        }
    }
}

/// Writes what the last slot has so far.
pub(super) async fn end(pool: &Pool) {
    let (at, span) = (Rollup::slot(pool.clock.now()), pool.metrics.pulse.turn());
    if span != Span::default() {
        // The charts lack their last seconds if the ledger is away.
        drop(tokio::time::timeout(PATIENCE, pool.persist.roll_up(Rollup { at, span })).await);
    }
}
