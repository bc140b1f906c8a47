//! Waits until events have come to their end, by asking for their records.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::time::Instant;
use uuid::Uuid;

use super::client::Client;
use super::pace::Pace;
use super::problem::Failure;
use crate::clock::Timestamp;

/// How many records are asked for at a time.
const AT_ONCE: usize = 16;

/// A record of the ledger, as far as its end goes.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Record {
    pub status: String,
    pub final_status: Option<String>,
    pub error: Option<String>,
    created_at: Option<chrono::DateTime<chrono::Utc>>,
    completed_at: Option<chrono::DateTime<chrono::Utc>>,
    attempt_count: Option<u64>,
    #[serde(default)]
    attempts: Vec<IgnoredAny>,
    /// All of it as it came, to pass on.
    #[serde(skip)]
    pub whole: Option<Box<RawValue>>,
}

impl Record {
    /// From its acceptance to its end, by the node's clock.
    pub fn took(&self) -> Option<Duration> {
        let (start, end) = (self.created_at?, self.completed_at?);
        Some(Timestamp::from(end).since(Timestamp::from(start)))
    }

    /// How often a handler was tried.
    pub fn attempts(&self) -> u64 {
        self.attempt_count.unwrap_or(self.attempts.len() as u64)
    }
}

/// What is left when the waiting is over.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// The events that have not ended.
    pub unfinished: Vec<Uuid>,
    /// Why the last look at one of them failed, if it did.
    pub failure: Option<Failure>,
}

/// Asks for these records until all of them have a final status or none has got one for as long as `timeout`; tells
/// of each that has.
///
/// A record that does not exist yet is still on its way through the broker, and a node that does not answer may be
/// starting again: both are waited for.
pub(super) async fn until_ended(
    client: &Client,
    mut ids: Vec<Uuid>,
    timeout: Duration,
    pace: &Pace,
    on_end: &mut dyn FnMut(Record),
) -> Result<Rest, Failure> {
    let mut wait = pace.poll_first;
    let mut last_end = Instant::now();
    loop {
        let (started, asked) = (Instant::now(), ids.len());
        let mut failure = None;
        let mut looks = stream::iter(ids).map(|id| look(client, id)).buffer_unordered(AT_ONCE);
        let mut unfinished = Vec::new();
        while let Some((id, record)) = looks.next().await {
            match record {
                Ok(Some(record)) => {
                    last_end = Instant::now();
                    on_end(record);
                }
                Ok(None) => unfinished.push(id),
                Err(passing) if passing.is_passing() => {
                    failure = Some(passing);
                    unfinished.push(id);
                }
                Err(failure) => return Err(failure),
            }
        }
        if unfinished.is_empty() || last_end.elapsed() >= timeout {
            return Ok(Rest { unfinished, failure });
        }
        wait = if unfinished.len() < asked { pace.poll_first } else { (wait * 2).min(pace.poll_longest) };
        // Half of the time at most goes into asking: the node has the events to handle as well.
        let pause = wait.max(started.elapsed()).min(timeout.saturating_sub(last_end.elapsed()));
        ids = unfinished;
        tokio::time::sleep(pause).await;
    }
}

/// One look at a record: `None` if it has not ended.
async fn look(client: &Client, id: Uuid) -> (Uuid, Result<Option<Record>, Failure>) {
    let url = client.url(&["events", &id.to_string()]);
    let record = match client.get::<Box<RawValue>>(&url).await {
        Ok(whole) => serde_json::from_str::<Record>(whole.get())
            .map(|record| record.final_status.is_some().then_some(Record { whole: Some(whole), ..record }))
            .map_err(|error| Failure::unreadable(&url, error)),
        Err(Failure::Refused { status, .. }) if status == reqwest::StatusCode::NOT_FOUND => Ok(None),
        Err(failure) => Err(failure),
    };
    (id, record)
}
