//! Which handler waiting events belong to: bindings may have changed since they were accepted, and nodes come and go.

use super::Pool;
use super::elsewhere::Elsewhere;
use crate::lifecycle::{Status, Verb};
use crate::persist::{Action, CountsByLane};

/// What becomes of events that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Binding {
    /// They wait where they should.
    Stays,
    /// This handler takes them from now on.
    To(String),
    /// Nobody handles them.
    Nobody,
}

/// Gives what waits to the handlers that this node has, unless another has its own.
///
/// # Errors
/// The database's.
pub(crate) async fn rebind(pool: &Pool) -> Result<(), sea_orm::DbErr> {
    rebind_waiting(pool).await?;
    for (event_type, events) in pool.persist.reads().unhandled_types().await? {
        if let Some(handler) = pool.resolve(&event_type) {
            // A type comes from outside, and this is pasted into a shell.
            let redrive = format!("evenkeel dlq redrive --no-handler --type '{}'", event_type.replace('\'', "'\\''"));
            tracing::info!(event_type, events, handler = &**handler, redrive, "events without a handler have one now");
        }
    }
    Ok(())
}

/// The same for events whose handler no node has had for a while.
///
/// # Errors
/// The database's.
pub(super) async fn rebind_forsaken(pool: &Pool) -> Result<(), sea_orm::DbErr> {
    let counts = pool.persist.reads().counts().await?;
    let is_known = |lane: &str| pool.lane(lane).is_some() || pool.elsewhere.has(lane);
    if waiting_lanes(&counts).all(is_known) { Ok(()) } else { rebind_waiting(pool).await }
}

/// The lanes in which something waits.
fn waiting_lanes(counts: &CountsByLane) -> impl Iterator<Item = &str> {
    let waits = |status: &Status| Verb::Claim.from().contains(status);
    counts.iter().filter(move |((_, status), n)| **n > 0 && waits(status)).map(|((lane, _), _)| lane.as_str())
}

async fn rebind_waiting(pool: &Pool) -> Result<(), sea_orm::DbErr> {
    for (from, event_type) in pool.persist.reads().waiting_types().await? {
        let ours = pool.resolve(&event_type).map(|name| &**name);
        let to = match binding(&from, &event_type, ours, pool.lane(&from).is_some(), &pool.elsewhere) {
            Binding::Stays => continue,
            Binding::To(handler) => Some(handler),
            Binding::Nobody => None,
        };
        tracing::info!(
            event_type,
            from,
            to = to.as_deref().unwrap_or("-"),
            "the binding of waiting events has changed"
        );
        let action = Action::Rebind { from, event_type, to };
        // A part of them at a time.
        while pool.operate(action.clone(), "engine", None).await.map_err(|error| super::recovery::custom(&error))? > 0 {
        }
    }
    Ok(())
}

/// What becomes of events of this type that wait for the handler `from`: `ours` is who would take them on this node, which
/// may have that handler for other types.
fn binding(from: &str, event_type: &str, ours: Option<&str>, is_here: bool, elsewhere: &Elsewhere) -> Binding {
    match (ours, elsewhere.resolve(event_type)) {
        (Some(ours), _) if ours == from => Binding::Stays,
        _ if elsewhere.has_live(from) => Binding::Stays,
        (Some(ours), _) => Binding::To(ours.to_owned()),
        (None, Some(theirs)) if *theirs == *from => Binding::Stays,
        (None, Some(theirs)) => Binding::To(theirs.to_string()),
        // Its node may be starting again.
        (None, None) if elsewhere.has(from) && !is_here => Binding::Stays,
        (None, None) => Binding::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::super::elsewhere::tests::{gone, live};
    use super::*;

    #[test]
    fn what_another_live_node_handles_stays_and_what_nobody_has_is_given_to_us_or_to_nobody() {
        let elsewhere = Elsewhere::of([live(&[("x", &["x.*"])]), gone(&[("old", &["old.*"]), ("names", &[])])]);
        let bound =
            |from: &str, event_type: &str, ours: Option<&str>| binding(from, event_type, ours, false, &elsewhere);
        let to = |handler: &str| Binding::To(handler.to_owned());
        assert_eq!(bound("all", "x.1", Some("all")), Binding::Stays);
        assert_eq!(bound("x", "x.1", Some("all")), Binding::Stays, "a live node has it");
        assert_eq!(bound("old", "old.1", Some("all")), to("all"), "no live node has it");
        assert_eq!(bound("old", "old.1", None), Binding::Stays, "its node may come back");
        assert_eq!(bound("names", "n", None), Binding::Stays, "its node may come back");
        assert_eq!(bound("never", "x.2", None), to("x"));
        assert_eq!(bound("never", "n", None), Binding::Nobody);
        assert_eq!(binding("names", "n", None, true, &elsewhere), Binding::Nobody, "it is here, for other types");
    }

    #[test]
    fn lanes_in_which_nothing_waits_any_more_are_none_to_look_at() {
        let count = |lane: &str, status, n| ((lane.to_owned(), status), n);
        let counts = CountsByLane::from([
            count("a", Status::Success, 3),
            count("b", Status::Pending, 0),
            count("c", Status::RetryScheduled, 1),
        ]);
        assert_eq!(waiting_lanes(&counts).collect::<Vec<_>>(), ["c"]);
    }
}
