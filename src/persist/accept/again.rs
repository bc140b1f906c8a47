//! Messages with a position whose rows hold no key, delivered again: they are found by their position.
//!
//! A position alone is not enough: in a topic that was made anew, old offsets come again with other messages.

use std::collections::HashSet;

use crate::lifecycle::Status;
use crate::persist::fault::Fault;
use crate::persist::record::{NewRecord, Taken};
use crate::persist::rows::{
    Bulk,
    Type::{Int, Long, Text},
};
use crate::persist::tx::Tx;

/// The newest at each position. One by one: a plan that was made when there were none would read all of them each time.
pub(in crate::persist) const KEYLESS: Bulk = Bulk {
    head: "SELECT r.bus, r.topic, r.partition, r.position, r.event_id, r.source, r.status, r.data FROM (SELECT (SELECT p.id \
           FROM event_record p WHERE p.topic = v.column1 AND p.partition = v.column2 AND p.position = v.column3 AND \
           p.status IN ('DUPLICATE', 'INVALID') AND p.position IS NOT NULL ORDER BY p.id DESC LIMIT 1) AS id FROM (",
    types: &[Text, Int, Long],
    row: "(?, ?, ?)",
    tail: ") AS v) AS found JOIN event_record r ON r.id = found.id",
};

/// The same decisions, but what is to get a row without a key gets none if its message has one already.
pub(super) async fn without_redelivered<'r>(
    tx: &Tx,
    mut decided: Vec<(&'r NewRecord, Taken)>,
) -> Result<Vec<(&'r NewRecord, Taken)>, Fault> {
    let mut values = Vec::new();
    for (record, answer) in &decided {
        if let (true, Some((topic, partition, offset))) = (is_keyless(answer), record.origin.position()) {
            values.extend([topic.into(), partition.into(), offset.into()]);
        }
    }
    if values.is_empty() {
        return Ok(decided);
    }
    let mut seen = HashSet::new();
    for row in KEYLESS.query(tx, values).await? {
        let status: String = row.try_get("", "status")?;
        // A duplicate has no data of its own: who it is says enough.
        let data: Option<Vec<u8>> = if status == Status::Duplicate.as_str() { None } else { row.try_get("", "data")? };
        let (bus, event_id, source): (String, String, String) =
            (row.try_get("", "bus")?, row.try_get("", "event_id")?, row.try_get("", "source")?);
        let topic: String = row.try_get("", "topic")?;
        let position: (i32, i64) = (row.try_get("", "partition")?, row.try_get("", "position")?);
        let who = if status == Status::Duplicate.as_str() { Some((event_id, source)) } else { None };
        seen.insert((bus, topic, position, who, data));
    }
    for (record, answer) in decided.iter_mut().filter(|(_, answer)| is_keyless(answer)) {
        let Some((topic, partition, offset)) = record.origin.position() else { continue };
        let event = &record.event;
        let (who, data) = match answer {
            Taken::Duplicate { .. } => (Some((event.id.clone(), event.source.clone())), None),
            _ => (None, event.data.bytes.as_ref().map(|data| data.to_vec())),
        };
        let message = (record.origin.bus.clone(), topic.to_owned(), (partition, offset), who, data);
        // Not the first with this position, in the ledger or in this commit.
        if !seen.insert(message) {
            *answer = Taken::Redelivered;
        }
    }
    Ok(decided)
}

/// Whether its row will hold no key.
const fn is_keyless(answer: &Taken) -> bool {
    matches!(answer, Taken::Duplicate { .. } | Taken::Conflict { .. } | Taken::New(Status::Invalid))
}
