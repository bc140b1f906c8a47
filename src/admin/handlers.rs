//! Handlers: how each fares, its policy in words, what a pause holds back; and pausing, resuming, restarting one.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use super::standing::{MINUTE_SLOTS, Standing, UNKNOWN, lane_rate, share};
use super::{Frame, form, page as answer, shown};
use crate::api::handlers::{missing, state_of};
use crate::api::problem::Problem;
use crate::api::{Answer, State, operator, path};
use crate::dead_letter::Operator;
use crate::process::Lane;
use crate::retry::RetryPolicy;
use crate::telemetry::SLOTS;

/// How long the ledger may think before the page is shown without what only it knows.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Template)]
#[template(path = "admin/handlers.html")]
struct Handlers {
    frame: Frame,
    handlers: Vec<View>,
}

/// A handler.
struct View {
    name: String,
    /// The name as it stands in an address.
    encoded: String,
    kind: String,
    types: Vec<String>,
    state: &'static str,
    is_paused: bool,
    queued: String,
    /// Since when the oldest event that waits is due.
    oldest: Option<String>,
    in_flight: usize,
    concurrency: usize,
    timeout: String,
    policy: String,
    rate: String,
    share: String,
    p95: String,
    restarts: u64,
    last_error: Option<String>,
}

/// Lists the handlers of this node.
pub(super) async fn page(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Handlers").await;
    let standing = Standing::of(&state).await;
    let mut handlers = Vec::new();
    for lane in state.pool.lanes() {
        handlers.push(view(&state, &standing, lane).await);
    }
    answer(&Handlers { frame, handlers })
}

async fn view(state: &State, standing: &Standing, lane: &Lane) -> View {
    let (pulse, now) = (&state.pool.metrics.pulse, state.pool.clock.now());
    let lately = pulse.of(&lane.name, SLOTS);
    let oldest = timeout(PATIENCE, state.reads().oldest_due(&lane.name, now)).await.ok().and_then(Result::ok);
    View {
        name: lane.name.to_string(),
        encoded: utf8_percent_encode(&lane.name, NON_ALPHANUMERIC).to_string(),
        kind: lane.kind.clone(),
        types: lane.patterns.clone(),
        state: state_of(lane).as_str(),
        is_paused: lane.is_paused(),
        queued: standing.depth(&lane.name),
        oldest: oldest.flatten().map(|oldest| shown::span(now.since(oldest))),
        in_flight: lane.in_flight(),
        concurrency: lane.concurrency,
        timeout: shown::span(lane.timeout),
        policy: in_words(&lane.policy),
        rate: lane_rate(&pulse.of(&lane.name, MINUTE_SLOTS)),
        share: share(&lately),
        p95: lately.quantile(0.95).map_or_else(|| UNKNOWN.to_owned(), shown::span),
        restarts: lane.host.restarts(),
        last_error: lane.host.last_error(),
    }
}

/// The first delays of a policy are told one by one.
const TOLD: u32 = 4;

/// A policy as a person would tell it.
fn in_words(policy: &RetryPolicy) -> String {
    if policy.max_retries == 0 {
        return "never retried".to_owned();
    }
    let short = |delay: Duration| humantime::format_duration(delay).to_string();
    let mut delays: Vec<String> =
        (0..policy.max_retries.min(TOLD)).map(|retry| short(policy.delay(retry, 0.0))).collect();
    if policy.max_retries > TOLD {
        delays.push(format!("… up to {}", short(policy.delay(policy.max_retries - 1, 0.0))));
    }
    let jitter =
        if policy.jitter > 0.0 { format!(", up to {:.0} % longer", policy.jitter * 100.0) } else { String::new() };
    let times = if policy.max_retries == 1 { "1 retry".to_owned() } else { format!("{} retries", policy.max_retries) };
    format!("{times}, after {}{jitter}", delays.join(", "))
}

/// Lets a handler claim nothing until it is resumed.
pub(super) async fn pause(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let asked = Asked::read(&state, &request, body).await?;
    let (pool, lane, operator) = (state.pool.clone(), Arc::clone(&asked.lane), asked.operator.clone());
    operator::carry_out(async move { pool.pause(&lane.name, true, &operator).await }).await?;
    Ok(asked.back("handler-paused"))
}

/// Lets a handler claim again.
pub(super) async fn resume(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let asked = Asked::read(&state, &request, body).await?;
    let (pool, lane, operator) = (state.pool.clone(), Arc::clone(&asked.lane), asked.operator.clone());
    operator::carry_out(async move { pool.pause(&lane.name, false, &operator).await }).await?;
    Ok(asked.back("handler-resumed"))
}

/// Builds a handler's actor again.
pub(super) async fn restart(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let asked = Asked::read(&state, &request, body).await?;
    let (pool, lane, operator) = (state.pool.clone(), Arc::clone(&asked.lane), asked.operator.clone());
    operator::carry_out(async move { pool.restart(&lane, &operator).await }).await?;
    Ok(asked.back("handler-restarted"))
}

/// What a form is about.
struct Asked {
    lane: Arc<Lane>,
    operator: Operator,
    fields: crate::api::query::Parameters,
}

impl Asked {
    async fn read(state: &State, request: &HttpRequest, body: Body) -> Result<Self, Problem> {
        let fields = form::fields(state, request, body, &["reason", "back"]).await?;
        let name = path::name_before_verb(request)?;
        let lane = state.pool.lane(&name).ok_or_else(|| missing(state, &name))?;
        Ok(Self { lane, operator: operator::of_form(request, &fields), fields })
    }

    fn back(&self, notice: &str) -> HttpResponse {
        form::back(&self.fields, "/handlers", Some(notice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_told_in_words() {
        let policy = RetryPolicy::default();
        assert_eq!(in_words(&policy), "3 retries, after 1s, 2s, 4s");
        let long = RetryPolicy { max_retries: 20, jitter: 0.1, ..policy.clone() };
        assert_eq!(in_words(&long), "20 retries, after 1s, 2s, 4s, 8s, … up to 1h, up to 10 % longer");
        assert_eq!(in_words(&RetryPolicy { max_retries: 1, ..policy.clone() }), "1 retry, after 1s");
        assert_eq!(in_words(&RetryPolicy { max_retries: 0, ..policy }), "never retried");
    }
}
