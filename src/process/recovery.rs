//! Taking up what was left behind: by a process that died, or by a part of this one.

use std::collections::HashSet;
use std::time::Duration;

use super::Pool;
use crate::lifecycle::Status;
use crate::persist::{self, Action, Due, Finish, Operation};

/// Takes over what nodes that are gone had in hand: at the start before anything else runs, and whenever one is fenced.
///
/// # Errors
/// The database's.
pub(crate) async fn take_over(pool: &Pool) -> Result<(), sea_orm::DbErr> {
    let mut events = 0;
    loop {
        match pool.persist.take_over(pool.clock.now()).await {
            Ok(taken) => {
                taken.iter().for_each(|finish| taken_over(pool, finish));
                events += taken.len();
                if taken.is_empty() {
                    pool.refusals.keep(&HashSet::new());
                    break;
                }
            }
            Err(persist::Error::Refused(why)) => {
                // As long as something is refused, that is so with each look.
                if pool.refusals.is_empty() {
                    tracing::error!(error = why, "events cannot be taken over together; trying each by itself");
                }
                events += take_over_singly(pool).await?;
                break;
            }
            Err(error) => return Err(custom(&error)),
        }
    }
    if events > 0 {
        tracing::info!(events, "taken over from nodes that are gone");
    }
    Ok(())
}

/// One row that cannot be taken over is no reason to stand still with all others.
async fn take_over_singly(pool: &Pool) -> Result<usize, sea_orm::DbErr> {
    let (mut events, mut refused) = (0, HashSet::new());
    loop {
        let mut orphans = pool.persist.orphans().await?;
        orphans.retain(|orphan| !refused.contains(&orphan.record_id));
        if orphans.is_empty() {
            pool.refusals.keep(&refused);
            return Ok(events);
        }
        for orphan in orphans {
            let finish = orphan.recovered(pool.clock.now()).map_err(|error| custom(&error))?;
            match put_out_of_hand(pool, finish.clone()).await {
                Ok(true) => {
                    taken_over(pool, &finish);
                    events += 1;
                }
                // Another node was faster.
                Ok(false) => {}
                Err(persist::Error::Refused(why)) => {
                    if pool.refusals.note(finish.record_id, &why) {
                        pool.alerts.stuck(finish.record_id, &why);
                    }
                    refused.insert(finish.record_id);
                }
                Err(error) => return Err(custom(&error)),
            }
        }
    }
}

/// Tells everybody whom it concerns.
fn taken_over(pool: &Pool, finish: &Finish) {
    let (status, error) = (finish.step.to(), finish.error.as_deref());
    pool.metrics.takeovers.with_label_values(&[status.as_str()]).inc();
    if status == Status::Poison {
        pool.alerts.dead_letter(finish.record_id, &finish.handler, Status::Poison, error);
    }
    pool.announce(&finish.handler);
}

/// Takes over what has been left, after each renewal of the lease: a node may have been fenced, or have claimed
/// something before it knew that it was.
pub(super) async fn look_after_the_gone(pool: Pool) {
    let mut changes = pool.persist.lease().changes();
    while changes.next().await {
        if !pool.persist.lease().holds() || pool.is_draining() {
            continue;
        }
        pool.lanes().for_each(|lane| pool.refill(lane));
        let left = match pool.persist.is_anything_left().await {
            Ok(true) => take_over(&pool).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = left {
            tracing::warn!(%error, "what nodes that are gone have left could not be taken over; trying again");
        }
    }
}

/// Writes it; if the row of its attempt is refused, the event is freed without that row rather than not at all.
async fn put_out_of_hand(pool: &Pool, finish: Finish) -> Result<bool, persist::Error> {
    match pool.persist.finish(finish.clone()).await {
        Err(persist::Error::Refused(why)) if finish.attempt.is_some() => {
            let record = finish.record_id;
            let freed = pool.persist.finish(Finish { attempt: None, ..finish }).await;
            if freed.is_ok() {
                tracing::error!(%record, error = why, "an abandoned attempt cannot be written down");
            }
            freed
        }
        written => written,
    }
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
    let may_claim = pool.persist.lease().holds() && !pool.is_draining();
    if lanes.is_empty() || !may_claim || !pool.persist.reads().has_suspects().await.unwrap_or(true) {
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

pub(super) fn custom(error: &impl ToString) -> sea_orm::DbErr {
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
