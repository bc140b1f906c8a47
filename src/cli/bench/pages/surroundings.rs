//! What stands around the records of a ledger: nodes that were, what operators did, operations, charts, compounds.

use std::time::Duration;

use uuid::Uuid;

use super::rows::{Cell, Ledger, Rows, Table};
use super::sample::{AGE, Plan, Sample};
use crate::clock::Timestamp;
use crate::lifecycle::OperationState;

const NODES: Table =
    Table { name: "node", columns: "id, name, handlers, started_at, lease_until, draining, fenced_at" };

const PAUSES: Table = Table { name: "handler_state", columns: "handler_name, paused, changed_at" };

const ACTIONS: Table = Table { name: "operator_action", columns: "id, at, actor, action, target, affected, reason" };

const RECORD_ACTIONS: Table = Table { name: "record_action", columns: "record_id, action_id" };

const OPERATIONS: Table = Table {
    name: "operation",
    columns: "id, action, filter, state, died_by, matched, is_exact, done, skipped, failed, actor, created_at, \
              updated_at, ended_at",
};

const FAILURES: Table = Table { name: "operation_failure", columns: "operation_id, record_id, reason" };

const ROLLUPS: Table = Table {
    name: "rollup",
    columns: "at, node, accepted, finished, failed, retried, took_0, took_1, took_2, took_3, took_4, took_5, took_6, \
              took_7, took_8, took_9, took_10, took_11, took_12, took_13, took_14, took_15, took_16",
};

const COMPOUNDS: Table =
    Table { name: "chemical_status", columns: "cas, name, status, previous_status, changed_at, record_id, updated_at" };

const CHANGES: Table = Table {
    name: "chemical_status_change",
    columns: "record_id, cas, status, previous_status, changed_at, sequence, recorded_at",
};

/// Who operates.
const OPERATORS: [&str; 4] = ["127.0.0.1", "ada", "grace", "night shift"];

/// How many nodes ran side by side in the course of the day.
const NODES_OF_THE_DAY: u64 = 3;

/// How many operations there were, and how many records the worst of them could not change.
const OPERATIONS_OF_THE_DAY: u64 = 300;
const NOT_CHANGED: u64 = 100;

/// How many chemical compounds are known, and how often each has changed.
const KNOWN_COMPOUNDS: u64 = 3_000;
const CHANGES_OF_EACH: u64 = 8;

/// What operators did to these records, one by one.
pub(super) async fn acts(ledger: &mut Ledger, plan: Plan, records: Vec<Sample>) -> anyhow::Result<()> {
    let (mut actions, mut changed) = (Rows::new(), Rows::new());
    for (record, n) in records.iter().zip(0..) {
        let at = record.updated_at.after(Duration::from_secs(600)).min(plan.now);
        let id = Uuid::from_u128(record.id.as_u128() | 1);
        actions.push(action(id, at, n, "discard", &record.id.to_string()));
        changed.push(vec![record.id.into(), id.into()]);
    }
    ledger.insert(&ACTIONS, actions).await?;
    ledger.insert(&RECORD_ACTIONS, changed).await
}

/// All else; gives the operation that could not change some records.
pub(super) async fn all(ledger: &mut Ledger, plan: Plan, paused: &str) -> anyhow::Result<Uuid> {
    let gone = (0..NODES_OF_THE_DAY).map(|n| {
        let (started, stopped) = (plan.now.before(AGE), plan.now.before(Duration::from_secs(30)));
        let name = format!("node-{}/{}", n + 1, 4_000 + n);
        vec![plan.id(n).into(), name.into(), "[]".into(), started.0.into(), Cell::Null, true.into(), stopped.0.into()]
    });
    ledger.insert(&NODES, gone.collect()).await?;
    ledger.insert(&PAUSES, vec![vec![paused.into(), true.into(), plan.now.before(AGE).0.into()]]).await?;
    let operation = operations(ledger, plan).await?;
    ledger.insert(&ROLLUPS, rollups(plan)).await?;
    compounds(ledger, plan).await?;
    Ok(operation)
}

fn action(id: Uuid, at: Timestamp, n: u64, action: &str, target: &str) -> Vec<Cell> {
    let actor = OPERATORS[usize::try_from(n).unwrap_or(0) % OPERATORS.len()];
    let reason = n.is_multiple_of(3).then_some("the bank was away");
    vec![id.into(), at.0.into(), actor.into(), action.into(), target.into(), 1_i64.into(), reason.into()]
}

/// Operations in the course of the day, each with its line in the audit log.
async fn operations(ledger: &mut Ledger, plan: Plan) -> anyhow::Result<Uuid> {
    let (mut operations, mut actions) = (Rows::new(), Rows::new());
    let mut last = plan.id(0);
    for n in 0..OPERATIONS_OF_THE_DAY {
        // An id of the time of a record, and none of its.
        let id = Uuid::from_u128(plan.id(n * plan.records / OPERATIONS_OF_THE_DAY).as_u128() | 2);
        let at = plan.now.before(AGE * u32::try_from(OPERATIONS_OF_THE_DAY - n).unwrap_or(1) / 300);
        let (kind, end) = if n.is_multiple_of(3) { ("discard", "begin_discard") } else { ("redrive", "begin_redrive") };
        let failed = if n + 1 == OPERATIONS_OF_THE_DAY { NOT_CHANGED } else { 0 };
        operations.push(vec![
            id.into(),
            kind.into(),
            r#"{"handler":"billing","final_status":"DEAD_LETTER"}"#.into(),
            OperationState::Done.as_str().into(),
            at.0.into(),
            (n * 7).into(),
            true.into(),
            (n * 7 - failed.min(n * 7)).into(),
            0_i64.into(),
            failed.into(),
            OPERATORS[usize::try_from(n).unwrap_or(0) % OPERATORS.len()].into(),
            at.0.into(),
            at.after(Duration::from_secs(5)).0.into(),
            at.after(Duration::from_secs(5)).0.into(),
        ]);
        actions.push(action(id, at, n, end, &id.to_string()));
        last = id;
    }
    ledger.insert(&OPERATIONS, operations).await?;
    ledger.insert(&ACTIONS, actions).await?;
    let failures = (0..NOT_CHANGED).map(|n| {
        let reason = "it has the status SUCCESS: only dead letters can be redriven";
        vec![last.into(), plan.id(n).into(), reason.into()]
    });
    ledger.insert(&FAILURES, failures.collect()).await?;
    Ok(last)
}

/// What the charts of a day are drawn from: a row for each ten seconds and node.
fn rollups(plan: Plan) -> Rows {
    let (slots, mut rows) = (AGE.as_secs() / 10, Rows::new());
    let share = plan.records / slots / NODES_OF_THE_DAY;
    let first = plan.now.before(AGE).0 / 10_000_000 * 10_000_000;
    for slot in 0..slots {
        for node in 0..NODES_OF_THE_DAY {
            let at = first + i64::try_from(slot).unwrap_or(0) * 10_000_000;
            let accepted = share + slot % 5;
            let mut row: Vec<Cell> = vec![at.into(), plan.id(node).into()];
            row.extend([accepted, accepted, slot % 2, slot % 3].map(Cell::from));
            row.extend((0..17_u64).map(|bucket| Cell::from(if bucket < 8 { accepted / 8 } else { 0 })));
            rows.push(row);
        }
    }
    rows
}

async fn compounds(ledger: &mut Ledger, plan: Plan) -> anyhow::Result<()> {
    let (mut known, mut changes) = (Rows::new(), Rows::new());
    for n in 0..KNOWN_COMPOUNDS {
        let (cas, at) = (format!("{}-{:02}-{}", 100_000 + n, n % 100, n % 10), plan.now.before(AGE));
        for change in 0..CHANGES_OF_EACH {
            // An id of the time of a record, and none of its.
            let record = plan.id((n * CHANGES_OF_EACH + change) % plan.records).as_u128();
            let record = Uuid::from_u128(record ^ (u128::from(n * CHANGES_OF_EACH + change + 1) << 2));
            let at = at.after(Duration::from_secs(60 * change)).0;
            changes.push(vec![
                record.into(),
                cas.as_str().into(),
                "APPROVED".into(),
                "REVIEWED".into(),
                at.into(),
                change.into(),
                at.into(),
            ]);
        }
        let at = at.after(Duration::from_secs(60 * CHANGES_OF_EACH)).0;
        let status = ["REGISTERED", "APPROVED", "BANNED"][usize::try_from(n % 3).unwrap_or(0)];
        known.push(vec![
            cas.into(),
            format!("compound {n}").into(),
            status.into(),
            "REVIEWED".into(),
            at.into(),
            plan.id(n % plan.records).into(),
            at.into(),
        ]);
    }
    ledger.insert(&COMPOUNDS, known).await?;
    ledger.insert(&CHANGES, changes).await
}
