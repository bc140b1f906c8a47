//! Health: whether the process lives, and whether it can take events.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::json;

use super::State;

/// How long the ledger may think before it counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Checks {
    ledger: &'static str,
    persistence: &'static str,
    intake: &'static str,
    processors: &'static str,
    draining: &'static str,
}

/// `GET /livez`: asks nothing but the process. A database that is away is no reason to kill it.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// `GET /readyz`
pub(super) async fn ready(state: Data<State>) -> HttpResponse {
    let pool = &state.pool;
    let word = |is_alive| if is_alive { "ok" } else { "down" };
    let checks = Checks {
        ledger: ledger(&state).await,
        persistence: word(pool.persist.is_alive()),
        intake: word(state.intake.is_alive()),
        processors: word((0..pool.processors.len()).any(|slot| pool.processors.is_alive(slot))),
        draining: if pool.is_draining() { "yes" } else { "no" },
    };
    let parts = [checks.ledger, checks.persistence, checks.intake, checks.processors];
    if parts == ["ok"; 4] && checks.draining == "no" {
        HttpResponse::Ok().json(json!({ "status": "ready", "checks": checks }))
    } else {
        HttpResponse::ServiceUnavailable().json(json!({ "status": "not_ready", "checks": checks }))
    }
}

async fn ledger(state: &State) -> &'static str {
    match tokio::time::timeout(PATIENCE, state.reads().ping()).await {
        Ok(Ok(())) if state.pool.metrics.ledger_unavailable.get() == 0 => "ok",
        Ok(Ok(())) => "cannot be written",
        Ok(Err(_)) => "cannot be read",
        Err(_) => "does not answer",
    }
}
