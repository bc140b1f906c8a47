//! Nodes: who works on this ledger, who has lately, and how each of them stands.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::openapi::OfALedgerRead;
use super::{Answer, State};
use crate::clock::Timestamp;
use crate::persist::{Listed, Node, NodeState};

/// A node: a running process, or one that has run.
#[derive(Serialize, ToSchema)]
#[schema(as = Node)]
struct View {
    /// New at each start, and whenever others have taken over from it.
    id: Uuid,
    /// The machine and the process, for people.
    name: String,
    /// How it stands: `lapsed` when its lease has run out and nobody has taken over from it yet, `gone` when it has
    /// stopped, or others have.
    state: NodeState,
    /// The handlers that it has.
    handlers: Vec<Listed>,
    /// When it started.
    started_at: Timestamp,
    /// Until when it counts as alive without a sign; on SQLite, which serves one process, there is no such thing.
    #[schema(required)]
    lease_until: Option<Timestamp>,
    /// Whether it is, or was, stopping on purpose.
    draining: bool,
    /// When others took over what it had in hand.
    #[schema(required)]
    fenced_at: Option<Timestamp>,
    /// How many events it has in hand.
    in_hand: i64,
}

/// The nodes.
#[derive(Serialize, ToSchema)]
struct Nodes {
    /// Newest first: all that live, and the last that are gone; a hundred at most.
    items: Vec<View>,
}

/// Lists the nodes that work on this ledger, and the last that have.
#[utoipa::path(
    get,
    path = "/api/v1/nodes",
    operation_id = "list_nodes",
    tag = "state",
    responses((status = 200, description = "The nodes", body = Nodes), OfALedgerRead),
)]
pub(super) async fn list(state: Data<State>) -> Answer {
    let in_hand = state.reads().in_hand().await?;
    let view = |node: Node| View {
        in_hand: in_hand.get(&node.id).copied().unwrap_or(0),
        id: node.id,
        name: node.name,
        state: node.state,
        handlers: node.listing.handlers,
        started_at: node.started_at,
        lease_until: node.lease_until,
        draining: node.draining,
        fenced_at: node.fenced_at,
    };
    let nodes = state.reads().nodes(state.pool.clock.now()).await?;
    Ok(HttpResponse::Ok().json(Nodes { items: nodes.into_iter().map(view).collect() }))
}
