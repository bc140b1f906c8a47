//! Resubmissions: a new event that an operator makes from a record, whatever became of it. The record stays as it is,
//! with its history; the new event names it.

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use serde_json::Value;
use uuid::Uuid;

use super::{Error, Operator, discard};
use crate::event::{Event, NewEvent, Payload, to_structured};
use crate::ingest::decode::{DecodeError, decode_structured};
use crate::ingest::{Accepted, Intake};
use crate::lifecycle::Verb;
use crate::persist::{Action, Record, Remade};
use crate::process::Pool;

/// The extension that names the record an event was made from.
pub(crate) const ORIGIN: &str = "evenkeelorigin";

/// The extension by which a broker carries the id of a record: it belongs to the original.
const RECORD: &str = "evenkeelid";

/// What is changed of an event; what is not said stays as it was, but for the id, which is a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Unique within the source; one is made if there is none.
    pub id: Option<String>,
    /// Who sends it.
    pub source: Option<String>,
    /// What happened.
    pub event_type: Option<String>,
    /// What it is about; or nothing.
    pub subject: Option<Option<String>>,
    /// What the data is; or nothing, which means JSON.
    pub content_type: Option<Option<String>>,
    /// The data; or none.
    pub data: Option<Option<Bytes>>,
    /// Not before this moment.
    pub deliver_at: Option<DateTime<FixedOffset>>,
}

/// What became of a resubmission.
#[derive(Debug)]
pub(crate) struct Resubmitted {
    /// The new event.
    pub accepted: Accepted,
    /// Whether the original was discarded.
    pub discarded: bool,
}

impl Edit {
    /// The new event, made from this record and its data.
    ///
    /// # Errors
    /// The decoder's: it keeps to the same rules as every event that comes in.
    pub(crate) fn of(self, original: &Record, data: Payload, new_id: Uuid) -> Result<NewEvent, DecodeError> {
        let mut event: Event<Payload> = original.event(data);
        event.id = self.id.unwrap_or_else(|| new_id.to_string());
        event.source = self.source.unwrap_or(event.source);
        event.event_type = self.event_type.unwrap_or(event.event_type);
        event.subject = self.subject.unwrap_or(event.subject);
        event.data.content_type = self.content_type.unwrap_or(event.data.content_type);
        event.data.bytes = self.data.unwrap_or(event.data.bytes);
        event.extensions.remove(RECORD);
        event.extensions.insert(ORIGIN.to_owned(), Value::from(original.id.to_string()));
        let event = decode_structured(to_structured(&event).into())?;
        Ok(NewEvent { deliver_at: self.deliver_at, ..event })
    }
}

/// Submits a new event that is made from this record, and lays the record to rest if that is asked for.
///
/// # Errors
/// [`Error`], when nothing was submitted.
pub(crate) async fn resubmit(
    intake: &Intake,
    pool: &Pool,
    original: Uuid,
    edit: Edit,
    discards: bool,
    operator: &Operator,
) -> Result<Resubmitted, Error> {
    let whole = pool.persist.reads().whole(original).await?.ok_or(Error::Missing(original))?;
    let (record, mut data) = (whole.record, whole.payload);
    if discards && !Verb::Discard.from().contains(&record.status) {
        return Err(Error::Standing { id: original, status: record.status, what: "discarded" });
    }
    // A duplicate's data is its original's.
    if let (Some(held), None) = (record.duplicate_of, &data.bytes)
        && let Some(holder) = pool.persist.reads().whole(held).await?
    {
        data.bytes = holder.payload.bytes;
    }
    let event = edit.of(&record, data, pool.clock.new_id())?;
    let (actor, reason) = (operator.name.clone(), operator.reason.clone());
    let (accepted, is_noted) =
        intake.resubmit(event, Remade { id: pool.clock.new_id(), original, actor, reason }).await?;
    if accepted.duplicate {
        return Ok(Resubmitted { accepted, discarded: false });
    }
    let action = Action::Resubmit { original, record: accepted.id };
    // The broker has it by now and it names its original: what goes wrong here does not take that back.
    if !is_noted && let Err(error) = pool.operate(action, &operator.name, operator.reason.clone()).await {
        tracing::warn!(record_id = %accepted.id, %original, %error, "a resubmission is missing in the audit log");
    }
    let discarded = discards && discard(pool, original, operator).await.is_ok();
    Ok(Resubmitted { accepted, discarded })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::lifecycle::{FinalStatus, Status};
    use crate::persist::Origin;

    fn record() -> Record {
        let now = Timestamp(1_767_600_140_000_000);
        Record {
            id: Uuid::from_u128(7),
            event_id: "1".to_owned(),
            source: "/shop".to_owned(),
            event_type: "order.paid".to_owned(),
            subject: Some("order-7".to_owned()),
            time: Some("2026-01-05T08:02:20Z".to_owned()),
            datacontenttype: None,
            extensions: [(RECORD.to_owned(), "x".into()), ("partitionkey".to_owned(), "k".into())].into(),
            status: Status::Invalid,
            final_status: Some(FinalStatus::Failed),
            handler_name: None,
            retry_count: 0,
            attempt_count: 0,
            crash_count: 0,
            round: 1,
            error: None,
            next_attempt_at: None,
            duplicate_of: None,
            node: None,
            origin: Origin::embedded(),
            created_at: now,
            updated_at: now,
            completed_at: Some(now),
            group: None,
            claim: None,
        }
    }

    #[test]
    fn what_is_not_edited_stays_and_the_id_is_new() {
        let (original, id) = (record(), Clock::default().new_id());
        let event = Edit::default().of(&original, Payload::json("{\"n\": 123456789012345678901}"), id).unwrap();
        assert_eq!((event.id, event.source.as_deref()), (Some(id.to_string()), Some("/shop")));
        assert_eq!((event.event_type.as_str(), event.subject.as_deref()), ("order.paid", Some("order-7")));
        assert_eq!(event.payload, Payload::json("{\"n\": 123456789012345678901}"));
        let extensions: Vec<_> = event.extensions.keys().map(String::as_str).collect();
        assert_eq!(
            (extensions, &event.extensions[ORIGIN]),
            (vec![ORIGIN, "partitionkey"], &original.id.to_string().into())
        );
    }

    #[test]
    fn what_is_edited_replaces_what_was_there() {
        let edit = Edit {
            id: Some("2".to_owned()),
            source: Some("/desk".to_owned()),
            event_type: Some("order.note".to_owned()),
            subject: Some(None),
            content_type: Some(Some("text/plain".to_owned())),
            data: Some(Some("paid by hand".into())),
            deliver_at: Some("2026-01-06T00:00:00Z".parse().unwrap()),
        };
        let event = edit.clone().of(&record(), Payload::json("1"), Uuid::nil()).unwrap();
        assert_eq!((event.id, event.source), (edit.id, edit.source));
        assert_eq!((event.event_type.as_str(), event.subject), ("order.note", None));
        let text = Payload { content_type: Some("text/plain".to_owned()), bytes: Some("paid by hand".into()) };
        assert_eq!((event.payload, event.deliver_at), (text, edit.deliver_at));
    }

    #[test]
    fn an_edit_keeps_to_the_rules_of_every_event() {
        let nested = Edit { data: Some(Some(["[".repeat(101), "]".repeat(101)].concat().into())), ..Edit::default() };
        assert_eq!(nested.of(&record(), Payload::default(), Uuid::nil()).unwrap_err().code, "too_deep");
        let empty = Edit { event_type: Some(String::new()), ..Edit::default() };
        assert_eq!(empty.of(&record(), Payload::default(), Uuid::nil()).unwrap_err().code, "invalid_event");
    }
}
