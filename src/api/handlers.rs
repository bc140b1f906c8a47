//! Handlers: how each fares, and pausing them.

use std::sync::Arc;

use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::actors::ActorState;
use super::openapi::{OfALedgerRead, OfAPause};
use super::operator::{self, Reason, carry_out};
use super::parameters::{Asked, OneHandler};
use super::problem::Problem;
use super::query::{Parameters, closest};
use super::{Answer, State, path};
use crate::dead_letter::Operator;
use crate::handle::HostState;
use crate::lifecycle::Status;
use crate::persist::CountsByLane;
use crate::process::Lane;

/// A handler.
#[derive(Serialize, ToSchema)]
#[schema(as = Handler)]
struct View<'a> {
    name: &'a str,
    /// A built-in kind, `actor` or `function`; `elsewhere` if only other nodes have it.
    kind: &'a str,
    /// The patterns of the types that it gets.
    types: &'a [String],
    state: ActorState,
    /// How many events it has in hand.
    in_flight: usize,
    /// How many events wait for it.
    queued: i64,
    /// How many of those are kept in memory at most.
    queue_capacity: usize,
    /// How many events it may have in hand.
    concurrency: usize,
    /// How often its actor was built again.
    restarts: u64,
    /// Why, the last time.
    #[schema(required)]
    last_error: Option<String>,
}

/// All handlers.
#[derive(Serialize, ToSchema)]
struct Handlers<'a> {
    items: Vec<View<'a>>,
}

impl<'a> View<'a> {
    fn of(lane: &'a Lane, counts: &CountsByLane) -> Self {
        Self {
            name: &lane.name,
            kind: &lane.kind,
            types: &lane.patterns,
            state: state_of(lane),
            in_flight: lane.in_flight(),
            queued: queued(&lane.name, counts),
            queue_capacity: lane.capacity,
            concurrency: lane.concurrency,
            restarts: lane.host.restarts(),
            last_error: lane.host.last_error(),
        }
    }
}

impl<'a> View<'a> {
    /// A handler that only other nodes have.
    fn elsewhere(name: &'a str, types: &'a [String], paused: bool, counts: &CountsByLane) -> Self {
        let state = if paused { ActorState::Paused } else { ActorState::Running };
        Self {
            name,
            kind: "elsewhere",
            types,
            state,
            in_flight: 0,
            queued: queued(name, counts),
            queue_capacity: 0,
            concurrency: 0,
            restarts: 0,
            last_error: None,
        }
    }
}

/// Lists the handlers of this node.
#[utoipa::path(
    get,
    path = "/api/v1/handlers",
    operation_id = "list_handlers",
    tag = "handlers",
    responses((status = 200, description = "All of them", body = Handlers), OfALedgerRead),
)]
pub(crate) async fn list(state: Data<State>) -> Answer {
    let counts = state.reads().counts().await?;
    let items: Vec<View<'_>> = state.pool.lanes().map(|lane| View::of(lane, &counts)).collect();
    Ok(HttpResponse::Ok().json(Handlers { items }))
}

/// Lets a handler claim nothing until it is resumed, through restarts too; what it has in hand ends as usual.
#[utoipa::path(
    post,
    path = "/api/v1/handlers/{name}/pause",
    operation_id = "pause_handler",
    tag = "handlers",
    params(OneHandler, Asked),
    request_body = Option<Reason>,
    responses((status = 200, description = "The handler as it stands now", body = View), OfAPause),
)]
pub(crate) async fn pause(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    set_paused(&state, &request, body, true).await
}

/// Lets a handler claim again.
#[utoipa::path(
    post,
    path = "/api/v1/handlers/{name}/resume",
    operation_id = "resume_handler",
    tag = "handlers",
    params(OneHandler, Asked),
    request_body = Option<Reason>,
    responses((status = 200, description = "The handler as it stands now", body = View), OfAPause),
)]
pub(crate) async fn resume(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    set_paused(&state, &request, body, false).await
}

/// Builds a handler's actor again, on this node; what it has in hand ends as it would.
#[utoipa::path(
    post,
    path = "/api/v1/handlers/{name}/restart",
    operation_id = "restart_handler",
    tag = "handlers",
    params(OneHandler, Asked),
    request_body = Option<Reason>,
    responses((status = 200, description = "The handler as it stands now", body = View), OfAPause),
)]
pub(crate) async fn restart(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (name, operator) = asked(&state, &request, body).await?;
    let lane = state.pool.lane(&name).ok_or_else(|| missing(&state, &name))?;
    let (pool, restarted) = (state.pool.clone(), Arc::clone(&lane));
    carry_out(async move { pool.restart(&restarted, &operator).await }).await?;
    let counts = state.reads().counts().await?;
    Ok(HttpResponse::Ok().json(View::of(&lane, &counts)))
}

async fn set_paused(state: &State, request: &HttpRequest, body: Body, paused: bool) -> Answer {
    let (name, operator) = asked(state, request, body).await?;
    let lane = state.pool.lane(&name);
    let elsewhere = if lane.is_none() { state.pool.types_elsewhere(&name) } else { None };
    if lane.is_none() && elsewhere.is_none() {
        return Err(missing(state, &name));
    }
    let (pool, handler) = (state.pool.clone(), name.clone());
    carry_out(async move { pool.pause(&handler, paused, &operator).await }).await?;
    let counts = state.reads().counts().await?;
    Ok(match &lane {
        Some(lane) => HttpResponse::Ok().json(View::of(lane, &counts)),
        None => HttpResponse::Ok().json(View::elsewhere(&name, &elsewhere.unwrap_or_default(), paused, &counts)),
    })
}

/// Which handler an operation is about, who asks for it, and why.
async fn asked(state: &State, request: &HttpRequest, body: Body) -> Result<(String, Operator), Problem> {
    let parameters = Parameters::parse(request.query_string(), &["reason"])?;
    let name = path::id_before_verb(request)?;
    let members = operator::members(request, body, state.config.body_limit, &["reason"]).await?;
    Ok((name, operator::of(request, &parameters, &members)))
}

/// A name that no handler has.
pub(crate) fn missing(state: &State, name: &str) -> Problem {
    let names: Vec<&str> = state.pool.lanes().map(|lane| &*lane.name).collect();
    let problem = Problem::not_found("handler", name);
    match closest(name, &names) {
        Some(meant) => problem.hint(format!("Did you mean `{meant}`? `GET /api/v1/handlers` lists them.")),
        None => problem.hint("`GET /api/v1/handlers` lists them."),
    }
}

/// A pause comes first: it is what an operator wanted.
pub(crate) fn state_of(lane: &Lane) -> ActorState {
    match lane.host.state() {
        _ if lane.is_paused() => ActorState::Paused,
        HostState::Running => ActorState::Running,
        HostState::Down => ActorState::Down,
        HostState::Blocked => ActorState::Blocked,
    }
}

/// Events of this lane that wait, in memory and in the ledger.
pub(crate) fn queued(lane: &str, counts: &CountsByLane) -> i64 {
    counts.get(&(lane.to_owned(), Status::Pending)).copied().unwrap_or(0)
}
