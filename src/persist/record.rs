//! The records of the ledger as the rest of the engine sees them.

use std::sync::Arc;

use chrono::DateTime;
use evenkeel_entity::{event_attempt, event_record};
use sea_orm::DbErr;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::column::{unsigned, word};
use crate::clock::Timestamp;
use crate::event::{Event, Extensions, Payload};
use crate::lifecycle::{AttemptStatus, FinalStatus, Status};

/// Where an event came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Origin {
    /// `embedded`, or a broker's kind.
    pub bus: String,
    /// Topic or queue.
    #[schema(required)]
    pub topic: Option<String>,
    /// Partition of the topic.
    #[schema(required)]
    pub partition: Option<i32>,
    /// Offset in the partition.
    #[schema(required)]
    pub offset: Option<i64>,
}

impl Origin {
    /// Topic, partition and offset, if it has a position: then it is the same message wherever they are the same.
    pub(super) fn position(&self) -> Option<(&str, i32, i64)> {
        Some((self.topic.as_deref()?, self.partition?, self.offset?))
    }

    /// From REST or the library, without a broker between.
    #[must_use]
    pub fn embedded() -> Self {
        Self { bus: "embedded".to_owned(), topic: None, partition: None, offset: None }
    }
}

/// An event that is to be accepted.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// The id of its record, a uuid v7 of now.
    pub id: Uuid,
    /// The event.
    pub event: Arc<Event<Payload>>,
    /// See [`checksum`](crate::event::checksum).
    pub checksum: [u8; 32],
    /// Where it came from.
    pub origin: Origin,
    /// The handler that its type resolves to.
    pub handler: Option<Arc<str>>,
    /// Whether a broker says that it has delivered it before. If its key is held with the same content, it is the same
    /// message and gets no row. One with a position is known again by that alone, and this says nothing.
    pub redelivered: bool,
    /// When it was taken in.
    pub created_at: Timestamp,
    /// How it enters the ledger.
    pub entry: Entry,
    /// Who makes it from another record, if somebody does: that is written down in its commit.
    pub remade: Option<Box<Remade>>,
}

/// An operator's resubmission of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remade {
    /// The id of its line in the audit log, a uuid v7 of now.
    pub id: Uuid,
    /// The record that the new one is made from.
    pub original: Uuid,
    /// Who asks, as far as is known.
    pub actor: String,
    /// Why, if they say.
    pub reason: Option<String>,
}

/// How an event enters the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A permit of its lane is free: its first attempt starts with its acceptance, under this id.
    Claimed(Uuid),
    /// It waits for a permit.
    Waiting,
    /// It is not to be handled before this moment.
    Scheduled(Timestamp),
    /// Nobody handles its type.
    NoHandler,
    /// It is wrong, and this is why.
    Invalid(String),
}

impl Entry {
    /// The status of a record that enters like this.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Claimed(_) => Status::Processing,
            Self::Waiting => Status::Pending,
            Self::Scheduled(_) => Status::Scheduled,
            Self::NoHandler => Status::NoHandler,
            Self::Invalid(_) => Status::Invalid,
        }
    }

    /// Whether a record that entered like this still stands as it did.
    pub(super) fn stands(&self, status: Status, claim: Option<Uuid>) -> bool {
        let claimed = if let Self::Claimed(attempt_id) = self { Some(*attempt_id) } else { None };
        status == self.status() && claim == claimed
    }
}

/// What became of an event that was to be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the ledger.
    New(Status),
    /// It has been in the ledger since an earlier try whose answer was lost, and another node has taken it on since.
    MovedOn(Status),
    /// Its source and id were there with the same content: a DUPLICATE row points at the original.
    Duplicate {
        /// The original's record.
        of: Uuid,
        /// Where the original stands.
        status: Status,
    },
    /// It is the message of a record that is there: a broker has delivered it again. Nothing was written.
    Redelivered,
    /// Its source and id were there with other content: an INVALID row points at the original.
    Conflict {
        /// The original's record.
        of: Uuid,
    },
}

/// An event in hand: everything that its attempt needs.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its record.
    pub record_id: Uuid,
    /// The fencing token.
    pub attempt_id: Uuid,
    /// Counted from 1.
    pub attempt_number: u32,
    /// Whose lane.
    pub handler: Arc<str>,
    /// The event.
    pub event: Arc<Event<Payload>>,
    /// Where it came from.
    pub origin: Origin,
    /// Retries used in this round.
    pub retry_count: u32,
    /// Deaths of a process with it in hand.
    pub crash_count: u32,
    /// Counted from 1.
    pub round: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When the claim was made.
    pub claimed_at: Timestamp,
    /// Where it stood before.
    pub from: Status,
}

/// From this many deaths of a process on, an event runs alone among its like.
pub const SUSPECT: u32 = 2;

impl Claim {
    /// Whether the event may be what killed a process.
    #[must_use]
    pub const fn is_suspect(&self) -> bool {
        self.crash_count >= SUSPECT
    }

    pub(super) fn from_model(row: event_record::Model, attempt_id: Uuid, now: Timestamp) -> Result<Self, DbErr> {
        let handler = row.handler_name.as_deref().unwrap_or_default().into();
        let (record_id, retry_count) = (row.id, unsigned(row.retry_count));
        let (crash_count, round, number) =
            (unsigned(row.crash_count), unsigned(row.round), unsigned(row.attempt_count) + 1);
        let (created_at, from) = (Timestamp(row.created_at), word(&row.status)?);
        let (origin, event) = split(row)?;
        let event = Arc::new(event);
        Ok(Self {
            record_id,
            attempt_id,
            attempt_number: number,
            handler,
            event,
            origin,
            retry_count,
            crash_count,
            round,
            created_at,
            claimed_at: now,
            from,
        })
    }
}

/// A record as the API shows it, without data and attempts.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Record {
    /// The record's own id.
    pub id: Uuid,
    /// The event's id, unique within its source.
    pub event_id: String,
    /// Who sent it.
    pub source: String,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// What it is about, within the source.
    #[schema(required)]
    pub subject: Option<String>,
    /// When it happened, as the sender says it.
    #[schema(required)]
    pub time: Option<String>,
    /// What its data is; nothing means JSON.
    #[schema(required)]
    pub datacontenttype: Option<String>,
    /// The other attributes, by name.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub extensions: Extensions,
    /// Where it stands.
    pub status: Status,
    /// How it ended, if it has.
    #[schema(required)]
    pub final_status: Option<FinalStatus>,
    /// The handler of its type, if there is one.
    #[schema(required)]
    pub handler_name: Option<String>,
    /// The retries that were used in this round.
    pub retry_count: u32,
    /// The attempts of all rounds.
    pub attempt_count: u32,
    /// How often a process died with it in hand.
    pub crash_count: u32,
    /// Counted from 1; a redrive begins the next.
    pub round: u32,
    /// What went wrong last.
    #[schema(required)]
    pub error: Option<String>,
    /// When the next attempt is due.
    #[schema(required)]
    pub next_attempt_at: Option<Timestamp>,
    /// The record that has its source and id, if it is not this one.
    #[schema(required)]
    pub duplicate_of: Option<Uuid>,
    /// The node that has it in hand.
    #[schema(required)]
    pub node: Option<Uuid>,
    /// Where it came from.
    pub origin: Origin,
    /// When it was taken in.
    pub created_at: Timestamp,
    /// When anything about it changed last.
    pub updated_at: Timestamp,
    /// When it reached its final status.
    #[schema(required)]
    pub completed_at: Option<Timestamp>,
    /// The group of its death, for as long as it is a dead letter or has no handler.
    #[schema(required)]
    pub group: Option<String>,
    #[serde(skip)]
    pub(crate) claim: Option<(Uuid, Timestamp)>,
}

impl Record {
    /// The event of this record, over its data.
    #[must_use]
    pub fn event(&self, data: Payload) -> Event<Payload> {
        Event {
            id: self.event_id.clone(),
            source: self.source.clone(),
            event_type: self.event_type.clone(),
            subject: self.subject.clone(),
            // Only what parsed was ever written.
            time: self.time.as_deref().and_then(|time| DateTime::parse_from_rfc3339(time).ok()),
            extensions: self.extensions.clone(),
            data,
        }
    }

    /// The record in a row, and its data.
    pub(super) fn from_model(mut row: event_record::Model) -> Result<(Self, Payload), DbErr> {
        let bytes = row.data.take().map(Into::into);
        let payload = Payload { content_type: row.content_type.clone(), bytes };
        let record = Self {
            id: row.id,
            event_id: row.event_id,
            source: row.source,
            event_type: row.event_type,
            subject: row.subject,
            time: row.time,
            datacontenttype: row.content_type,
            extensions: extensions(row.extensions.as_deref())?,
            status: word(&row.status)?,
            final_status: row.final_status.as_deref().map(word).transpose()?,
            handler_name: row.handler_name,
            retry_count: unsigned(row.retry_count),
            attempt_count: unsigned(row.attempt_count),
            crash_count: unsigned(row.crash_count),
            round: unsigned(row.round),
            error: row.error,
            next_attempt_at: row.next_attempt_at.map(Timestamp),
            duplicate_of: row.duplicate_of,
            node: row.owner,
            origin: Origin { bus: row.bus, topic: row.topic, partition: row.partition, offset: row.position },
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            completed_at: row.completed_at.map(Timestamp),
            group: row.fingerprint,
            claim: row.attempt_id.zip(row.claimed_at.map(Timestamp)),
        };
        Ok((record, payload))
    }
}

/// An attempt as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptRecord {
    /// Counted from 1, through all rounds.
    pub attempt_number: u32,
    /// The id that its handler was given.
    pub attempt_id: Uuid,
    /// How it stands or ended.
    pub status: AttemptStatus,
    /// Whose attempt it is.
    pub handler_name: String,
    /// The node that made it.
    pub node: Uuid,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    #[schema(required)]
    pub completed_at: Option<Timestamp>,
    /// How long it took.
    #[schema(required)]
    pub processing_time_ms: Option<i64>,
    /// Why it failed, if it has.
    #[schema(required)]
    pub error_message: Option<String>,
}

impl AttemptRecord {
    pub(super) fn from_model(row: event_attempt::Model) -> Result<Self, DbErr> {
        Ok(Self {
            attempt_number: unsigned(row.attempt_number),
            attempt_id: row.attempt_id,
            status: word(&row.status)?,
            handler_name: row.handler_name,
            node: row.node,
            started_at: Timestamp(row.started_at),
            completed_at: Some(Timestamp(row.completed_at)),
            processing_time_ms: Some(row.processing_time),
            error_message: row.error_message,
        })
    }

    /// A claim is the running attempt: it has no row of its own until it ends.
    pub(super) fn running(record: &Record) -> Option<Self> {
        let (attempt_id, started_at) = record.claim?;
        Some(Self {
            attempt_number: record.attempt_count,
            attempt_id,
            status: AttemptStatus::Running,
            handler_name: record.handler_name.clone().unwrap_or_default(),
            node: record.node?,
            started_at,
            completed_at: None,
            processing_time_ms: None,
            error_message: None,
        })
    }
}

fn extensions(text: Option<&str>) -> Result<Extensions, DbErr> {
    text.map_or_else(
        || Ok(Extensions::new()),
        |text| serde_json::from_str(text).map_err(|error| DbErr::Json(error.to_string())),
    )
}

pub(super) fn split(row: event_record::Model) -> Result<(Origin, Event<Payload>), DbErr> {
    let origin = Origin { bus: row.bus, topic: row.topic, partition: row.partition, offset: row.position };
    let event = Event {
        id: row.event_id,
        source: row.source,
        event_type: row.event_type,
        subject: row.subject,
        // Only what parsed was ever written.
        time: row.time.as_deref().and_then(|time| DateTime::parse_from_rfc3339(time).ok()),
        extensions: extensions(row.extensions.as_deref())?,
        data: Payload { content_type: row.content_type, bytes: row.data.map(Into::into) },
    };
    Ok((origin, event))
}
