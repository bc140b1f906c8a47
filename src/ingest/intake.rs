//! The Intake: the way in for events from HTTP, the library and handlers. Over a broker they are published first.
//!
//! Its actor runs on when its caller goes: an event whose row is committed goes on to its handler, heard or not.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::arrival::{self, Arrival, Entered, Flaw, Outcome};
use super::schema::{Breach, Schemas};
use crate::bus::{Broker, Message as Published, PublishError};
use crate::event::{DEFAULT_SOURCE, NewEvent, Violation};
use crate::handle::{Emit, EmitError};
use crate::lifecycle::Status;
use crate::persist::{self, Interest, Origin, Remade, Wanted};
use crate::process::Pool;

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
    /// The broker cannot be reached, or does not take it; nothing was taken.
    #[error("{0}; nothing was taken, send it again later")]
    BusUnavailable(String),
    /// The broker's confirmation is missing; it may have been taken.
    #[error("{0}; it may have been taken: send it again with the same id")]
    Unconfirmed(String),
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

impl From<PublishError> for SubmitError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Unknown(_) => Self::Unconfirmed(error.to_string()),
            PublishError::Away(_) | PublishError::Refused(_) | PublishError::TooLarge(_) => {
                Self::BusUnavailable(error.to_string())
            }
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
    broker: Option<Arc<Broker>>,
}

impl Intake {
    /// Starts the actor on a thread that lives as long as the engine. With a broker, events go there first.
    pub(crate) fn start(pool: Pool, schemas: Schemas, broker: Option<Arc<Broker>>, thread: &ArbiterHandle) -> Self {
        let taker = Taker { pool: pool.clone(), schemas: schemas.clone() };
        Self { actor: Actor::start_in_arbiter(thread, |_| taker), pool, schemas, broker }
    }

    /// Accepts events, in one commit or with the confirmation of the broker; each has its own result, in order.
    ///
    /// # Errors
    /// [`SubmitError`] if nothing at all was taken, or nobody knows.
    pub async fn submit(&self, events: Vec<NewEvent>) -> Result<Results, SubmitError> {
        self.submit_as(events, None).await
    }

    async fn submit_as(&self, events: Vec<NewEvent>, remade: Option<Box<Remade>>) -> Result<Results, SubmitError> {
        if self.pool.is_draining() {
            return Err(SubmitError::Draining);
        }
        let started = tokio::time::Instant::now();
        // Here and not in the actor: large data takes its time, which is its sender's and nobody else's.
        let events = events.into_iter().map(|event| check(&self.schemas, event)).collect();
        let results = match &self.broker {
            Some(broker) => self.publish(broker, events).await,
            None => self.enter(events, remade).await,
        };
        self.pool.metrics.accept_seconds.observe(started.elapsed().as_secs_f64());
        results
    }

    /// Hands good events to the broker. What breaks its schema is kept here, as on every bus.
    async fn publish(&self, broker: &Broker, events: Vec<Checked>) -> Result<Results, SubmitError> {
        let (mut results, mut flawed, mut messages) = (Vec::with_capacity(events.len()), Vec::new(), Vec::new());
        for event in events {
            match event {
                Ok((mut event, None)) => {
                    let id = self.pool.clock.new_id();
                    let event_id = event.id.get_or_insert_with(|| id.to_string()).clone();
                    let source = event.source.get_or_insert_with(|| DEFAULT_SOURCE.to_owned()).clone();
                    messages.push(Published::event(&event, id));
                    let (event_type, status) = (event.event_type, Status::Pending);
                    results.push(Some(Ok(Accepted { id, event_id, source, event_type, status, duplicate: false })));
                }
                Ok(event) => {
                    flawed.push(Ok(event));
                    results.push(None);
                }
                Err(rejected) => results.push(Some(Err(rejected))),
            }
        }
        let kept = if flawed.is_empty() { Vec::new() } else { self.enter(flawed, None).await? };
        if !messages.is_empty() {
            let count = messages.len() as u64;
            let published = broker.events.publish(messages).await;
            self.pool.metrics.published("events", &published, count);
            published?;
        }
        let mut kept = kept.into_iter();
        Ok(results.into_iter().filter_map(|result| result.or_else(|| kept.next())).collect())
    }

    /// Takes events into the ledger.
    async fn enter(&self, events: Vec<Checked>, remade: Option<Box<Remade>>) -> Result<Results, SubmitError> {
        let (interest, wanted) = Interest::new();
        let mut answer = std::pin::pin!(self.actor.send(TakeIn { events, remade, wanted }));
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

    /// Accepts an event that an operator makes from a record. Without a broker that is written down in its own commit:
    /// the answer says whether it is. What a broker carries is written down by whoever asked.
    pub(crate) async fn resubmit(&self, event: NewEvent, remade: Remade) -> Result<(Accepted, bool), SubmitError> {
        let mut results = self.submit_as(vec![event], Some(Box::new(remade))).await?;
        let accepted = results.pop().ok_or(SubmitError::OutcomeUnknown)??;
        Ok((accepted, self.broker.is_none()))
    }

    /// The way in for the events of handlers.
    pub(crate) fn for_handlers(&self) -> Recipient<Emit> {
        self.actor.clone().recipient()
    }

    /// What the data of new events is checked against.
    pub(crate) fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// The broker that events go to first, if there is one.
    pub(crate) fn broker(&self) -> Option<&Broker> {
        self.broker.as_deref()
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
    /// Who makes them from another record, if somebody does.
    remade: Option<Box<Remade>>,
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

    fn handle(&mut self, TakeIn { events, remade, wanted }: TakeIn, _: &mut Self::Context) -> Self::Result {
        Box::pin(take_in(self.pool.clone(), events, remade, wanted))
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
            let results = take_in(pool, vec![event], None, wanted).await.map_err(|error| refused(&error))?;
            results.into_iter().try_for_each(|result| result.map(drop).map_err(|error| refused(&error)))
        })
    }
}

async fn take_in(
    pool: Pool,
    events: Vec<Checked>,
    remade: Option<Box<Remade>>,
    wanted: Wanted,
) -> Result<Results, SubmitError> {
    let mut results: Vec<Option<Result<Accepted, Rejected>>> = Vec::with_capacity(events.len());
    let mut arrivals = Vec::with_capacity(events.len());
    for event in events {
        match event {
            Ok((event, breach)) => {
                let (id, flaw) = (pool.clock.new_id(), breach.map(Flaw::Schema));
                let (origin, remade) = (Origin::embedded(), remade.clone());
                arrivals.push(Arrival { id, event, flaw, origin, redelivered: false, remade });
                results.push(None);
            }
            Err(rejected) => results.push(Some(Err(rejected))),
        }
    }
    let mut answers = arrival::take_in(&pool, arrivals, wanted).await?.into_iter().map(answer);
    Ok(results.into_iter().filter_map(|result| result.or_else(|| answers.next())).collect())
}

/// What its sender hears.
fn answer(Entered { id, event, outcome }: Entered) -> Result<Accepted, Rejected> {
    let accepted = |id, status, duplicate| Accepted {
        id,
        event_id: event.id.clone(),
        source: event.source.clone(),
        event_type: event.event_type.clone(),
        status,
        duplicate,
    };
    match outcome {
        Outcome::New(status) => Ok(accepted(id, status, false)),
        Outcome::Duplicate { of, status } => Ok(accepted(of, status, true)),
        // Only a broker delivers again, and a broker hears nothing of this.
        Outcome::Redelivered => Ok(accepted(id, Status::Duplicate, true)),
        Outcome::Conflict { of } => Err(Rejected::Conflict {
            original: of,
            record: id,
            event_id: event.id.clone(),
            source_uri: event.source.clone(),
        }),
        Outcome::Flawed(Flaw::Schema(breach)) => Err(Rejected::Schema { record: id, breach }),
        Outcome::Flawed(Flaw::Unreadable(why)) => {
            Err(Rejected::Invalid(vec![Violation::new("data", "bad_value", why)]))
        }
    }
}
