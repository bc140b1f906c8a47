//! Following an operation to its end. Who stops looking does not stop it: it goes on in the server.

use serde::Deserialize;
use tokio::signal;

use super::super::Screen;
use super::super::client::Client;
use super::super::pace::Pace;
use super::super::problem::Failure;
use crate::lifecycle::OperationState;

/// An operation, as far as its progress goes.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::cli) struct Progress {
    pub id: String,
    pub state: OperationState,
    pub matched: u64,
    pub done: u64,
    pub skipped: u64,
    pub failed: u64,
    pub error: Option<String>,
}

/// How the looking ended.
pub(in crate::cli) enum Followed {
    /// The operation is over, or waits for a person.
    Stands(Progress),
    /// The person who looks has had enough.
    Left,
}

/// Looks until the operation runs no more, with a bar if there is a terminal.
pub(in crate::cli) async fn follow(
    client: &Client,
    begun: Progress,
    pace: &Pace,
    screen: &Screen<'_>,
) -> Result<Followed, Failure> {
    let bar = screen.bar(Some(begun.matched), "{bar:40} {human_pos}/{human_len} {per_sec} {eta} left");
    let url = client.url(&["operations", &begun.id]);
    let (mut progress, mut wait) = (begun, pace.poll_first);
    while progress.state == OperationState::Running {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = signal::ctrl_c() => return Ok(Followed::Left),
        }
        wait = (wait * 2).min(pace.poll_longest);
        match client.get::<Progress>(&url).await {
            Ok(next) => progress = next,
            // A node that starts again goes on with it.
            Err(failure) if failure.is_passing() => {}
            Err(failure) => return Err(failure),
        }
        bar.set_position(progress.done + progress.skipped + progress.failed);
    }
    bar.finish_and_clear();
    Ok(Followed::Stands(progress))
}
