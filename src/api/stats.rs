//! The state of the whole in numbers: exact, and cheap at any size of the ledger.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use sea_orm::DbErr;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::openapi::OfALedgerRead;
use super::{Answer, State};
use crate::clock::Timestamp;
use crate::lifecycle::{FinalStatus, Status};
use crate::persist::CountsByLane;

/// The engine in numbers.
#[derive(Serialize, ToSchema)]
struct Stats {
    /// How many records stand in each status; all are there.
    by_status: BTreeMap<&'static str, i64>,
    /// How many records ended in each final status; all are there.
    by_final_status: BTreeMap<&'static str, i64>,
    /// Records that are PENDING.
    pending: i64,
    /// Records that are PROCESSING.
    in_flight: i64,
    /// Records that are SCHEDULED.
    scheduled: i64,
    /// For how long the oldest event that waits has been due, if one waits.
    #[schema(required)]
    oldest_pending_age_ms: Option<u128>,
    /// Retries whose time has come, counted up to 10,000 a handler.
    retries_due: i64,
    /// Records that are RETRY_SCHEDULED.
    retries_scheduled: i64,
    /// Records that are DEAD_LETTER.
    dead_letters: i64,
    /// Whether it is stopping.
    draining: bool,
    /// Since its start.
    uptime_ms: u128,
    version: &'static str,
    /// This process; each start has an id of its own.
    node: Uuid,
}

/// Counts what is in the ledger: exact, and cheap at any size.
#[utoipa::path(
    get,
    path = "/api/v1/stats",
    operation_id = "get_stats",
    tag = "state",
    responses((status = 200, description = "The counts", body = Stats), OfALedgerRead),
)]
pub(crate) async fn stats(state: Data<State>) -> Answer {
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
        node: state.pool.persist.lease().node(),
        by_status: counts.iter().map(|(status, n)| (status.as_str(), *n)).collect(),
        by_final_status,
    }))
}

/// How many records stand where; every status is there.
pub(crate) fn by_status(counts: &CountsByLane) -> BTreeMap<Status, i64> {
    let mut by_status: BTreeMap<Status, i64> = Status::ALL.iter().map(|status| (*status, 0)).collect();
    for ((_, status), n) in counts {
        *by_status.entry(*status).or_default() += n;
    }
    by_status
}

/// Since when the oldest event that waits is due, over all lanes.
pub(crate) async fn oldest_pending(state: &State, now: Timestamp) -> Result<Option<Timestamp>, DbErr> {
    let mut oldest = None;
    for lane in state.pool.lanes() {
        let due = state.reads().oldest_due(&lane.name, now).await?;
        oldest = [oldest, due].into_iter().flatten().min();
    }
    Ok(oldest)
}
