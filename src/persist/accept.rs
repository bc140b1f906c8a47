//! Accepting: keys first, then the records that the keys decide about.

mod again;

use std::collections::HashMap;

use sea_orm::{DbErr, QueryResult, Value};
use uuid::Uuid;

#[cfg(test)]
pub(super) use again::KEYLESS;

use super::column::{clean, final_word, word};
use super::counts::Counts;
use super::fault::Fault;
use super::groups::{self, Buried};
use super::late;
use super::lineage;
use super::record::{Entry, NewRecord, Origin, Taken};
use super::rows::{
    Bulk,
    Type::{Bytes, Id, Int, Long, Text},
};
use super::tx::Tx;
use crate::event::Extensions;
use crate::lifecycle::{Status, Verb, transition};

const KEYS: Bulk = Bulk {
    head: "INSERT INTO idempotency_key (event_id, source, record_id, checksum, processed_at) ",
    types: &[Text, Text, Id, Bytes, Long],
    row: "(?, ?, ?, ?, ?)",
    tail: " ON CONFLICT DO NOTHING",
};

pub(super) const HOLDERS: Bulk = Bulk {
    head: "SELECT k.event_id, k.source, k.record_id, k.checksum, r.status, r.bus, r.topic, r.partition, r.position FROM (",
    types: &[Text, Text],
    row: "(?, ?)",
    tail: ") AS v JOIN idempotency_key k ON k.event_id = v.column1 AND k.source = v.column2 \
           LEFT JOIN event_record r ON r.id = k.record_id",
};

pub(super) const PRESENT: Bulk = Bulk {
    head: "SELECT r.id, r.status, r.attempt_id, r.duplicate_of, o.status AS original FROM (",
    types: &[Id],
    row: "(?)",
    tail: ") AS v JOIN event_record r ON r.id = v.column1 LEFT JOIN event_record o ON o.id = r.duplicate_of",
};

const RECORDS: Bulk = Bulk {
    head: "INSERT INTO event_record (id, event_id, source, event_type, subject, time, ordering_key, content_type, data, \
           extensions, bus, topic, partition, position, status, final_status, handler_name, retry_count, attempt_count, \
           crash_count, round, error, next_attempt_at, owner, attempt_id, claimed_at, duplicate_of, created_at, \
           updated_at, completed_at) ",
    types: &[
        Id, Text, Text, Text, Text, Text, Text, Text, Bytes, Text, Text, Text, Int, Long, Text, Text, Text, Int, Text,
        Long, Id, Id, Long, Id, Long, Long, Long,
    ],
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    tail: "",
};

/// Who holds a key.
struct Holder {
    record_id: Uuid,
    checksum: Vec<u8>,
    status: Status,
    origin: Option<Origin>,
}

type Key<'a> = (&'a str, &'a str);
type Holders = HashMap<(String, String), Holder>;

/// Accepts all of them; the answers are in their order.
pub(super) async fn accept(
    tx: &Tx,
    records: &[&NewRecord],
    careful: bool,
    node: Uuid,
    counts: &mut Counts,
) -> Result<Vec<Taken>, Fault> {
    let mut answers = if careful { present(tx, records).await? } else { HashMap::new() };
    let missing: Vec<&NewRecord> = records.iter().copied().filter(|record| !answers.contains_key(&record.id)).collect();
    let holders = hold_keys(tx, &missing).await?;
    let decided: Vec<(&NewRecord, Taken)> =
        missing.into_iter().map(|record| (record, decide(record, &holders))).collect();
    let decided = again::without_redelivered(tx, decided).await?;
    let (mut unhandled, mut good) = (Vec::new(), Vec::new());
    let (mut values, mut written) = (Vec::with_capacity(decided.len() * 27), Vec::with_capacity(decided.len()));
    for (record, answer) in decided {
        let Some(status) = status_of(&answer) else {
            answers.insert(record.id, answer);
            continue;
        };
        push_row(&mut values, record, &answer, status, node);
        written.push(record);
        let step = transition(Verb::Accept, None, status).map_err(|illegal| Fault::Refused(illegal.to_string()))?;
        counts.step(record.handler.as_deref().unwrap_or_default(), step);
        if status == Status::NoHandler {
            unhandled.push((record.id, Buried::unhandled(&record.event.event_type, record.created_at)));
        }
        if matches!(answer, Taken::New(_)) && status != Status::Invalid {
            good.push(record);
        }
        answers.insert(record.id, answer);
    }
    RECORDS.execute(tx, values).await?;
    late::note(tx, &written).await?;
    lineage::note(tx, &good).await?;
    groups::bury(tx, unhandled, counts).await?;
    Ok(records.iter().filter_map(|record| answers.remove(&record.id)).collect())
}

/// What an earlier try of the same commands has written already.
async fn present(tx: &Tx, records: &[&NewRecord]) -> Result<HashMap<Uuid, Taken>, Fault> {
    let rows = PRESENT.query(tx, records.iter().map(|record| record.id.into()).collect()).await?;
    let entries: HashMap<Uuid, &Entry> = records.iter().map(|record| (record.id, &record.entry)).collect();
    let mut found = HashMap::new();
    for row in rows {
        let id: Uuid = row.try_get("", "id")?;
        let status: Status = word(&row.try_get::<String>("", "status")?)?;
        let original: Option<String> = row.try_get("", "original")?;
        let answer = match (row.try_get::<Option<Uuid>>("", "duplicate_of")?, status) {
            (Some(of), Status::Duplicate) => {
                Taken::Duplicate { of, status: original.as_deref().map_or(Ok(Status::Pending), word)? }
            }
            (Some(of), _) => Taken::Conflict { of },
            (None, status) => {
                let claim: Option<Uuid> = row.try_get("", "attempt_id")?;
                if entries.get(&id).is_some_and(|entry| entry.stands(status, claim)) {
                    Taken::New(status)
                } else {
                    Taken::MovedOn(status)
                }
            }
        };
        found.insert(id, answer);
    }
    Ok(found)
}

/// Inserts the keys of those that need one. Returns who holds which of them, or nothing if all of them were free.
async fn hold_keys(tx: &Tx, records: &[&NewRecord]) -> Result<Holders, Fault> {
    let mut first: HashMap<Key<'_>, &NewRecord> = HashMap::with_capacity(records.len());
    let keyed = records.iter().filter(|record| !matches!(record.entry, Entry::Invalid(_)));
    let mut wanted = 0;
    for &record in keyed {
        first.entry(key(record)).or_insert(record);
        wanted += 1;
    }
    let mut sorted: Vec<&NewRecord> = first.values().copied().collect();
    // Neighbours in the tree are written together.
    sorted.sort_unstable_by_key(|record| key(record));
    let mut values = Vec::with_capacity(sorted.len() * 5);
    for record in &sorted {
        values.extend([
            record.event.id.as_str().into(),
            record.event.source.as_str().into(),
            record.id.into(),
            Value::from(record.checksum.to_vec()),
            record.created_at.0.into(),
        ]);
    }
    if KEYS.execute(tx, values).await? == wanted {
        return Ok(Holders::new());
    }
    let keys = sorted.iter().flat_map(|record| [record.event.id.as_str().into(), record.event.source.as_str().into()]);
    let mut holders = Holders::new();
    for row in HOLDERS.query(tx, keys.collect()).await? {
        let key: (String, String) = (row.try_get("", "event_id")?, row.try_get("", "source")?);
        let (status, origin) = match row.try_get::<Option<String>>("", "status")? {
            Some(status) => (word(&status)?, Some(origin(&row)?)),
            // The holder is one of this batch and has no row yet.
            None => match first.get(&(key.0.as_str(), key.1.as_str())) {
                Some(first) => (first.entry.status(), Some(first.origin.clone())),
                None => (Status::Pending, None),
            },
        };
        let (record_id, checksum) = (row.try_get("", "record_id")?, row.try_get("", "checksum")?);
        let holder = Holder { record_id, checksum, status, origin };
        holders.insert(key, holder);
    }
    // Whoever held one of the keys has let it go since.
    if holders.len() == sorted.len() { Ok(holders) } else { Err(Fault::Moved) }
}

fn origin(row: &QueryResult) -> Result<Origin, DbErr> {
    Ok(Origin {
        bus: row.try_get("", "bus")?,
        topic: row.try_get("", "topic")?,
        partition: row.try_get("", "partition")?,
        offset: row.try_get("", "position")?,
    })
}

fn key(record: &NewRecord) -> Key<'_> {
    (&record.event.id, &record.event.source)
}

fn decide(record: &NewRecord, holders: &Holders) -> Taken {
    if holders.is_empty() || matches!(record.entry, Entry::Invalid(_)) {
        return Taken::New(record.entry.status());
    }
    match holders.get(&(record.event.id.clone(), record.event.source.clone())) {
        Some(holder) if holder.record_id != record.id && holder.checksum == record.checksum => {
            if is_same_message(record, holder) {
                return Taken::Redelivered;
            }
            Taken::Duplicate { of: holder.record_id, status: holder.status }
        }
        Some(holder) if holder.record_id != record.id => Taken::Conflict { of: holder.record_id },
        _ => Taken::New(record.entry.status()),
    }
}

/// Whether a record with the same content is that of the same message: a position tells it, else the broker does.
fn is_same_message(record: &NewRecord, holder: &Holder) -> bool {
    match record.origin.position() {
        Some(_) => holder.origin.as_ref() == Some(&record.origin),
        None => record.redelivered,
    }
}

/// Where the new row stands, if there is to be one.
const fn status_of(answer: &Taken) -> Option<Status> {
    match answer {
        Taken::New(status) | Taken::MovedOn(status) => Some(*status),
        Taken::Duplicate { .. } => Some(Status::Duplicate),
        Taken::Conflict { .. } => Some(Status::Invalid),
        Taken::Redelivered => None,
    }
}

fn push_row(values: &mut Vec<Value>, record: &NewRecord, answer: &Taken, status: Status, node: Uuid) {
    let event = &record.event;
    let now = record.created_at;
    let claim = match (&record.entry, answer) {
        (Entry::Claimed(attempt_id), Taken::New(_)) => Some(*attempt_id),
        _ => None,
    };
    let due = match status {
        Status::Pending => Some(now.0),
        Status::Scheduled => match record.entry {
            Entry::Scheduled(at) => Some(at.0),
            _ => Some(now.0),
        },
        _ => None,
    };
    let (duplicate_of, error) = match answer {
        Taken::New(_) | Taken::MovedOn(_) | Taken::Redelivered => match &record.entry {
            Entry::Invalid(why) => (None, Some(clean(why))),
            _ => (None, None),
        },
        Taken::Duplicate { of, .. } => (Some(*of), None),
        Taken::Conflict { of } => {
            (Some(*of), Some(format!("this source and id were accepted before with other content, as {of}")))
        }
    };
    // A duplicate's data is the original's, as equal checksums say.
    let data = if status == Status::Duplicate { None } else { event.data.bytes.as_ref().map(|data| data.to_vec()) };
    values.extend([
        record.id.into(),
        event.id.as_str().into(),
        event.source.as_str().into(),
        event.event_type.as_str().into(),
        event.subject.clone().into(),
        event.time.map(|time| time.to_rfc3339()).into(),
        event.extensions.get("partitionkey").and_then(|key| key.as_str()).map(str::to_owned).into(),
        event.data.content_type.clone().into(),
        Value::Bytes(data),
        extensions(&event.extensions).into(),
        record.origin.bus.as_str().into(),
        record.origin.topic.clone().into(),
        record.origin.partition.into(),
        record.origin.offset.into(),
        status.as_str().into(),
        final_word(status).into(),
        record.handler.as_deref().map(str::to_owned).into(),
        i32::from(claim.is_some()).into(),
        error.into(),
        due.into(),
        claim.map(|_| node).into(),
        claim.into(),
        claim.map(|_| now.0).into(),
        duplicate_of.into(),
        now.0.into(),
        now.0.into(),
        status.is_final().then_some(now.0).into(),
    ]);
}

fn extensions(extensions: &Extensions) -> Option<String> {
    // A map of texts to plain values always is JSON.
    if extensions.is_empty() { None } else { serde_json::to_string(extensions).ok() }
}
