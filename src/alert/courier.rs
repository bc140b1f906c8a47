//! The courier: posts what is to be said to the webhook, one letter at a time, until the receiver has taken it.
//!
//! It waits on nobody but the receiver, and nobody waits for it, but for a moment at the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::timeout;
use uuid::Uuid;

use super::letter;
use super::shared::Shared;
use crate::clock::Timestamp;
use crate::handle::{HandlerError, Kind};
use crate::handlers::webhook::Target;

/// How long the receiver may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first pause after a failure; the next are twice as long each, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause while everybody waits for the end.
const SHORT_PAUSE: Duration = Duration::from_millis(200);

/// A letter that the receiver does not want is tried so often: others wait behind it.
const MOST_REFUSALS: u32 = 10;

/// A letter on its way: the same id and the same words however often it is tried.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub id: Uuid,
    pub body: Vec<u8>,
}

/// Why a letter did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undelivered {
    /// The receiver did not take it, or could not be asked.
    #[error("{0}")]
    Refused(HandlerError),
    /// The receiver took too long.
    #[error("there was no answer within {} s", PATIENCE.as_secs())]
    Silent,
}

/// Posts until the end.
pub(super) async fn run(shared: Arc<Shared>, target: Target) {
    let (mut failures, mut refusals) = (0, 0);
    let mut ending = shared.ending.subscribe();
    loop {
        let sealed = match shared.seal() {
            Ok(sealed) => sealed,
            Err(again) => {
                if *ending.borrow_and_update() {
                    return;
                }
                wait(&shared, again, &mut ending).await;
                continue;
            }
        };
        match deliver(&shared, &target, &sealed).await {
            Ok(()) => {
                if failures > 0 {
                    tracing::info!(failures, "the webhook of alerts takes them again");
                }
                (failures, refusals) = (0, 0);
                shared.delivered("delivered", None);
            }
            Err(error) => {
                refusals += u32::from(is_refusal(&error));
                if failures == 0 {
                    tracing::warn!(%error, "an alert could not be posted; trying again");
                }
                failures += 1;
                if refusals >= MOST_REFUSALS {
                    tracing::error!(%error, "an alert that the webhook does not take is given up");
                    (failures, refusals) = (0, 0);
                    shared.delivered("given_up", Some(error.to_string()));
                } else {
                    shared.failed(error.to_string());
                    pause(failures, &mut ending).await;
                }
            }
        }
    }
}

/// Waits until there may be something to post.
async fn wait(shared: &Shared, again: Option<Timestamp>, ending: &mut Receiver<bool>) {
    let next = async {
        match again {
            Some(again) => shared.clock.sleep_until(again).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = shared.wake.notified() => {}
        () = next => {}
        // An error means that the engine is gone; the thread ends with it.
        _ = ending.changed() => {}
    }
}

async fn pause(failures: u32, ending: &mut Receiver<bool>) {
    if *ending.borrow_and_update() {
        return tokio::time::sleep(SHORT_PAUSE).await;
    }
    let long = PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST_PAUSE);
    tokio::select! {
        () = tokio::time::sleep(long) => {}
        _ = ending.changed() => {}
    }
}

fn is_refusal(error: &Undelivered) -> bool {
    matches!(error, Undelivered::Refused(why) if why.kind() == Kind::Permanent)
}

async fn deliver(shared: &Shared, target: &Target, sealed: &Sealed) -> Result<(), Undelivered> {
    let id = sealed.id.to_string();
    let posted = target.post(&id, sealed.body.clone(), shared.clock.now());
    timeout(PATIENCE, posted).await.map_err(|_| Undelivered::Silent)?.map_err(Undelivered::Refused)
}

/// Posts a test, once.
pub(super) async fn test(shared: &Shared, target: &Target, operator: &str) -> Result<(), Undelivered> {
    let now = shared.clock.now();
    let sealed = Sealed { id: shared.clock.new_id(), body: letter::test(&shared.node, operator, now) };
    deliver(shared, target, &sealed).await
}
