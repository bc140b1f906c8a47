//! The live tree of actors: who runs, who was built again and why, what waits, and what each has in hand.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use uuid::Uuid;

use super::standing::{MINUTE_SLOTS, lane_rate};
use super::{Frame, page as answer, shown};
use crate::api::actors::{self, Node};
use crate::api::{Answer, State};

#[derive(Template)]
#[template(path = "admin/actors.html")]
struct Actors {
    frame: Frame,
    rows: Vec<Row>,
}

/// An actor, and how deep in the tree it stands.
struct Row {
    depth: usize,
    name: String,
    kind: String,
    state: &'static str,
    restarts: u64,
    last_error: Option<String>,
    /// What waits for it, as far as it is known.
    waits: String,
    lane: Option<Lane>,
}

/// What only the actors of handlers have.
struct Lane {
    capacity: usize,
    concurrency: usize,
    in_flight: usize,
    rate: String,
    in_hand: Vec<InHand>,
}

/// An attempt that runs.
struct InHand {
    record: Uuid,
    short: String,
    attempt: u32,
    age: String,
    /// Whether it has been running for longer than it may.
    is_stuck: bool,
}

/// Shows the tree, also while the ledger is away.
pub(super) async fn page(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Actors").await;
    let mut rows = Vec::new();
    flatten(&state, actors::engine(&state).await, 0, &mut rows);
    answer(&Actors { frame, rows })
}

/// From the top down, each before those that it looks after.
fn flatten(state: &State, actor: Node<'_>, depth: usize, rows: &mut Vec<Row>) {
    let lane = state.pool.lane(&actor.name).filter(|_| actor.lane.is_some());
    let waits = match &actor.lane {
        Some(view) => view.lane_depth.map(shown::number),
        None => actor.mailbox.map(|waits| shown::number(i64::try_from(waits).unwrap_or(i64::MAX))),
    };
    let in_hand = actor.lane.map(|view| view.in_hand).unwrap_or_default();
    let lane = lane.map(|lane| Lane {
        capacity: lane.capacity,
        concurrency: lane.concurrency,
        in_flight: lane.in_flight(),
        rate: lane_rate(&state.pool.metrics.pulse.of(&lane.name, MINUTE_SLOTS)),
        in_hand: in_hand.iter().map(|held| InHand::of(held, lane.timeout)).collect(),
    });
    rows.push(Row {
        depth,
        name: actor.name,
        kind: actor.kind.to_owned(),
        state: actor.state.as_str(),
        restarts: actor.restarts,
        last_error: actor.last_error,
        waits: waits.unwrap_or_default(),
        lane,
    });
    for child in actor.children {
        flatten(state, child, depth + 1, rows);
    }
}

impl InHand {
    fn of(held: &actors::InHand, timeout: Duration) -> Self {
        let age = Duration::from_millis(u64::try_from(held.for_ms).unwrap_or(u64::MAX));
        Self {
            record: held.record_id,
            short: shown::short(held.record_id),
            attempt: held.attempt_number,
            age: shown::span(age),
            is_stuck: age > timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_longer_than_it_may_is_stuck() {
        let held = |for_ms| actors::InHand { record_id: Uuid::nil(), attempt_number: 2, for_ms };
        let timeout = Duration::from_secs(30);
        assert!(!InHand::of(&held(30_000), timeout).is_stuck);
        let stuck = InHand::of(&held(31_000), timeout);
        assert_eq!((stuck.is_stuck, &*stuck.age, &*stuck.short), (true, "31.0 s", "00000000"));
    }
}
