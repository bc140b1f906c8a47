//! Claiming: an event comes in hand, by its id or from the head of what is due.

use std::collections::{HashMap, HashSet};

use evenkeel_entity::event_record;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Value};
use uuid::Uuid;

use super::column::{WAITING, signed, unsigned, word};
use super::command::Due;
use super::counts::Counts;
use super::dialect::{skip_locked, statement};
use super::fault::Fault;
use super::record::Claim;
use super::rows::{
    Bulk,
    Type::{Id, Int, Long},
};
use super::tx::Tx;
use crate::lifecycle::{Status, Verb, transition};

pub(super) const CLAIMS: Bulk = Bulk {
    head: "UPDATE event_record SET status = 'PROCESSING', attempt_id = v.column2, attempt_count = v.column3, \
           owner = v.column4, claimed_at = v.column5, updated_at = v.column5, next_attempt_at = NULL FROM (",
    types: &[Id, Id, Int, Id, Long],
    row: "(?, ?, ?, ?, ?)",
    // The number as well: an event that waited in memory may have been claimed from the ledger meanwhile, have failed,
    // and wait for its retry.
    tail: ") AS v WHERE event_record.id = v.column1 AND event_record.attempt_count = v.column3 - 1 \
           AND event_record.status IN ('PENDING', 'RETRY_SCHEDULED', 'SCHEDULED')",
};

pub(super) const STANDING: Bulk = Bulk {
    head: "SELECT r.id, r.status, r.attempt_id, r.attempt_count FROM (",
    types: &[Id],
    row: "(?)",
    tail: ") AS v JOIN event_record r ON r.id = v.column1",
};

/// Claims events that are known already; says which of them are in hand now.
pub(super) async fn claim(
    tx: &Tx,
    claims: &[&Claim],
    careful: bool,
    node: Uuid,
    counts: &mut Counts,
) -> Result<Vec<bool>, Fault> {
    let (mut free, mut mine) = (None, HashSet::new());
    if careful {
        let mut waiting = HashMap::new();
        for row in STANDING.query(tx, claims.iter().map(|claim| claim.record_id.into()).collect()).await? {
            let id: Uuid = row.try_get("", "id")?;
            match (word(&row.try_get::<String>("", "status")?)?, row.try_get::<Option<Uuid>>("", "attempt_id")?) {
                (Status::Processing, Some(attempt_id)) => drop(mine.insert(attempt_id)),
                (status, _) if Verb::Claim.from().contains(&status) => {
                    waiting.insert(id, unsigned(row.try_get("", "attempt_count")?));
                }
                _ => {}
            }
        }
        free = Some(waiting);
    }
    let stands = |free: &HashMap<Uuid, u32>, claim: &Claim| {
        free.get(&claim.record_id).is_some_and(|attempts| attempts + 1 == claim.attempt_number)
    };
    let is_free = |claim: &Claim| free.as_ref().is_none_or(|free| stands(free, claim));
    let taking: Vec<&Claim> = claims.iter().copied().filter(|claim| is_free(claim)).collect();
    take(tx, &taking, node, counts).await?;
    Ok(claims.iter().map(|claim| is_free(claim) || mine.contains(&claim.attempt_id)).collect())
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
    take(tx, &taking, node, counts).await?;
    Ok(claims)
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

async fn take(tx: &Tx, claims: &[&Claim], node: Uuid, counts: &mut Counts) -> Result<(), Fault> {
    let mut values = Vec::with_capacity(claims.len() * 5);
    for claim in claims {
        values.extend([
            Value::from(claim.record_id),
            claim.attempt_id.into(),
            signed(claim.attempt_number).into(),
            node.into(),
            claim.claimed_at.0.into(),
        ]);
        let step = transition(Verb::Claim, Some(claim.from), Status::Processing)
            .map_err(|illegal| Fault::Refused(illegal.to_string()))?;
        counts.step(&claim.handler, step);
    }
    if CLAIMS.execute(tx, values).await? == claims.len() as u64 { Ok(()) } else { Err(Fault::Moved) }
}
