//! Taking up what was left behind: by a process that died, or by a part of this one.

use std::collections::HashSet;
use std::time::Duration;

use super::Pool;
use crate::alert;
use crate::lifecycle::Status;
use crate::persist::{self, Action, Due, Finish, Operation};

/// Takes over what dead processes had in hand, before anything else runs. Retries until the database lets it.
///
/// # Errors
/// The database's.
pub(crate) async fn take_over(pool: &Pool) -> Result<(), sea_orm::DbErr> {
    let mut refused = HashSet::new();
    loop {
        let mut orphans = pool.persist.orphans().await?;
        orphans.retain(|(orphan, _)| !refused.contains(&orphan.record_id));
        if orphans.is_empty() {
            break;
        }
        let now = pool.clock.now();
        let found = orphans.len();
        let finishes = orphans.into_iter().map(|(orphan, drained)| orphan.recovered(!drained, now));
        let finishes = finishes.collect::<Result<Vec<Finish>, _>>().map_err(|error| custom(&error))?;
        let writes = finishes.iter().map(|finish| put_out_of_hand(pool, finish.clone()));
        for (finish, written) in finishes.iter().zip(futures_util::future::join_all(writes).await) {
            let (metrics, record, error) = (&pool.metrics, finish.record_id, finish.error.as_deref());
            match written {
                Ok(true) if finish.step.to() == Status::Poison => {
                    alert::dead_letter(metrics, record, &finish.handler, Status::Poison, error);
                }
                Ok(_) => {}
                Err(persist::Error::Refused(why)) => {
                    // One row that cannot be taken over is no reason to stand still with all others.
                    alert::stuck(metrics, record, &why);
                    refused.insert(record);
                }
                Err(error) => return Err(custom(&error)),
            }
        }
        tracing::info!(events = found, "taken over from a process that is gone");
    }
    pool.persist.bury_nodes(pool.clock.now()).await
}

/// Writes it; if the row of its attempt is refused, the event is freed without that row rather than not at all.
async fn put_out_of_hand(pool: &Pool, finish: Finish) -> Result<bool, persist::Error> {
    match pool.persist.finish(finish.clone()).await {
        Err(persist::Error::Refused(why)) if finish.attempt.is_some() => {
            tracing::error!(record = %finish.record_id, error = why, "an abandoned attempt cannot be written down");
            pool.persist.finish(Finish { attempt: None, ..finish }).await
        }
        written => written,
    }
}

/// Gives what waits to the handlers that this process has: bindings may have changed since it was accepted.
///
/// # Errors
/// The database's.
pub(crate) async fn rebind(pool: &Pool) -> Result<(), sea_orm::DbErr> {
    for (from, event_type) in pool.persist.reads().waiting_types().await? {
        let to = pool.resolve(&event_type).map(|name| name.to_string());
        if to.as_deref() == Some(from.as_str()) {
            continue;
        }
        tracing::info!(
            event_type,
            from,
            to = to.as_deref().unwrap_or("-"),
            "the binding of waiting events has changed"
        );
        let action = Action::Rebind { from, event_type, to };
        pool.operate(action, "engine", None).await.map_err(|error| custom(&error))?;
    }
    for (event_type, events) in pool.persist.reads().unhandled_types().await? {
        if let Some(handler) = pool.resolve(&event_type) {
            // A type comes from outside, and this is pasted into a shell.
            let redrive = format!("evenkeel dlq redrive --no-handler --type '{}'", event_type.replace('\'', "'\\''"));
            tracing::info!(event_type, events, handler = &**handler, redrive, "events without a handler have one now");
        }
    }
    Ok(())
}

/// Hands back what the ledger says this process has in hand, and nobody here holds.
pub(super) async fn reconcile(pool: Pool) {
    // First the ledger, then memory: what is claimed in between is held before it is written.
    let claims = match pool.persist.own_claims().await {
        Ok(claims) => claims,
        Err(error) => return tracing::warn!(%error, "cannot compare the claims with the ledger"),
    };
    for claim in claims {
        if pool.hand.has_claim(claim.attempt_id) {
            continue;
        }
        let (record, handler) = (claim.record_id, claim.handler.clone());
        let Ok(finish) = claim.handed_back("nobody held this claim any more", pool.clock.now()) else { continue };
        match put_out_of_hand(&pool, finish).await {
            Ok(true) => tracing::warn!(%record, handler, "a claim that nobody held was handed back"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%record, %error, "a claim that nobody holds could not be handed back"),
        }
        if let Some(lane) = pool.lane(&handler) {
            lane.has_backlog();
            pool.refill(&lane);
        }
    }
}

/// Runs events that may have killed a process, one at a time beside all others, so that the next death has one culprit.
pub(super) async fn run_suspects(pool: Pool) {
    let Some(alone) = pool.alone() else { return };
    let lanes: Vec<String> = pool.lanes().filter(|lane| !lane.is_paused()).map(|lane| lane.name.to_string()).collect();
    if lanes.is_empty() || pool.is_draining() || !pool.persist.reads().has_suspects().await.unwrap_or(true) {
        return;
    }
    let attempt_id = pool.clock.new_id();
    let mut hold = pool.hand.hold(attempt_id, None, pool.clock.now());
    let due = Due { handlers: lanes, suspects: true, attempt_ids: vec![attempt_id], now: pool.clock.now() };
    let claims = match pool.persist.claim_due(due).await {
        Ok(claims) => claims,
        Err(error) => return tracing::warn!(%error, "cannot look for suspects"),
    };
    let Some(claim) = claims.into_iter().next() else { return };
    let Some(lane) = pool.lane(&claim.handler) else { return };
    hold.join(&lane);
    hold.on(claim.record_id, &claim.handler, claim.attempt_number);
    tracing::warn!(record = %claim.record_id, handler = &*claim.handler, crashes = claim.crash_count,
        "running an event alone among its like: the process died with it in hand before");
    let pool_again = pool.clone();
    actix::spawn(async move {
        super::attempt::run(pool, claim, hold).await;
        drop(alone);
        // The next of them need not wait for the next look.
        tokio::time::sleep(Duration::from_millis(1)).await;
        Box::pin(run_suspects(pool_again)).await;
    });
}

fn custom(error: &impl ToString) -> sea_orm::DbErr {
    sea_orm::DbErr::Custom(error.to_string())
}

impl Pool {
    /// Does what an operator, or the engine itself, asks for.
    pub(crate) async fn operate(
        &self,
        action: Action,
        actor: &str,
        reason: Option<String>,
    ) -> Result<u64, crate::persist::Error> {
        let (id, at) = (self.clock.new_id(), self.clock.now());
        self.persist.operate(Operation { action, id, at, actor: actor.to_owned(), reason }).await
    }
}
