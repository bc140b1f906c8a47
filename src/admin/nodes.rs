//! Nodes: who works on this ledger, who has lately, and what each has in hand.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use uuid::Uuid;

use super::{Frame, page as answer, shown};
use crate::api::{Answer, State};
use crate::clock::Timestamp;
use crate::persist::{Node, NodeState};

#[derive(Template)]
#[template(path = "admin/nodes.html")]
struct Nodes {
    frame: Frame,
    nodes: Vec<View>,
}

/// A node.
struct View {
    id: Uuid,
    name: String,
    state: &'static str,
    is_this: bool,
    handlers: Vec<String>,
    started_at: Timestamp,
    lease_until: Option<Timestamp>,
    fenced_at: Option<Timestamp>,
    in_hand: String,
}

/// Lists the nodes, those that live and the last that are gone.
pub(super) async fn page(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Nodes").await;
    let in_hand = state.reads().in_hand().await?;
    let view = |node: Node| View {
        is_this: node.id == frame.node,
        in_hand: shown::number(in_hand.get(&node.id).copied().unwrap_or(0)),
        id: node.id,
        name: node.name,
        state: word(node.state),
        handlers: node.listing.handlers.into_iter().map(|handler| handler.name).collect(),
        started_at: node.started_at,
        lease_until: node.lease_until,
        fenced_at: node.fenced_at,
    };
    let nodes = state.reads().nodes(frame.now).await?.into_iter().map(view).collect();
    answer(&Nodes { frame, nodes })
}

const fn word(state: NodeState) -> &'static str {
    match state {
        NodeState::Live => "live",
        NodeState::Draining => "draining",
        NodeState::Lapsed => "lapsed",
        NodeState::Gone => "gone",
    }
}
