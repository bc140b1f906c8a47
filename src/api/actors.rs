//! The live tree of actors: who runs, who was built again and why, and what waits for whom.
//!
//! It has an answer while the ledger is away: what only the ledger knows is `null` then.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

use super::handlers::{queued, state_of};
use super::{Answer, State};
use crate::persist::CountsByLane;
use crate::process::Lane;
use crate::retry::Timers;

/// How long an actor, or the ledger, may think before the tree is shown without its answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// So many of a lane's attempts are shown.
const MOST_IN_HAND: usize = 10;

/// How an actor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ActorState {
    Running,
    /// A handler that is to claim nothing.
    Paused,
    Down,
    /// A handler that does not let go of its thread.
    Blocked,
    /// The engine, while it stops.
    Draining,
}

/// An actor, and those that it looks after.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
pub(crate) struct Node<'a> {
    pub name: String,
    /// A word of the engine, or the kind of a handler.
    pub kind: &'a str,
    pub state: ActorState,
    /// How often it was built again.
    pub restarts: u64,
    /// Why, the last time.
    #[schema(required)]
    pub last_error: Option<String>,
    /// How much waits for it, where it is known.
    #[schema(required)]
    pub mailbox: Option<usize>,
    #[serde(flatten)]
    #[schema(value_type = LaneView)]
    pub lane: Option<LaneView>,
    #[schema(no_recursion)]
    pub children: Vec<Self>,
}

/// What only the actors of handlers have, and they have all of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Lane)]
pub(crate) struct LaneView {
    /// How many events it may have in hand.
    #[schema(required = false)]
    pub concurrency: usize,
    /// How many events wait for it, if the ledger can be read.
    pub lane_depth: Option<i64>,
    /// What it has in hand, at most 10 of it.
    #[schema(required = false)]
    pub in_hand: Vec<InHand>,
}

/// An attempt that runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct InHand {
    pub record_id: Uuid,
    pub attempt_number: u32,
    /// For how long it has been running.
    pub for_ms: u128,
}

impl ActorState {
    /// The word for programs and people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Down => "DOWN",
            Self::Blocked => "BLOCKED",
            Self::Draining => "DRAINING",
        }
    }
}

impl<'a> Node<'a> {
    fn new(name: impl Into<String>, kind: &'a str, is_alive: bool) -> Self {
        let state = if is_alive { ActorState::Running } else { ActorState::Down };
        Self {
            name: name.into(),
            kind,
            state,
            restarts: 0,
            last_error: None,
            mailbox: None,
            lane: None,
            children: Vec::new(),
        }
    }
}

/// Shows the live tree of actors, also while the ledger is away.
#[utoipa::path(
    get,
    path = "/api/v1/actors",
    operation_id = "get_actors",
    tag = "state",
    responses((status = 200, description = "The engine, and all below it", body = Node)),
)]
pub(crate) async fn tree(state: Data<State>) -> Answer {
    Ok(HttpResponse::Ok().json(engine(&state).await))
}

/// The engine, and all below it.
pub(crate) async fn engine(state: &State) -> Node<'_> {
    let counts = timeout(PATIENCE, state.reads().counts()).await.ok().and_then(Result::ok);
    let persist = &state.pool.persist;
    let draining = state.pool.is_draining();
    let lanes = state.pool.lanes().map(|lane| handler(state, lane, counts.as_ref()));
    let mut children = vec![
        Node { mailbox: Some(persist.queued()), ..Node::new("persistence", "persistence", persist.is_alive()) },
        Node::new("intake", "intake", state.intake.is_alive()),
        processors(state),
        scheduler(state).await,
        Node { children: lanes.collect(), ..Node::new("handlers", "handlers", true) },
        Node::new("operations", "operations", state.pool.operations().is_some_and(actix::Addr::connected)),
    ];
    children.push(alerts(state));
    children.extend(listeners(state));
    let engine = Node { children, ..Node::new("engine", "engine", true) };
    let state = if draining { ActorState::Draining } else { ActorState::Running };
    Node { state, ..engine }
}

fn processors(state: &State) -> Node<'static> {
    let all = &state.pool.processors;
    let children: Vec<Node<'_>> = (0..all.len())
        .map(|slot| Node {
            restarts: all.restarts(slot),
            ..Node::new(format!("processor-{slot}"), "processor", all.is_alive(slot))
        })
        .collect();
    // It builds dead Processors again within a second: while one lives, so does it.
    let is_alive = children.iter().any(|processor| processor.state == ActorState::Running);
    Node { children, ..Node::new("processor-pool", "processor_pool", is_alive) }
}

fn alerts(state: &State) -> Node<'static> {
    let (is_alive, restarts) = state.pool.alerts.vitals();
    let posting = state.pool.alerts.posting();
    let mailbox = posting.as_ref().map(|posting| posting.waiting);
    let last_error = posting.and_then(|posting| posting.last_error);
    Node { restarts, mailbox, last_error, ..Node::new("alerts", "alerts", is_alive) }
}

/// A listener without its broker is down; it comes back by itself.
fn listeners(state: &State) -> Option<Node<'static>> {
    let listeners = state.listeners.as_ref()?;
    let children: Vec<Node<'_>> = listeners
        .states()
        .enumerate()
        .map(|(number, (is_alive, restarts, link))| Node {
            restarts,
            last_error: link.last_error,
            ..Node::new(format!("listener-{number}"), "listener", is_alive && link.up)
        })
        .collect();
    let is_alive = children.iter().any(|listener| listener.state == ActorState::Running);
    Some(Node { children, ..Node::new("listener-pool", "listener_pool", is_alive) })
}

async fn scheduler(state: &State) -> Node<'static> {
    let scheduler = state.pool.scheduler();
    let is_alive = scheduler.is_some_and(actix::Addr::connected);
    let timers = match scheduler {
        Some(scheduler) => timeout(PATIENCE, scheduler.send(Timers)).await.ok().and_then(Result::ok),
        None => None,
    };
    Node { mailbox: timers, ..Node::new("retry-scheduler", "retry_scheduler", is_alive) }
}

fn handler<'a>(state: &State, lane: &'a Lane, counts: Option<&CountsByLane>) -> Node<'a> {
    let now = state.pool.clock.now();
    // A claim that is just being made has no record yet.
    let in_hand = state.pool.in_hand(&lane.name, MOST_IN_HAND).into_iter().filter_map(|held| {
        let for_ms = now.since(held.since).as_millis();
        Some(InHand { record_id: held.record_id?, attempt_number: held.attempt_number, for_ms })
    });
    let view = LaneView {
        concurrency: lane.concurrency,
        lane_depth: counts.map(|counts| queued(&lane.name, counts)),
        in_hand: in_hand.collect(),
    };
    Node {
        state: state_of(lane),
        restarts: lane.host.restarts(),
        last_error: lane.host.last_error(),
        mailbox: Some(lane.in_memory()),
        lane: Some(view),
        ..Node::new(&*lane.name, &lane.kind, true)
    }
}
