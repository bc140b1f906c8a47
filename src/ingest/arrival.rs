//! An event on its way into the ledger, whatever bus it came over: prepared, written, and sent on from there.
//!
//! Nothing is decided here about whom to tell; who sent it in does that.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::schema::Breach;
use crate::clock::Timestamp;
use crate::event::{DEFAULT_SOURCE, Event, NewEvent, Payload, checksum};
use crate::lifecycle::Status;
use crate::persist::{self, Claim, Entry, NewRecord, Origin, Remade, Taken, Wanted};
use crate::process::{Destination, Entrance, Lane, Pool};

/// An event that has arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// The id that its record gets.
    pub id: Uuid,
    /// The event.
    pub event: NewEvent,
    /// What is wrong with it, if anything is: then it enters as INVALID.
    pub flaw: Option<Flaw>,
    /// Where it came from.
    pub origin: Origin,
    /// Whether a broker says that it has delivered it before.
    pub redelivered: bool,
    /// Who makes it from another record, if somebody does.
    pub remade: Option<Box<Remade>>,
}

/// What is wrong with an event that is kept all the same.
#[derive(Clone, Debug)]
pub(super) enum Flaw {
    /// Its data breaks the schema of its type.
    Schema(Breach),
    /// It is no event; this is why.
    Unreadable(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(breach) => breach.fmt(f),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

/// What became of an event that arrived.
#[derive(Clone, Debug)]
pub(super) struct Entered {
    /// The id that its record was to get.
    pub id: Uuid,
    /// The event, with an id and a source.
    pub event: Arc<Event<Payload>>,
    /// What the ledger decided.
    pub outcome: Outcome,
}

/// See [`Entered`].
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It has a record of its own, which stands there.
    New(Status),
    /// It was there before: the original, and where that stands.
    Duplicate { of: Uuid, status: Status },
    /// It is the message of a record that is there.
    Redelivered,
    /// Its source and id were there with other content.
    Conflict { of: Uuid },
    /// It has a record, as INVALID.
    Flawed(Flaw),
}

/// Between the preparation and the ledger's decision.
struct Entering {
    id: Uuid,
    event: Arc<Event<Payload>>,
    origin: Origin,
    lane: Option<Arc<Lane>>,
    flaw: Option<Flaw>,
    entrance: Entrance,
    attempt_id: Option<Uuid>,
    created_at: Timestamp,
}

/// Takes them in, in one commit.
pub(super) async fn take_in(
    pool: &Pool,
    arrivals: Vec<Arrival>,
    wanted: Wanted,
) -> Result<Vec<Entered>, persist::Error> {
    if arrivals.is_empty() {
        return Ok(Vec::new());
    }
    look_elsewhere(pool, &arrivals).await;
    let (records, entering): (Vec<_>, Vec<_>) = arrivals.into_iter().map(|arrival| prepare(pool, arrival)).unzip();
    let taken = pool.persist.accept(records, wanted).await;
    let lanes: Vec<Arc<Lane>> = entering.iter().filter_map(|event| event.lane.clone()).collect();
    let entered = taken.map(|taken| {
        let events = taken.into_iter().zip(entering);
        events.map(|(taken, event)| admit(pool, taken, event)).collect()
    });
    // Whatever was not needed is given back by now, also when nothing was taken.
    let mut refilled: Option<&Arc<Lane>> = None;
    for lane in &lanes {
        if refilled.is_none_or(|last| !Arc::ptr_eq(last, lane)) {
            pool.refill(lane);
            refilled = Some(lane);
        }
    }
    entered
}

/// Before an event is without a handler: a node that has one may have started a moment ago.
async fn look_elsewhere(pool: &Pool, arrivals: &[Arrival]) {
    let is_nowhere = |arrival: &Arrival| matches!(pool.destination(&arrival.event.event_type), Destination::Nowhere);
    if arrivals.iter().filter(|arrival| arrival.flaw.is_none()).any(is_nowhere)
        && let Err(error) = pool.look_elsewhere().await
    {
        tracing::warn!(%error, "cannot ask which handlers other nodes have");
    }
}

fn prepare(pool: &Pool, arrival: Arrival) -> (NewRecord, Entering) {
    let Arrival { id, event, flaw, origin, redelivered, remade } = arrival;
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
    let destination = match &flaw {
        // Its type is none that anybody has given it.
        Some(Flaw::Unreadable(_)) => Destination::Nowhere,
        _ => pool.destination(&event.event_type),
    };
    let (entry, entrance) = match &flaw {
        Some(flaw) => (Entry::Invalid(flaw.to_string()), Entrance::nowhere()),
        None => pool.admit(&destination, deliver_at),
    };
    let attempt_id = if let Entry::Claimed(attempt_id) = entry { Some(attempt_id) } else { None };
    let record = NewRecord {
        id,
        event: Arc::clone(&event),
        checksum: checksum(&event.event_type, &event.data),
        origin: origin.clone(),
        handler: destination.handler().cloned(),
        redelivered,
        created_at,
        entry,
        remade,
    };
    let lane = if let Destination::Here(lane) = destination { Some(lane) } else { None };
    (record, Entering { id, event, origin, lane, flaw, entrance, attempt_id, created_at })
}

/// The ledger has taken a decision about an event: carry on from there.
fn admit(pool: &Pool, taken: Taken, entering: Entering) -> Entered {
    let Entering { id, event, origin, lane, flaw, entrance, attempt_id, created_at } = entering;
    let handler = lane.as_ref().map(|lane| Arc::clone(&lane.name));
    let count = |status: Status| {
        pool.metrics.events.with_label_values(&[status.as_str()]).inc();
        let handler = handler.as_deref().unwrap_or_default();
        pool.metrics.pulse.accepted(handler);
        if let Some(end) = status.final_status() {
            pool.metrics.pulse.finished(handler, end.is_failure(), None);
        }
    };
    let outcome = match taken {
        Taken::New(status) => {
            count(status);
            match (flaw, &lane) {
                (Some(flaw), _) => {
                    pool.alerts.invalid(id, &event.event_type, Some(&flaw.to_string()));
                    Outcome::Flawed(flaw)
                }
                (None, Some(lane)) => {
                    let claim = first_claim(id, Arc::clone(&event), origin, lane, attempt_id, created_at);
                    pool.enter(entrance, claim, lane);
                    Outcome::New(status)
                }
                (None, None) => Outcome::New(status),
            }
        }
        // What is kept here for its way is given back: it is on its way elsewhere.
        Taken::MovedOn(status) => Outcome::New(status),
        Taken::Duplicate { of, status } => {
            count(Status::Duplicate);
            Outcome::Duplicate { of, status }
        }
        Taken::Redelivered => Outcome::Redelivered,
        Taken::Conflict { of } => {
            count(Status::Invalid);
            let error = format!("its source and id were accepted before with other content, as {of}");
            pool.alerts.invalid(id, &event.event_type, Some(&error));
            Outcome::Conflict { of }
        }
    };
    Entered { id, event, outcome }
}

fn first_claim(
    id: Uuid,
    event: Arc<Event<Payload>>,
    origin: Origin,
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
        origin,
        retry_count: 0,
        crash_count: 0,
        round: 1,
        created_at,
        claimed_at: created_at,
        from: Status::Pending,
    }
}
