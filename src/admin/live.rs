//! `/live`: one stream of server-sent events that feeds every page.
//!
//! What is said is looked up once a second for all who listen, and not at all while nobody does. A stream ends when the
//! engine drains, so that it holds no stop; there are never more than a few dozen of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{self, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::shown;
use super::standing::Standing;
use crate::api::State;
use crate::persist::OperationRecord;

/// So many streams at a time.
const MOST: usize = 64;

/// How often it is looked whether anything has changed.
const LOOK: Duration = Duration::from_secs(1);

/// So often something is sent, so that nobody on the way takes the connection for a dead one.
const PING: Duration = Duration::from_secs(15);

/// So many of the newest operations are followed.
const OPERATIONS: u64 = 20;

/// How long the ledger may think before operations are left out.
const PATIENCE: Duration = Duration::from_millis(500);

/// After so many milliseconds a browser that lost its stream asks for another.
const RETRY: &str = "retry: 2000\n\n";

/// What is said to all who listen.
#[derive(Debug)]
pub(crate) struct Live {
    latest: watch::Sender<Arc<Said>>,
    places: Arc<Semaphore>,
    is_looking: Mutex<bool>,
}

/// What was said last: all of it each time, so that nobody has to have heard what came before.
#[derive(Debug, Default)]
struct Said {
    id: u64,
    json: String,
    values: BTreeMap<String, String>,
}

impl Default for Live {
    fn default() -> Self {
        let (latest, places) = (watch::Sender::new(Arc::default()), Arc::new(Semaphore::new(MOST)));
        Self { latest, places, is_looking: Mutex::new(false) }
    }
}

/// The stream.
pub(super) async fn stream(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let Ok(place) = Arc::clone(&state.live.places).try_acquire_owned() else {
        // Its reader is a browser's own machinery: it reads no document.
        return HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, "5")).finish();
    };
    let known = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let latest = state.live.latest.subscribe();
    look_while_somebody_listens(&state);
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // A proxy would keep it back until there is enough of it.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events(state, latest, known, place))
}

/// What one who listens hears.
struct Listener {
    state: Data<State>,
    latest: watch::Receiver<Arc<Said>>,
    heard: Option<u64>,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

fn events(
    state: Data<State>,
    latest: watch::Receiver<Arc<Said>>,
    known: Option<u64>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
    let listener = Listener { state, latest, heard: known, begun: false, _place: place };
    stream::unfold(listener, |mut listener| async move {
        let next = listener.next().await?;
        Some((Ok(next), listener))
    })
}

impl Listener {
    /// The next that is to be sent; nothing when the engine drains.
    async fn next(&mut self) -> Option<Bytes> {
        if self.state.pool.is_draining() {
            return None;
        }
        if !std::mem::replace(&mut self.begun, true) {
            return Some(Bytes::from_static(RETRY.as_bytes()));
        }
        let silence = Instant::now() + PING;
        loop {
            let said = Arc::clone(&self.latest.borrow_and_update());
            if said.id > 0 && self.heard != Some(said.id) {
                self.heard = Some(said.id);
                return Some(format!("id: {}\nevent: now\ndata: {}\n\n", said.id, said.json).into());
            }
            tokio::select! {
                changed = self.latest.changed() => changed.ok()?,
                () = self.state.pool.drained() => return None,
                () = tokio::time::sleep_until(silence) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

/// Looks once a second, as long as anybody listens; one at a time does so.
fn look_while_somebody_listens(state: &Data<State>) {
    let mut is_looking = state.live.is_looking.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::replace(&mut *is_looking, true) {
        return;
    }
    let state = state.clone();
    actix_web::rt::spawn(async move {
        loop {
            look(&state).await;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = state.pool.drained() => return,
            }
            // Together with the decision: who comes now either is seen here, or finds nobody looking.
            let mut is_looking = state.live.is_looking.lock().unwrap_or_else(PoisonError::into_inner);
            if state.live.latest.receiver_count() == 0 {
                *is_looking = false;
                return;
            }
        }
    });
}

/// Says how everything stands, if it has changed.
async fn look(state: &State) {
    let mut values = Standing::of(state).await.values(state);
    values.extend(operations(state).await.map(|all| ("operations".to_owned(), all)));
    let uptime = shown::span(state.pool.clock.now().since(state.started_at));
    state.live.latest.send_if_modified(|said| {
        if said.values == values {
            return false;
        }
        // Larger than any of an earlier process: browsers keep the last that they have seen.
        let id = u64::try_from(state.pool.clock.now().0).unwrap_or(1).max(said.id + 1);
        let with = [("version".to_owned(), id.to_string()), ("uptime".to_owned(), uptime)];
        // Texts only: they cannot fail to be JSON.
        let json = serde_json::to_string(&values.clone().into_iter().chain(with).collect::<BTreeMap<_, _>>());
        *said = Arc::new(Said { id, json: json.unwrap_or_default(), values });
        true
    });
}

/// How far the newest operations have come, in one text: the pages that show them are loaded again when it changes.
async fn operations(state: &State) -> Option<String> {
    let newest = timeout(PATIENCE, state.reads().operations(None, None, OPERATIONS)).await.ok()?.ok()?;
    let told = |operation: &OperationRecord| {
        format!("{} {}", operation.state, operation.done + operation.skipped + operation.failed)
    };
    Some(newest.iter().map(told).collect::<Vec<_>>().join(", "))
}
