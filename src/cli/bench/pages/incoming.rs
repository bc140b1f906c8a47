//! Events that come in over HTTP at a rate, each at its own moment, whatever became of those before it.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::sample::{LANES, Plan};

/// What became of the events that were sent.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    pub sent: u64,
    pub accepted: u64,
    /// Why others were not accepted, as far as one of them knows.
    pub refusal: Option<String>,
    /// From the moment at which each was to be sent to its answer.
    pub took: Vec<Duration>,
}

/// Sends events until the end, and waits for the answers.
pub(super) async fn send(client: &Client, url: &str, plan: Plan, rate: u32, start: Instant, end: Instant) -> Incoming {
    let (mut on_their_way, mut incoming) = (JoinSet::new(), Incoming::default());
    loop {
        let due = start + Duration::from_secs(1) * u32::try_from(incoming.sent).unwrap_or(u32::MAX) / rate;
        if due >= end {
            break;
        }
        sleep_until(due).await;
        let request = client.post(format!("{url}/api/v1/events")).json(&event(plan, incoming.sent));
        incoming.sent += 1;
        on_their_way.spawn(async move {
            let answer = request.send().await;
            (answer.map(|answer| answer.status()), due.elapsed())
        });
    }
    for (answer, took) in on_their_way.join_all().await {
        incoming.took.push(took);
        match answer {
            Ok(StatusCode::ACCEPTED) => incoming.accepted += 1,
            Ok(status) => incoming.refusal = Some(status.to_string()),
            Err(error) => incoming.refusal = Some(error.to_string()),
        }
    }
    incoming
}

/// An event of any lane but the one that is paused.
fn event(plan: Plan, n: u64) -> serde_json::Value {
    let lane = &LANES[usize::try_from(n % 4).unwrap_or(0)];
    let kind = lane.types[usize::try_from(n / 4).unwrap_or(0) % lane.types.len()];
    json!({
        "id": format!("live-{}-{n}", plan.now.0),
        "source": "/bench",
        "type": kind,
        "subject": format!("customer/{}", n % 40_000),
        "data": { "n": n, "text": "lorem ipsum ".repeat(16) },
    })
}
