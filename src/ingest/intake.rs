//! The Intake: the actor that every new event passes, whatever bus it came over.
//!
//! It runs on when its caller goes: an event whose row is committed goes on to its handler, heard or not.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::schema::{Breach, Schemas};
use crate::alert;
use crate::clock::Timestamp;
use crate::event::{DEFAULT_SOURCE, Event, NewEvent, Payload, Violation, checksum};
use crate::handle::{Emit, EmitError};
use crate::lifecycle::Status;
use crate::persist::{self, Claim, Entry, Interest, NewRecord, Origin, Taken, Wanted};
use crate::process::{Entrance, Lane, Pool};

/// How long a caller waits for the ledger before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// An event that is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Accepted {
    /// The record: the original's, for a duplicate.
    pub id: Uuid,
    /// The event's own id.
    pub event_id: String,
    /// Who sent it.
    pub source: String,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Where it stands: the original, for a duplicate.
    pub status: Status,
    /// Whether it was there before.
    pub duplicate: bool,
}

/// One event that was not accepted, while others may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Its attributes are wrong; nothing was kept.
    #[error("the event is not valid: {}", .0.iter().map(|violation| violation.detail.as_str()).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Violation>),
    /// Its source and id were accepted before with other content; an INVALID record was kept.
    #[error("source `{source_uri}` and id `{event_id}` were accepted before with other content")]
    Conflict {
        /// The original's record.
        original: Uuid,
        /// The record that was kept of this one.
        record: Uuid,
        /// The id that was used again.
        event_id: String,
        /// The source that used it.
        source_uri: String,
    },
    /// Its data breaks the schema of its type; an INVALID record was kept.
    #[error("{breach}")]
    Schema {
        /// The record that was kept of it. It holds no key, so that a corrected event may have the same id.
        record: Uuid,
        /// What is wrong.
        breach: Breach,
    },
}

/// Why nothing was accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The event itself.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The ledger's queue is full; nothing was taken.
    #[error("the ledger's queue is full; nothing was taken, send it again later")]
    Full,
    /// The ledger cannot be written at present; nothing was taken.
    #[error("the ledger cannot be written at present; nothing was taken, send it again later")]
    Unavailable,
    /// The ledger's answer is missing; it may have been taken.
    #[error("the ledger did not answer; it may have been taken: send it again with the same id")]
    OutcomeUnknown,
    /// The engine is stopping; nothing was taken.
    #[error("the engine is stopping; nothing was taken, send it again later")]
    Draining,
    /// The database refuses it; nothing was taken.
    #[error("the ledger refused it: {0}")]
    Refused(String),
}

impl From<persist::Error> for SubmitError {
    fn from(error: persist::Error) -> Self {
        match error {
            persist::Error::Full => Self::Full,
            persist::Error::Closed => Self::Draining,
            persist::Error::Lost => Self::OutcomeUnknown,
            persist::Error::Refused(why) => Self::Refused(why),
        }
    }
}

type Results = Vec<Result<Accepted, Rejected>>;

/// The way to the Intake; cheap to clone.
#[derive(Clone)]
pub struct Intake {
    actor: Addr<Taker>,
    pool: Pool,
    schemas: Schemas,
}

impl Intake {
    /// Starts the actor on a thread that lives as long as the engine.
    pub(crate) fn start(pool: Pool, schemas: Schemas, thread: &ArbiterHandle) -> Self {
        let taker = Taker { pool: pool.clone(), schemas: schemas.clone() };
        Self { actor: Actor::start_in_arbiter(thread, |_| taker), pool, schemas }
    }

    /// Accepts events in one commit; each has its own result, in order.
    ///
    /// # Errors
    /// [`SubmitError`] if nothing at all was taken, or nobody knows.
    pub async fn submit(&self, events: Vec<NewEvent>) -> Result<Results, SubmitError> {
        if self.pool.is_draining() {
            return Err(SubmitError::Draining);
        }
        let started = tokio::time::Instant::now();
        // Here and not in the actor: large data takes its time, which is its sender's and nobody else's.
        let events = events.into_iter().map(|event| check(&self.schemas, event)).collect();
        let (interest, wanted) = Interest::new();
        let mut answer = std::pin::pin!(self.actor.send(TakeIn { events, wanted }));
        let answer = match tokio::time::timeout(PATIENCE, &mut answer).await {
            Ok(answer) => answer,
            Err(_) if interest.give_up() => return Err(SubmitError::Unavailable),
            // Its writing has begun: the answer can only be near, or lost.
            Err(_) => match tokio::time::timeout(PATIENCE, &mut answer).await {
                Ok(answer) => answer,
                // What was rolled back meanwhile, and not begun again, can still be given up.
                Err(_) if interest.give_up() => return Err(SubmitError::Unavailable),
                Err(_) => return Err(SubmitError::OutcomeUnknown),
            },
        };
        self.pool.metrics.accept_seconds.observe(started.elapsed().as_secs_f64());
        answer.unwrap_or(Err(SubmitError::OutcomeUnknown))
    }

    /// Accepts one event.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit_one(&self, event: NewEvent) -> Result<Accepted, SubmitError> {
        let mut results = self.submit(vec![event]).await?;
        Ok(results.pop().ok_or(SubmitError::OutcomeUnknown)??)
    }

    /// The way in for the events of handlers.
    pub(crate) fn for_handlers(&self) -> Recipient<Emit> {
        self.actor.clone().recipient()
    }

    /// What the data of new events is checked against.
    pub(crate) fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.actor.connected()
    }
}

/// An event with good attributes, and what is wrong with its data.
type Checked = Result<(NewEvent, Option<Breach>), Rejected>;

fn check(schemas: &Schemas, event: NewEvent) -> Checked {
    let violations = event.violations();
    if !violations.is_empty() {
        return Err(Rejected::Invalid(violations));
    }
    let breach = schemas.check(&event.event_type, &event.payload).err();
    Ok((event, breach))
}

/// Events to be accepted, while somebody wants it.
struct TakeIn {
    events: Vec<Checked>,
    wanted: Wanted,
}

impl Message for TakeIn {
    type Result = Result<Results, SubmitError>;
}

/// The actor.
struct Taker {
    pool: Pool,
    schemas: Schemas,
}

impl Actor for Taker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1_000);
    }
}

impl Handler<TakeIn> for Taker {
    // Not bound to the caller: actix lets it run on when nobody waits for it.
    type Result = ResponseFuture<Result<Results, SubmitError>>;

    fn handle(&mut self, TakeIn { events, wanted }: TakeIn, _: &mut Self::Context) -> Self::Result {
        Box::pin(take_in(self.pool.clone(), events, wanted))
    }
}

impl Handler<Emit> for Taker {
    type Result = ResponseFuture<Result<(), EmitError>>;

    fn handle(&mut self, Emit(event): Emit, _: &mut Self::Context) -> Self::Result {
        let (pool, event) = (self.pool.clone(), check(&self.schemas, event));
        Box::pin(async move {
            // The handler's own timeout bounds the wait; what it does not hear is a duplicate the next time.
            let (_interest, wanted) = Interest::new();
            let refused = |error: &dyn std::fmt::Display| EmitError::Refused(error.to_string());
            let results = take_in(pool, vec![event], wanted).await.map_err(|error| refused(&error))?;
            results.into_iter().try_for_each(|result| result.map(drop).map_err(|error| refused(&error)))
        })
    }
}

/// An event on its way into the ledger.
struct Entering {
    id: Uuid,
    event: Arc<Event<Payload>>,
    lane: Option<Arc<Lane>>,
    /// What is wrong with its data: then it enters as INVALID.
    breach: Option<Breach>,
    entrance: Entrance,
    attempt_id: Option<Uuid>,
    created_at: Timestamp,
}

async fn take_in(pool: Pool, events: Vec<Checked>, wanted: Wanted) -> Result<Results, SubmitError> {
    let mut results: Vec<Option<Result<Accepted, Rejected>>> = Vec::with_capacity(events.len());
    let (mut records, mut entering) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Ok((event, breach)) => {
                let (record, event) = prepare(&pool, event, breach);
                records.push(record);
                entering.push(event);
                results.push(None);
            }
            Err(rejected) => results.push(Some(Err(rejected))),
        }
    }
    let taken = if records.is_empty() { Ok(Vec::new()) } else { pool.persist.accept(records, wanted).await };
    let lanes: Vec<Arc<Lane>> = entering.iter().filter_map(|event| event.lane.clone()).collect();
    let answers = taken.map(|taken| {
        let events = taken.into_iter().zip(entering);
        events.map(|(taken, event)| admit(&pool, taken, event)).collect::<Vec<_>>()
    });
    // Whatever was not needed is given back by now, also when nothing was taken.
    let mut refilled: Option<&Arc<Lane>> = None;
    for lane in &lanes {
        if refilled.is_none_or(|last| !Arc::ptr_eq(last, lane)) {
            pool.refill(lane);
            refilled = Some(lane);
        }
    }
    let mut answers = answers?.into_iter();
    Ok(results.into_iter().filter_map(|result| result.or_else(|| answers.next())).collect())
}

fn prepare(pool: &Pool, event: NewEvent, breach: Option<Breach>) -> (NewRecord, Entering) {
    let id = pool.clock.new_id();
    let created_at = pool.clock.now();
    let deliver_at = event.deliver_at.map(Timestamp::from);
    let event = Arc::new(Event {
        id: event.id.unwrap_or_else(|| id.to_string()),
        source: event.source.unwrap_or_else(|| DEFAULT_SOURCE.to_owned()),
        event_type: event.event_type,
        subject: event.subject,
        time: event.time,
        extensions: event.extensions,
        data: event.payload,
    });
    let lane = pool.resolve(&event.event_type).and_then(|name| pool.lane(name));
    let (entry, entrance) = match &breach {
        Some(breach) => (Entry::Invalid(breach.to_string()), Entrance::nowhere()),
        None => pool.admit(lane.as_ref(), deliver_at),
    };
    let attempt_id = if let Entry::Claimed(attempt_id) = entry { Some(attempt_id) } else { None };
    let record = NewRecord {
        id,
        event: Arc::clone(&event),
        checksum: checksum(&event.event_type, &event.data),
        origin: Origin::embedded(),
        handler: lane.as_ref().map(|lane| Arc::clone(&lane.name)),
        created_at,
        entry,
    };
    (record, Entering { id, event, lane, breach, entrance, attempt_id, created_at })
}

/// The ledger has taken a decision about an event: carry on from there.
fn admit(pool: &Pool, taken: Taken, entering: Entering) -> Result<Accepted, Rejected> {
    let Entering { id, event, lane, breach, entrance, attempt_id, created_at } = entering;
    let accepted = |id, status, duplicate| Accepted {
        id,
        event_id: event.id.clone(),
        source: event.source.clone(),
        event_type: event.event_type.clone(),
        status,
        duplicate,
    };
    let count = |status: Status| pool.metrics.events.with_label_values(&[status.as_str()]).inc();
    match taken {
        Taken::New(status) => {
            count(status);
            if let Some(breach) = breach {
                alert::invalid(&pool.metrics, id, &event.event_type, Some(&breach.to_string()));
                return Err(Rejected::Schema { record: id, breach });
            }
            let accepted = accepted(id, status, false);
            if let Some(lane) = &lane {
                let claim = first_claim(id, Arc::clone(&event), lane, attempt_id, created_at);
                pool.enter(entrance, claim, lane);
            }
            Ok(accepted)
        }
        Taken::Duplicate { of, status } => {
            count(Status::Duplicate);
            Ok(accepted(of, status, true))
        }
        Taken::Conflict { of } => {
            count(Status::Invalid);
            let error = format!("its source and id were accepted before with other content, as {of}");
            alert::invalid(&pool.metrics, id, &event.event_type, Some(&error));
            Err(Rejected::Conflict {
                original: of,
                record: id,
                event_id: event.id.clone(),
                source_uri: event.source.clone(),
            })
        }
    }
}

fn first_claim(
    id: Uuid,
    event: Arc<Event<Payload>>,
    lane: &Lane,
    attempt_id: Option<Uuid>,
    created_at: Timestamp,
) -> Claim {
    Claim {
        record_id: id,
        // One that waits in memory gets the id of its claim when it is claimed.
        attempt_id: attempt_id.unwrap_or_default(),
        attempt_number: 1,
        handler: Arc::clone(&lane.name),
        event,
        origin: Origin::embedded(),
        retry_count: 0,
        crash_count: 0,
        round: 1,
        created_at,
        claimed_at: created_at,
        from: Status::Pending,
    }
}
