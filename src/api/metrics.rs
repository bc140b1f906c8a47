//! `/metrics`: the instruments, with the gauges brought up to date.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Data;
use sea_orm::DbErr;

use super::handlers::queued;
use super::openapi::OfATextOfOurs;
use super::problem::{Code, Problem};
use super::stats::{by_status, oldest_pending};
use super::{Answer, State};

/// How long the ledger may think; a scraper that gets no answer has no metric at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shows the metrics in Prometheus' text format, also while the ledger is away.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "state",
    responses(
        (status = 200, description = "All of them", body = String, content_type = "text/plain; version=0.0.4; charset=utf-8"),
        OfATextOfOurs,
    ),
)]
pub(super) async fn text(state: Data<State>) -> Answer {
    let metrics = &state.pool.metrics;
    metrics.lease_held.set(i64::from(state.pool.persist.lease().holds()));
    for lane in state.pool.lanes() {
        let running = i64::try_from(lane.in_flight()).unwrap_or(i64::MAX);
        metrics.in_flight.with_label_values(&[&*lane.name]).set(running);
    }
    match tokio::time::timeout(PATIENCE, refresh(&state)).await {
        Ok(Ok(())) => {}
        // The gauges keep what they showed; the others are as good as ever.
        Ok(Err(error)) => tracing::debug!(%error, "the ledger could not be read for the metrics"),
        Err(_) => tracing::debug!("the ledger was too slow for the metrics"),
    }
    let text = metrics.render();
    let text = text.map_err(|error| Problem::new(Code::Internal, "no metrics could be had").caused_by(error))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")).body(text))
}

async fn refresh(state: &State) -> Result<(), DbErr> {
    let (metrics, now) = (&state.pool.metrics, state.pool.clock.now());
    let counts = state.reads().counts().await?;
    for (status, n) in by_status(&counts) {
        metrics.records.with_label_values(&[status.as_str()]).set(n);
    }
    for lane in state.pool.lanes() {
        metrics.lane_depth.with_label_values(&[&*lane.name]).set(queued(&lane.name, &counts));
    }
    let oldest = oldest_pending(state, now).await?;
    metrics.oldest_pending_seconds.set(oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()));
    Ok(())
}
