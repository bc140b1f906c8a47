//! What operators do to the ledger: redrive, discard, cancel, pause, and operations on many records. Each is audited in
//! its own transaction.

use evenkeel_entity::{event_record, handler_state};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use uuid::Uuid;

use super::audit;
use super::column::{WAITING, word};
use super::counts::Counts;
use super::dialect::{skip_locked, statement};
use super::fault::Fault;
use super::groups::Buried;
use super::lineage;
use super::operation::{self, Begin, Step};
use super::rows::{
    Bulk,
    Type::{Id, Long, Text},
};
use super::tx::Tx;
use crate::clock::Timestamp;
use crate::lifecycle::{OperationAction, OperationVerb, Status, Transition, Verb, transition};

/// Something an operator asks for.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What is done, to what.
    pub action: Action,
    /// The id of its line in the audit log, a uuid v7 of now.
    pub id: Uuid,
    /// Now.
    pub at: Timestamp,
    /// Who asks, as far as is known.
    pub actor: String,
    /// Why, if they say.
    pub reason: Option<String>,
}

/// What an operator can do.
#[derive(Clone, Debug)]
pub enum Action {
    /// A new round for these records; each with the handler that its type resolves to now.
    Redrive(Vec<(Uuid, String)>),
    /// The end of these dead letters.
    Discard(Vec<Uuid>),
    /// Stops this event before it starts.
    Cancel(Uuid),
    /// Lets a handler claim nothing, or again.
    Pause {
        /// Which handler.
        handler: String,
        /// Whether it is paused then.
        paused: bool,
    },
    /// Keeps that an event was made from a record, which is in the ledger or on its way there.
    Resubmit {
        /// The record.
        original: Uuid,
        /// The record of the event.
        record: Uuid,
    },
    /// Builds a handler's actor again; nothing is written but the audit log's line.
    Restart {
        /// Which handler.
        handler: String,
    },
    /// Tests the way that alerts go; nothing is written but the audit log's line.
    TestAlerts,
    /// Nobody handles these events any more, or another handler does: from this lane and type to that lane. It changes a
    /// part of them at a time.
    Rebind {
        /// The lane they wait in.
        from: String,
        /// Their type.
        event_type: String,
        /// The lane they shall wait in; none if nobody handles them.
        to: Option<String>,
    },
    /// Begins an operation on many records, whose id is that of this line in the audit log.
    Begin(Box<Begin>),
    /// Changes the state of an operation.
    Turn {
        /// Which operation.
        operation: Uuid,
        /// How.
        verb: OperationVerb,
        /// Why it failed, if it did.
        error: Option<String>,
    },
    /// Takes an operation that nobody alive works on.
    Adopt {
        /// Which operation.
        operation: Uuid,
        /// The node that takes it.
        owner: Uuid,
    },
    /// Takes an operation further.
    Step(Box<Step>),
}

impl Action {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Redrive(_) => "redrive",
            Self::Discard(_) => "discard",
            Self::Cancel(_) => "cancel",
            Self::Pause { paused: true, .. } => "pause",
            Self::Pause { .. } => "resume",
            Self::Resubmit { .. } => "resubmit",
            Self::Restart { .. } => "restart",
            Self::TestAlerts => "test_alerts",
            Self::Rebind { .. } => "rebind",
            Self::Begin(begin) => match begin.action {
                OperationAction::Redrive => "begin_redrive",
                OperationAction::Discard => "begin_discard",
                OperationAction::Group => "begin_group",
            },
            Self::Turn { verb, .. } => match verb {
                OperationVerb::Pause => "pause_operation",
                OperationVerb::Resume => "resume_operation",
                OperationVerb::Cancel => "cancel_operation",
                OperationVerb::Complete => "complete_operation",
                OperationVerb::Fail => "fail_operation",
            },
            Self::Adopt { .. } => "adopt_operation",
            Self::Step(_) => "step",
        }
    }

    pub(super) fn target(&self, id: Uuid) -> String {
        match self {
            Self::Redrive(records) if records.len() == 1 => records[0].0.to_string(),
            Self::Discard(records) if records.len() == 1 => records[0].to_string(),
            Self::Redrive(records) => format!("{} records", records.len()),
            Self::Discard(records) => format!("{} records", records.len()),
            Self::Cancel(record) => record.to_string(),
            Self::Pause { handler, .. } | Self::Restart { handler } => handler.clone(),
            Self::TestAlerts => "alerts".to_owned(),
            Self::Resubmit { original, .. } => original.to_string(),
            Self::Rebind { from, event_type, to } => {
                format!("{event_type}: {from} -> {}", to.as_deref().unwrap_or("no handler"))
            }
            Self::Begin(_) => id.to_string(),
            Self::Turn { operation, .. } | Self::Adopt { operation, .. } => operation.to_string(),
            Self::Step(step) => step.operation.to_string(),
        }
    }

    /// How many records it is about, so that a commit stays short.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Redrive(records) => records.len(),
            Self::Discard(records) => records.len(),
            Self::Step(step) => step.work.len(),
            _ => 1,
        }
    }
}

/// So many records get another handler at a time; who asks for it asks until there are none left.
const MOST_REBOUND: usize = 5_000;

pub(super) const REDRIVE: Bulk = Bulk {
    head: "UPDATE event_record SET status = 'PENDING', final_status = NULL, completed_at = NULL, retry_count = 0, \
           crash_count = 0, round = round + 1, handler_name = v.column2, next_attempt_at = v.column3, \
           updated_at = v.column3, fingerprint = NULL FROM (",
    types: &[Id, Text, Long, Text],
    row: "(?, ?, ?, ?)",
    tail: ") AS v WHERE event_record.id = v.column1 AND event_record.status = v.column4",
};

pub(super) const DISCARD: Bulk = Bulk {
    head: "UPDATE event_record SET status = 'DISCARDED', final_status = 'DISCARDED', next_attempt_at = NULL, \
           completed_at = v.column2, updated_at = v.column2, fingerprint = NULL FROM (",
    types: &[Id, Long, Text],
    row: "(?, ?, ?)",
    tail: ") AS v WHERE event_record.id = v.column1 AND event_record.status = v.column3",
};

const REBIND: Bulk = Bulk {
    head: "UPDATE event_record SET handler_name = v.column2, updated_at = v.column3 FROM (",
    types: &[Id, Text, Long, Text],
    row: "(?, ?, ?, ?)",
    tail: ") AS v WHERE event_record.id = v.column1 AND event_record.status = v.column4",
};

const UNBIND: Bulk = Bulk {
    head: "UPDATE event_record SET status = 'NO_HANDLER', final_status = 'NO_HANDLER', next_attempt_at = NULL, \
           updated_at = v.column2, completed_at = v.column2, fingerprint = v.column4 FROM (",
    types: &[Id, Long, Text, Text],
    row: "(?, ?, ?, ?)",
    tail: ") AS v WHERE event_record.id = v.column1 AND event_record.status = v.column3",
};

const RESOLVE: Bulk = Bulk {
    head: "UPDATE dead_letter SET resolution = v.column2 FROM (",
    types: &[Id, Text],
    row: "(?, ?)",
    tail: ") AS v WHERE dead_letter.record_id = v.column1 AND dead_letter.resolution IS NULL",
};

/// Does it; returns how many records it changed.
pub(super) async fn operate(tx: &Tx, operation: &Operation, counts: &mut Counts) -> Result<u64, Fault> {
    let at = operation.at;
    let affected = match &operation.action {
        Action::Redrive(records) => {
            let changed = redrive(tx, records, at, counts).await?;
            audit::changed(tx, operation.id, &changed).await?
        }
        Action::Discard(records) => {
            let changed = discard(tx, Verb::Discard, records, at, counts).await?;
            audit::changed(tx, operation.id, &changed).await?
        }
        Action::Cancel(record) => {
            let changed = discard(tx, Verb::Cancel, &[*record], at, counts).await?;
            audit::changed(tx, operation.id, &changed).await?
        }
        Action::Pause { handler, paused } => pause(tx, handler, *paused, at).await?,
        Action::Resubmit { original, record } => lineage::keep(tx, *original, *record, at).await?,
        Action::Restart { .. } | Action::TestAlerts => 1,
        Action::Rebind { from, event_type, to } => rebind(tx, from, event_type, to.as_deref(), at, counts).await?,
        Action::Begin(begin) => {
            let is_new = operation::begin(tx, operation, begin).await?;
            return audited(tx, operation, is_new.then_some(0)).await;
        }
        Action::Turn { operation: id, verb, error } => {
            let done = operation::turn(tx, *id, *verb, error.as_deref(), at).await?;
            return audited(tx, operation, done).await;
        }
        Action::Adopt { operation, owner } => return operation::adopt(tx, *operation, *owner, at).await,
        Action::Step(step) => return operation::step(tx, step, at, counts).await,
    };
    if affected > 0 {
        audit::write(tx, operation, affected).await?;
    }
    Ok(affected)
}

/// Writes down that something was done to an operation, which then had changed so many records. One, if it was.
async fn audited(tx: &Tx, operation: &Operation, changed: Option<u64>) -> Result<u64, Fault> {
    let Some(changed) = changed else { return Ok(0) };
    audit::write(tx, operation, changed).await?;
    Ok(1)
}

/// One record's standing before an operation.
type Standing = (Uuid, String, Option<String>, Option<String>);

/// Where a record stands that a verb may start from: its status, its lane, and the group of its death.
type Found = (Uuid, Status, String, Option<String>);

/// Those of the records that this verb may start from. There they stay until the commit; they are locked in one order on all nodes, so that two of them never wait for each other.
async fn standing(tx: &Tx, verb: Verb, mut records: Vec<Uuid>) -> Result<Vec<Found>, Fault> {
    records.sort_unstable();
    let mut found = Vec::with_capacity(records.len());
    for ids in records.chunks(500) {
        let rows: Vec<Standing> = event_record::Entity::find()
            .select_only()
            .columns([event_record::Column::Id, event_record::Column::Status, event_record::Column::HandlerName])
            .column(event_record::Column::Fingerprint)
            .filter(event_record::Column::Id.is_in(ids.iter().copied()))
            .order_by_asc(event_record::Column::Id)
            .lock_exclusive()
            .into_tuple()
            .all(tx)
            .await?;
        for (id, status, handler, group) in rows {
            let status: Status = word(&status)?;
            if verb.from().contains(&status) {
                found.push((id, status, handler.unwrap_or_default(), group));
            }
        }
    }
    Ok(found)
}

/// Starts a new round for those that are dead; says which they are.
pub(super) async fn redrive(
    tx: &Tx,
    records: &[(Uuid, String)],
    at: Timestamp,
    counts: &mut Counts,
) -> Result<Vec<Uuid>, Fault> {
    let ids: Vec<Uuid> = records.iter().map(|(id, _)| *id).collect();
    let lanes: std::collections::HashMap<Uuid, &str> =
        records.iter().map(|(id, handler)| (*id, handler.as_str())).collect();
    let found = standing(tx, Verb::Redrive, ids).await?;
    let (mut values, mut resolved) = (Vec::new(), Vec::new());
    for (id, status, old, group) in &found {
        let new = lanes.get(id).copied().unwrap_or_default();
        values.extend([Value::from(*id), new.into(), at.0.into(), status.as_str().into()]);
        resolved.extend([Value::from(*id), "REDRIVEN".into()]);
        counts.step_between(old, new, legal(Verb::Redrive, *status, Status::Pending)?);
        counts.groups.raise(group.as_deref());
    }
    all(REDRIVE.execute(tx, values).await?, found.len())?;
    RESOLVE.execute(tx, resolved).await?;
    Ok(found.into_iter().map(|(id, ..)| id).collect())
}

/// Ends those that this verb may start from; says which they are.
pub(super) async fn discard(
    tx: &Tx,
    verb: Verb,
    records: &[Uuid],
    at: Timestamp,
    counts: &mut Counts,
) -> Result<Vec<Uuid>, Fault> {
    let found = standing(tx, verb, records.to_vec()).await?;
    let (mut values, mut resolved) = (Vec::new(), Vec::new());
    for (id, status, handler, group) in &found {
        values.extend([Value::from(*id), at.0.into(), status.as_str().into()]);
        resolved.extend([Value::from(*id), "DISCARDED".into()]);
        counts.step(handler, legal(verb, *status, Status::Discarded)?);
        counts.groups.raise(group.as_deref());
    }
    all(DISCARD.execute(tx, values).await?, found.len())?;
    RESOLVE.execute(tx, resolved).await?;
    Ok(found.into_iter().map(|(id, ..)| id).collect())
}

async fn pause(tx: &Tx, handler: &str, paused: bool, at: Timestamp) -> Result<u64, Fault> {
    let row = handler_state::ActiveModel {
        handler_name: Set(handler.to_owned()),
        paused: Set(paused),
        changed_at: Set(at.0),
    };
    let columns = [handler_state::Column::Paused, handler_state::Column::ChangedAt];
    let conflict = OnConflict::column(handler_state::Column::HandlerName).update_columns(columns).to_owned();
    handler_state::Entity::insert(row).on_conflict(conflict).exec_without_returning(tx).await?;
    Ok(1)
}

async fn rebind(
    tx: &Tx,
    from: &str,
    event_type: &str,
    to: Option<&str>,
    at: Timestamp,
    counts: &mut Counts,
) -> Result<u64, Fault> {
    let mut rebound = 0;
    let death = Buried::unhandled(event_type, at);
    // The two indexes of what waits, one after the other.
    for crashes in ["crash_count < 2", "crash_count >= 2"] {
        let backend = tx.get_database_backend();
        let sql = format!(
            "SELECT id, status FROM event_record WHERE {WAITING} AND {crashes} AND handler_name = ? AND event_type = ? \
             LIMIT {MOST_REBOUND}{}",
            skip_locked(backend)
        );
        let rows = tx.query_all_raw(statement(backend, &sql, [from.into(), event_type.into()])).await?;
        let mut values = Vec::with_capacity(rows.len() * 4);
        for row in &rows {
            let (id, status): (Uuid, Status) = (row.try_get("", "id")?, word(&row.try_get::<String>("", "status")?)?);
            values.push(id.into());
            values.extend(to.map(Value::from));
            values.extend([at.0.into(), status.as_str().into()]);
            match to {
                Some(to) => {
                    counts.add(from, status, -1);
                    counts.add(to, status, 1);
                }
                None => {
                    values.push(death.group().into());
                    counts.step(from, legal(Verb::Unbind, status, Status::NoHandler)?);
                    counts.groups.bury(death.clone(), 1);
                }
            }
        }
        let bulk = if to.is_some() { REBIND } else { UNBIND };
        all(bulk.execute(tx, values).await?, rows.len())?;
        rebound += rows.len() as u64;
    }
    Ok(rebound)
}

/// All rows that were read have changed: on a ledger that others write to, they are locked since.
fn all(changed: u64, read: usize) -> Result<(), Fault> {
    if changed == read as u64 { Ok(()) } else { Err(Fault::Moved) }
}

fn legal(verb: Verb, from: Status, to: Status) -> Result<Transition, Fault> {
    transition(verb, Some(from), to).map_err(|illegal| Fault::Refused(illegal.to_string()))
}
