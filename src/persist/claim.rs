//! Claiming: an event comes in hand, by its id or from the head of what is due.

use std::collections::HashSet;

use evenkeel_entity::event_record;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Value};
use uuid::Uuid;

use super::column::{WAITING, signed};
use super::command::Due;
use super::counts::Counts;
use super::dialect::{skip_locked, statement};
use super::fault::Fault;
use super::record::Claim;
use super::rows::{
    Bulk,
    Type::{self, Id, Int, Long, Text},
};
use super::tx::Tx;
use crate::lifecycle::{Status, Verb, transition};

/// What a claim writes.
macro_rules! claimed {
    () => {
        "UPDATE event_record SET status = 'PROCESSING', attempt_id = v.column2, attempt_count = v.column3, \
         owner = v.column4, claimed_at = v.column5, updated_at = v.column5, next_attempt_at = NULL FROM "
    };
}

/// Where an event has to stand. Its number, round and lane as well: one that waited in memory may have been claimed from
/// the ledger meanwhile, by another node too, have failed, and wait for its retry.
macro_rules! expected {
    () => {
        ".id = v.column1 AND event_record.attempt_count = v.column3 - 1 AND event_record.status = v.column6 \
         AND event_record.handler_name = v.column7 AND event_record.round = v.column8"
    };
}

const CLAIM: &[Type] = &[Id, Id, Int, Id, Long, Text, Text, Int];

/// The claims where this process alone writes; those that matched come back.
pub(super) const CLAIMS: Bulk = Bulk {
    head: concat!(claimed!(), "("),
    types: CLAIM,
    row: "(?, ?, ?, ?, ?, ?, ?, ?)",
    tail: concat!(") AS v WHERE event_record", expected!(), " RETURNING event_record.id"),
};

/// The same where other nodes claim too: what one of them is about to change is passed over, and nobody is waited for.
pub(super) const CLAIMS_AMONG_OTHERS: Bulk = Bulk {
    head: "WITH v AS MATERIALIZED (SELECT v.* FROM (",
    types: CLAIM,
    row: "(?, ?, ?, ?, ?, ?, ?, ?)",
    tail: concat!(
        ") AS v JOIN event_record ON event_record",
        expected!(),
        " FOR UPDATE OF event_record SKIP LOCKED) ",
        claimed!(),
        "v WHERE event_record.id = v.column1 RETURNING event_record.id"
    ),
};

pub(super) const STANDING: Bulk = Bulk {
    head: "SELECT r.id, r.attempt_id FROM (",
    types: &[Id],
    row: "(?)",
    tail: ") AS v JOIN event_record r ON r.id = v.column1",
};

/// The same where others write too: as it is now, and as it stays until the commit.
pub(super) const STANDING_AMONG_OTHERS: Bulk =
    Bulk { tail: ") AS v JOIN event_record r ON r.id = v.column1 ORDER BY r.id FOR UPDATE OF r", ..STANDING };

/// The ids of the claims that have these records in hand.
pub(super) async fn held(tx: &Tx, records: impl Iterator<Item = Uuid>) -> Result<HashSet<Uuid>, Fault> {
    let bulk = if tx.is_shared() { STANDING_AMONG_OTHERS } else { STANDING };
    let mut held = HashSet::new();
    for row in bulk.query(tx, records.map(Value::from).collect()).await? {
        held.extend(row.try_get::<Option<Uuid>>("", "attempt_id")?);
    }
    Ok(held)
}

/// Claims events that are known already; says which of them are in hand now. The others are somebody else's news.
pub(super) async fn claim(
    tx: &Tx,
    claims: &[&Claim],
    careful: bool,
    node: Uuid,
    counts: &mut Counts,
) -> Result<Vec<bool>, Fault> {
    let mine = if careful { held(tx, claims.iter().map(|claim| claim.record_id)).await? } else { HashSet::new() };
    let is_mine = |claim: &Claim| mine.contains(&claim.attempt_id);
    let taking: Vec<&Claim> = claims.iter().copied().filter(|claim| !is_mine(claim)).collect();
    let taken = take(tx, &taking, node, counts).await?;
    Ok(claims.iter().map(|claim| is_mine(claim) || taken.contains(&claim.record_id)).collect())
}

/// Claims what is due, oldest first.
pub(super) async fn claim_due(tx: &Tx, due: &Due, node: Uuid, counts: &mut Counts) -> Result<Vec<Claim>, Fault> {
    let backend = tx.get_database_backend();
    let sql = due_sql(backend, due);
    let mut values: Vec<Value> = due.handlers.iter().map(|handler| handler.as_str().into()).collect();
    values.extend([due.now.0.into(), i64::try_from(due.attempt_ids.len()).unwrap_or(i64::MAX).into()]);
    let rows = tx.query_all_raw(statement(backend, &sql, values)).await?;
    let mut claims = Vec::with_capacity(rows.len());
    for (row, attempt_id) in rows.iter().zip(&due.attempt_ids) {
        claims.push(Claim::from_model(event_record::Model::from_query_result(row, "")?, *attempt_id, due.now)?);
    }
    let taking: Vec<&Claim> = claims.iter().collect();
    // They are locked since they were read.
    let taken = take(tx, &taking, node, counts).await?;
    if taken.len() == claims.len() { Ok(claims) } else { Err(Fault::Moved) }
}

/// The query for what is due. Suspects have an index of their own, so that they block no lane's head.
pub(super) fn due_sql(backend: DbBackend, due: &Due) -> String {
    let marks = vec!["?"; due.handlers.len()].join(", ");
    let (index, crashes) =
        if due.suspects { ("event_record_suspect", ">= 2") } else { ("event_record_waiting", "< 2") };
    format!(
        "SELECT * FROM event_record INDEXED BY {index} WHERE {WAITING} AND crash_count {crashes} \
         AND handler_name IN ({marks}) AND next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?{}",
        skip_locked(backend)
    )
}

/// Claims those that stand as they are expected to; says which.
async fn take(tx: &Tx, claims: &[&Claim], node: Uuid, counts: &mut Counts) -> Result<HashSet<Uuid>, Fault> {
    let mut values = Vec::with_capacity(claims.len() * CLAIM.len());
    for claim in claims {
        values.extend([
            Value::from(claim.record_id),
            claim.attempt_id.into(),
            signed(claim.attempt_number).into(),
            node.into(),
            claim.claimed_at.0.into(),
            claim.from.as_str().into(),
            (&*claim.handler).into(),
            signed(claim.round).into(),
        ]);
    }
    let bulk = if tx.is_shared() { CLAIMS_AMONG_OTHERS } else { CLAIMS };
    let mut taken = HashSet::with_capacity(claims.len());
    for row in bulk.query(tx, values).await? {
        taken.insert(row.try_get("", "id")?);
    }
    for claim in claims.iter().filter(|claim| taken.contains(&claim.record_id)) {
        let step = transition(Verb::Claim, Some(claim.from), Status::Processing)
            .map_err(|illegal| Fault::Refused(illegal.to_string()))?;
        counts.step(&claim.handler, step);
    }
    Ok(taken)
}
