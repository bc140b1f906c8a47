//! Claiming in bulk: what a lane orders, from memory or from the head of what is due.

use std::sync::Arc;

use uuid::Uuid;

use super::Pool;
use super::hand::Hold;
use super::lane::{Lane, Order};
use crate::persist::{Claim, Due};

/// Claims what was ordered, and what there is to claim after that.
pub(super) async fn carry_out(pool: Pool, lane: Arc<Lane>, first: Order) {
    let mut next = Some(first);
    while let Some(order) = next {
        let claimed = match order {
            Order::Waiting(waiting) => claim_waiting(&pool, &lane, waiting).await,
            Order::Due(holds) => claim_due(&pool, &lane, holds).await,
        };
        if !claimed.is_empty() {
            pool.processors.run(claimed);
        }
        next = lane.next_order(&pool.hand, &pool.clock);
    }
}

async fn claim_waiting(pool: &Pool, lane: &Lane, mut waiting: Vec<(Claim, Hold)>) -> Vec<(Claim, Hold)> {
    let now = pool.clock.now();
    for (claim, hold) in &mut waiting {
        (claim.attempt_id, claim.claimed_at) = (hold.attempt_id, now);
        hold.on(claim.record_id, &claim.handler, claim.attempt_number);
    }
    let claims = waiting.iter().map(|(claim, _)| claim.clone()).collect();
    match pool.persist.claim(claims).await {
        // What did not match was cancelled in the meantime.
        Ok(claimed) => waiting.into_iter().zip(claimed).filter_map(|(event, mine)| mine.then_some(event)).collect(),
        Err(error) => {
            tracing::warn!(handler = &*lane.name, %error, "events that wait could not be claimed");
            lane.has_backlog();
            Vec::new()
        }
    }
}

async fn claim_due(pool: &Pool, lane: &Lane, holds: Vec<Hold>) -> Vec<(Claim, Hold)> {
    let attempt_ids: Vec<Uuid> = holds.iter().map(|hold| hold.attempt_id).collect();
    let wanted = attempt_ids.len();
    let due = Due { handlers: vec![lane.name.to_string()], suspects: false, attempt_ids, now: pool.clock.now() };
    match pool.persist.claim_due(due).await {
        Ok(claims) => {
            // Without a lease nothing was looked for.
            lane.looked(claims.len() == wanted || !pool.persist.lease().holds());
            let claimed: Vec<(Claim, Hold)> = claims.into_iter().zip(holds).collect();
            claimed.iter().for_each(|(claim, hold)| hold.on(claim.record_id, &claim.handler, claim.attempt_number));
            claimed
        }
        Err(error) => {
            tracing::warn!(handler = &*lane.name, %error, "due events could not be claimed");
            // Looked at again within a second.
            lane.looked(true);
            Vec::new()
        }
    }
}
