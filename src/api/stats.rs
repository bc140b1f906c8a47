//! The state of the whole in numbers: exact, and cheap at any size of the ledger.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use sea_orm::DbErr;
use serde::Serialize;
use uuid::Uuid;

use super::{Answer, State};
use crate::clock::Timestamp;
use crate::lifecycle::{FinalStatus, Status};
use crate::persist::CountsByLane;

#[derive(Serialize)]
struct Stats {
    by_status: BTreeMap<&'static str, i64>,
    by_final_status: BTreeMap<&'static str, i64>,
    pending: i64,
    in_flight: i64,
    scheduled: i64,
    oldest_pending_age_ms: Option<u128>,
    retries_due: i64,
    retries_scheduled: i64,
    dead_letters: i64,
    draining: bool,
    uptime_ms: u128,
    version: &'static str,
    node: Uuid,
}

/// `GET /api/v1/stats`
pub(super) async fn stats(state: Data<State>) -> Answer {
    let (reads, now) = (state.reads(), state.pool.clock.now());
    let counts = by_status(&reads.counts().await?);
    let of = |status| counts.get(&status).copied().unwrap_or(0);
    let mut by_final_status: BTreeMap<_, i64> = FinalStatus::ALL.iter().map(|end| (end.as_str(), 0)).collect();
    for (status, n) in &counts {
        if let Some(end) = status.final_status() {
            *by_final_status.entry(end.as_str()).or_default() += n;
        }
    }
    let handlers: Vec<String> = state.pool.lanes().map(|lane| lane.name.to_string()).collect();
    let oldest = oldest_pending(&state, now).await?;
    Ok(HttpResponse::Ok().json(Stats {
        pending: of(Status::Pending),
        in_flight: of(Status::Processing),
        scheduled: of(Status::Scheduled),
        oldest_pending_age_ms: oldest.map(|oldest| now.since(oldest).as_millis()),
        retries_due: reads.retries_due(&handlers, now).await?,
        retries_scheduled: of(Status::RetryScheduled),
        dead_letters: by_final_status.get(FinalStatus::DeadLetter.as_str()).copied().unwrap_or(0),
        draining: state.pool.is_draining(),
        uptime_ms: now.since(state.started_at).as_millis(),
        version: env!("CARGO_PKG_VERSION"),
        node: state.pool.persist.node,
        by_status: counts.iter().map(|(status, n)| (status.as_str(), *n)).collect(),
        by_final_status,
    }))
}

/// How many records stand where; every status is there.
pub(super) fn by_status(counts: &CountsByLane) -> BTreeMap<Status, i64> {
    let mut by_status: BTreeMap<Status, i64> = Status::ALL.iter().map(|status| (*status, 0)).collect();
    for ((_, status), n) in counts {
        *by_status.entry(*status).or_default() += n;
    }
    by_status
}

/// Since when the oldest event that waits is due, over all lanes.
pub(super) async fn oldest_pending(state: &State, now: Timestamp) -> Result<Option<Timestamp>, DbErr> {
    let mut oldest = None;
    for lane in state.pool.lanes() {
        let due = state.reads().oldest_due(&lane.name, now).await?;
        oldest = [oldest, due].into_iter().flatten().min();
    }
    Ok(oldest)
}
