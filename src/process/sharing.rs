//! What other nodes do to a ledger that several share has nobody here to announce it: a look now and then.
//!
//! Nothing is claimed or changed by a look. It says to the lanes what any announcement would have said.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Pool;
use super::lane::Lane;

/// How often a node looks for what its lanes could claim, and for the ends that somebody waits for here.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// How long a node that is gone is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

/// Each kind of look is taken by one at a time: the one before may still wait for the database.
#[derive(Debug)]
pub(super) struct Looks {
    events: Semaphore,
    around: Semaphore,
}

impl Default for Looks {
    fn default() -> Self {
        Self { events: Semaphore::new(1), around: Semaphore::new(1) }
    }
}

/// Looks for events that other nodes have accepted, handed back or redriven, and for retries that came from them: one
/// statement for all lanes.
pub(super) async fn look_for_events(pool: Pool) {
    let Ok(_turn) = pool.looks.events.try_acquire() else { return };
    let lanes: Vec<&Arc<Lane>> = pool.lanes().filter(|lane| lane.is_curious()).collect();
    if !lanes.is_empty() && !pool.is_draining() {
        // Always for all of them, so that the statement stays the same.
        let names: Vec<&str> = pool.lanes().map(|lane| &*lane.name).collect();
        match pool.persist.reads().heads(&names).await {
            Ok(heads) => {
                let now = pool.clock.now();
                for lane in lanes {
                    if heads.get(&*lane.name).is_some_and(|head| *head <= now && lane.has_only_younger(*head)) {
                        lane.has_backlog();
                        pool.refill(lane);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "cannot look for events of other nodes"),
        }
    }
    look_for_ends(&pool).await;
}

/// Tells who waits here for an event that another node has brought to its end.
async fn look_for_ends(pool: &Pool) {
    let mut awaited = pool.settled.awaited();
    awaited.retain(|id| !pool.hand.has_record(*id));
    match pool.persist.reads().ended(&awaited).await {
        Ok(ended) => pool.tell_settled(&ended).await,
        Err(error) => tracing::debug!(%error, "cannot look for the ends of events"),
    }
}

/// Looks at what concerns all nodes: which handlers are paused, and which handlers the others have.
pub(super) async fn look_around(pool: Pool) {
    let Ok(_turn) = pool.looks.around.try_acquire() else { return };
    let looked = match pool.obey().await {
        Ok(()) => pool.look_elsewhere().await,
        failed => failed,
    };
    if let Err(error) = looked {
        tracing::debug!(%error, "cannot look at what concerns all nodes");
    }
}

/// Sees to events whose handler no node has any more, and forgets the nodes that are long gone.
pub(super) async fn tidy_up(pool: Pool) {
    let Ok(_turn) = pool.looks.around.try_acquire() else { return };
    let tidied = match pool.look_elsewhere().await {
        Ok(()) => super::binding::rebind_forsaken(&pool).await,
        failed => failed,
    };
    if let Err(error) = tidied {
        tracing::warn!(%error, "cannot see to events whose handler is gone");
    }
    let forgotten = pool.persist.forget_nodes(pool.clock.now().before(REMEMBERED)).await;
    if let Err(error) = forgotten {
        tracing::warn!(%error, "nodes that are long gone cannot be forgotten");
    }
}
