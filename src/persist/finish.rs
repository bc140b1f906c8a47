//! Finishing: an event goes out of hand, its attempt is written down, and a death is put into the outbox.

use std::collections::HashSet;

use sea_orm::Value;
use uuid::Uuid;

use super::claim::held;
use super::column::{clean, final_word, signed};
use super::command::Finish;
use super::counts::Counts;
use super::fault::Fault;
use super::groups;
use super::rows::{
    Bulk,
    Type::{Id, Int, Long, Text},
};
use super::tx::Tx;
use crate::lifecycle::Status;

pub(super) const RECORDS: Bulk = Bulk {
    head: "UPDATE event_record SET status = v.column3, final_status = v.column4, retry_count = v.column5, \
           attempt_count = v.column6, crash_count = v.column7, next_attempt_at = v.column8, error = v.column9, \
           updated_at = v.column10, completed_at = v.column11, owner = NULL, attempt_id = NULL, claimed_at = NULL \
           FROM (",
    types: &[Id, Id, Text, Text, Int, Int, Int, Long, Text, Long, Long],
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    tail: ") AS v WHERE event_record.id = v.column1 AND event_record.attempt_id = v.column2",
};

const ATTEMPTS: Bulk = Bulk {
    head: "INSERT INTO event_attempt (record_id, attempt_number, attempt_id, handler_name, node, status, started_at, \
           completed_at, processing_time, error_message) ",
    types: &[Id, Int, Id, Text, Id, Text, Long, Long, Long, Text],
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    tail: "",
};

const DEATHS: Bulk = Bulk {
    head: "INSERT INTO dead_letter (record_id, round, bus, reason, created_at) ",
    types: &[Id, Int, Text, Text, Long],
    row: "(?, ?, ?, ?, ?)",
    tail: "",
};

pub(super) const WRITTEN: Bulk = Bulk {
    head: "SELECT a.attempt_id FROM (",
    types: &[Id, Int, Text],
    row: "(?, ?, ?)",
    tail: ") AS v JOIN event_attempt a ON a.record_id = v.column1 AND a.attempt_number = v.column2 \
           AND a.status = v.column3",
};

/// An event that turned out to be invalid holds no key, so that a corrected one can come in.
pub(super) const FREE_KEYS: Bulk = Bulk {
    head: "DELETE FROM idempotency_key WHERE (event_id, source) IN (SELECT r.event_id, r.source FROM (",
    types: &[Id],
    row: "(?)",
    tail: ") AS v JOIN event_record r ON r.id = v.column1)",
};

pub(super) const NOTES: Bulk = Bulk {
    head: "UPDATE event_attempt SET error_message = v.column3 FROM (",
    types: &[Id, Id, Text],
    row: "(?, ?, ?)",
    tail: ") AS v WHERE event_attempt.record_id = v.column1 AND event_attempt.attempt_id = v.column2 \
           AND event_attempt.status = 'ABANDONED'",
};

/// Writes all of them down; says which were written, now or by an earlier try of the same command. The others were
/// fenced: somebody else has taken the event over.
pub(super) async fn finish(
    tx: &Tx,
    finishes: &[&Finish],
    careful: bool,
    counts: &mut Counts,
) -> Result<Vec<bool>, Fault> {
    let (mut mine, mut written) = (None, HashSet::new());
    if careful {
        mine = Some(held(tx, finishes.iter().map(|finish| finish.record_id)).await?);
        written = done(tx, finishes).await?;
    }
    let is_mine = |finish: &Finish| mine.as_ref().is_none_or(|mine| mine.contains(&finish.attempt_id));
    let mut ours: Vec<&Finish> = finishes.iter().copied().filter(|finish| is_mine(finish)).collect();
    // In one order on all nodes: two of them that finish the same events wait for each other, and never both do.
    ours.sort_unstable_by_key(|finish| finish.record_id);
    write(tx, &ours, counts).await?;
    let lost = |finish: &Finish| !is_mine(finish) && !written.contains(&finish.attempt_id);
    let fenced: Vec<&Finish> = finishes.iter().copied().filter(|finish| lost(finish)).collect();
    annotate(tx, &fenced).await?;
    Ok(finishes.iter().map(|finish| is_mine(finish) || written.contains(&finish.attempt_id)).collect())
}

async fn done(tx: &Tx, finishes: &[&Finish]) -> Result<HashSet<Uuid>, Fault> {
    let attempts = finishes.iter().filter_map(|finish| Some((finish.record_id, finish.attempt.as_ref()?)));
    let keys = attempts
        .flat_map(|(record_id, attempt)| {
            [record_id.into(), signed(attempt.number).into(), attempt.status.as_str().into()]
        })
        .collect();
    let mut done = HashSet::new();
    for row in WRITTEN.query(tx, keys).await? {
        done.insert(row.try_get::<Uuid>("", "attempt_id")?);
    }
    Ok(done)
}

async fn write(tx: &Tx, finishes: &[&Finish], counts: &mut Counts) -> Result<(), Fault> {
    let mut records = Vec::with_capacity(finishes.len() * 11);
    let mut attempts = Vec::with_capacity(finishes.len() * 10);
    let (mut deaths, mut buried, mut invalid) = (Vec::new(), Vec::new(), Vec::new());
    for finish in finishes {
        push_record(&mut records, finish);
        push_attempt(&mut attempts, finish);
        if let Some(death) = finish.death() {
            deaths.extend([
                Value::from(finish.record_id),
                signed(finish.round).into(),
                finish.bus.as_str().into(),
                finish.step.to().as_str().into(),
                finish.at.0.into(),
            ]);
            buried.push((finish.record_id, death));
        }
        if finish.step.to() == Status::Invalid {
            invalid.push(finish.record_id.into());
        }
        counts.step(&finish.handler, finish.step);
    }
    if RECORDS.execute(tx, records).await? != finishes.len() as u64 {
        return Err(Fault::Moved);
    }
    ATTEMPTS.execute(tx, attempts).await?;
    DEATHS.execute(tx, deaths).await?;
    groups::bury(tx, buried, counts).await?;
    FREE_KEYS.execute(tx, invalid).await?;
    Ok(())
}

fn push_record(values: &mut Vec<Value>, finish: &Finish) {
    let status = finish.step.to();
    values.extend([
        finish.record_id.into(),
        finish.attempt_id.into(),
        status.as_str().into(),
        final_word(status).into(),
        signed(finish.retry_count).into(),
        signed(finish.attempt_count).into(),
        signed(finish.crash_count).into(),
        finish.next_attempt_at.map(|at| at.0).into(),
        finish.error.as_deref().map(clean).into(),
        finish.at.0.into(),
        status.is_final().then_some(finish.at.0).into(),
    ]);
}

fn push_attempt(values: &mut Vec<Value>, finish: &Finish) {
    let Some(attempt) = &finish.attempt else { return };
    let took = attempt.completed_at.since(attempt.started_at);
    values.extend([
        finish.record_id.into(),
        signed(attempt.number).into(),
        finish.attempt_id.into(),
        finish.handler.as_str().into(),
        attempt.node.into(),
        attempt.status.as_str().into(),
        attempt.started_at.0.into(),
        attempt.completed_at.0.into(),
        i64::try_from(took.as_millis()).unwrap_or(i64::MAX).into(),
        finish.error.as_deref().map(clean).into(),
    ]);
}

/// What a fenced attempt came to is noted in the row that says it was abandoned, and nowhere else.
async fn annotate(tx: &Tx, fenced: &[&Finish]) -> Result<(), Fault> {
    let mut values = Vec::new();
    for finish in fenced {
        let Some(attempt) = &finish.attempt else { continue };
        let note =
            format!("abandoned; it then ended as {}: {}", attempt.status, finish.error.as_deref().unwrap_or("-"));
        values.extend([finish.record_id.into(), finish.attempt_id.into(), clean(&note).into()]);
    }
    NOTES.execute(tx, values).await?;
    Ok(())
}
