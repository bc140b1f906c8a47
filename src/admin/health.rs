//! How the whole stands, and why: what `/readyz` knows, and what an operator should know beside it.

use crate::api::State;
use crate::api::actors::ActorState;
use crate::api::handlers::state_of;
use crate::api::health::Readiness;

/// How the whole stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// `ready`, `degraded` or `not_ready`.
    pub word: &'static str,
    /// Why it is not `ready`.
    pub reasons: Vec<String>,
}

impl Health {
    /// Looks at all of it.
    pub async fn of(state: &State) -> Self {
        let readiness = Readiness::of(state).await;
        let refusals: Vec<&str> = readiness.reasons.iter().map(String::as_str).collect();
        let handlers: Vec<(&str, ActorState, Option<String>)> =
            state.pool.lanes().map(|lane| (&*lane.name, state_of(lane), lane.host.last_error())).collect();
        Self::judge(&refusals, &handlers)
    }

    fn judge(refusals: &[&str], handlers: &[(&str, ActorState, Option<String>)]) -> Self {
        let mut reasons: Vec<String> = refusals.iter().map(|reason| (*reason).to_owned()).collect();
        for (name, state, error) in handlers {
            let error = error.as_deref().map(|error| format!(" ({error})")).unwrap_or_default();
            match state {
                ActorState::Down => reasons.push(format!("Handler {name} is down: its events wait{error}.")),
                ActorState::Blocked => reasons.push(format!("Handler {name} does not let go of its thread{error}.")),
                ActorState::Paused => reasons.push(format!("Handler {name} is paused: its events wait.")),
                ActorState::Running | ActorState::Draining => {}
            }
        }
        let word = match (refusals.is_empty(), reasons.is_empty()) {
            (false, _) => "not_ready",
            (true, false) => "degraded",
            (true, true) => "ready",
        };
        Self { word, reasons }
    }

    /// The word for the style sheet.
    pub fn kind(&self) -> &'static str {
        match self.word {
            "ready" => "good",
            "degraded" => "warn",
            _ => "bad",
        }
    }

    /// In a few words.
    pub fn headline(&self) -> &'static str {
        match self.word {
            "ready" => "All is well.",
            "degraded" => "Degraded.",
            _ => "Not ready.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_wrong_is_said() {
        assert_eq!(Health::judge(&[], &[("a", ActorState::Running, None)]).word, "ready");
        let paused = Health::judge(&[], &[("a", ActorState::Paused, None)]);
        assert_eq!((paused.word, &*paused.reasons[0]), ("degraded", "Handler a is paused: its events wait."));
        let down = Health::judge(&["The ledger cannot be read."], &[("a", ActorState::Down, Some("no".to_owned()))]);
        assert_eq!(down.word, "not_ready");
        assert_eq!(down.reasons, ["The ledger cannot be read.", "Handler a is down: its events wait (no)."]);
    }
}
