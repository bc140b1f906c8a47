//! Handlers: how each fares, and pausing them.

use std::sync::Arc;

use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;

use super::operator::{self, carry_out};
use super::problem::Problem;
use super::query::{Parameters, closest};
use super::{Answer, State, path};
use crate::handle::HostState;
use crate::lifecycle::Status;
use crate::persist::CountsByLane;
use crate::process::Lane;

#[derive(Serialize)]
struct View<'a> {
    name: &'a str,
    kind: &'a str,
    types: &'a [String],
    state: &'static str,
    in_flight: usize,
    queued: i64,
    queue_capacity: usize,
    concurrency: usize,
    restarts: u64,
    last_error: Option<String>,
}

impl<'a> View<'a> {
    fn of(lane: &'a Lane, counts: &CountsByLane) -> Self {
        Self {
            name: &lane.name,
            kind: &lane.kind,
            types: &lane.patterns,
            state: state_of(lane),
            in_flight: lane.in_flight(),
            queued: queued(lane, counts),
            queue_capacity: lane.capacity,
            concurrency: lane.concurrency,
            restarts: lane.host.restarts(),
            last_error: lane.host.last_error(),
        }
    }
}

/// `GET /api/v1/handlers`
pub(super) async fn list(state: Data<State>) -> Answer {
    let counts = state.reads().counts().await?;
    let items: Vec<View<'_>> = state.pool.lanes().map(|lane| View::of(lane, &counts)).collect();
    Ok(HttpResponse::Ok().json(json!({ "items": items })))
}

/// `POST /api/v1/handlers/{name}/pause`
pub(super) async fn pause(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    set_paused(&state, &request, body, true).await
}

/// `POST /api/v1/handlers/{name}/resume`
pub(super) async fn resume(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    set_paused(&state, &request, body, false).await
}

async fn set_paused(state: &State, request: &HttpRequest, body: Body, paused: bool) -> Answer {
    let parameters = Parameters::parse(request.query_string(), &["reason"])?;
    let name = path::id_before_verb(request)?;
    let members = operator::members(request, body, state.config.body_limit, &["reason"]).await?;
    let operator = operator::of(request, &parameters, &members);
    let lane = state.pool.lane(&name).ok_or_else(|| missing(state, &name))?;
    let (pool, changed) = (state.pool.clone(), Arc::clone(&lane));
    carry_out(async move { pool.pause(&changed, paused, &operator).await }).await?;
    let counts = state.reads().counts().await?;
    Ok(HttpResponse::Ok().json(View::of(&lane, &counts)))
}

fn missing(state: &State, name: &str) -> Problem {
    let names: Vec<&str> = state.pool.lanes().map(|lane| &*lane.name).collect();
    let problem = Problem::not_found("handler", name);
    match closest(name, &names) {
        Some(meant) => problem.hint(format!("Did you mean `{meant}`? `GET /api/v1/handlers` lists them.")),
        None => problem.hint("`GET /api/v1/handlers` lists them."),
    }
}

/// A pause comes first: it is what an operator wanted.
pub(super) fn state_of(lane: &Lane) -> &'static str {
    match lane.host.state() {
        _ if lane.is_paused() => "PAUSED",
        HostState::Running => "RUNNING",
        HostState::Down => "DOWN",
        HostState::Blocked => "BLOCKED",
    }
}

/// Events of this lane that wait, in memory and in the ledger.
pub(super) fn queued(lane: &Lane, counts: &CountsByLane) -> i64 {
    counts.get(&(lane.name.to_string(), Status::Pending)).copied().unwrap_or(0)
}
