//! Operations on many dead letters: what is changed, how far it has come and how many that were is one transaction, so
//! that an operation goes on exactly where it was broken off.

mod reads;

use evenkeel_entity::{event_record, operation, operation_failure};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use uuid::Uuid;

use super::audit;
use super::column::{clean, word};
use super::counts::Counts;
use super::dialect::statement;
use super::fault::Fault;
use super::groups::{self, Buried};
use super::operate::{self, Operation};
use super::reads::Filter;
use super::tx::Tx;
use crate::clock::Timestamp;
use crate::lifecycle::{FinalStatus, OperationAction, OperationState, OperationVerb, Verb};
pub use reads::{Matched, OperationFailure, OperationRecord, Window};
#[cfg(test)]
pub(super) use reads::{edge, within};

/// What an operation is about.
#[derive(Clone, Debug)]
pub struct Begin {
    /// What it does.
    pub action: OperationAction,
    /// To which records.
    pub filter: Filter,
    /// They had died by this moment: what dies later is not touched, even if it was redriven by the operation.
    pub died_by: Timestamp,
    /// How many match now.
    pub matched: Matched,
    /// How many records a second, if it is to be slow.
    pub rate: Option<u32>,
}

/// The next records of an operation.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which operation.
    pub operation: Uuid,
    /// The node that works on it.
    pub owner: Uuid,
    /// How far it has come before. A step that was made already finds that it does not stand there any more.
    pub from: Option<Uuid>,
    /// How far it has come then.
    pub to: Uuid,
    /// What is changed.
    pub work: Work,
    /// What cannot be changed, and why.
    pub failures: Vec<(Uuid, String)>,
}

/// The records of a step that can be changed.
#[derive(Clone, Debug)]
pub enum Work {
    /// A new round for these; each with the handler that its type resolves to now.
    Redrive(Vec<(Uuid, String)>),
    /// The end of these.
    Discard(Vec<Uuid>),
    /// The groups of these, which have none yet.
    Group(Vec<Uuid>),
}

impl Work {
    /// How many records it is about.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Redrive(records) => records.len(),
            Self::Discard(records) | Self::Group(records) => records.len(),
        }
    }

    /// Whether it is about none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// So many failures of an operation are kept; the others are counted.
const MOST_FAILURES: usize = 100;

/// Writes it down; false if an earlier try of the same command has.
pub(super) async fn begin(tx: &Tx, asked: &Operation, begin: &Begin) -> Result<bool, Fault> {
    let filter = serde_json::to_string(&begin.filter).map_err(|error| Fault::Refused(error.to_string()))?;
    let row = operation::ActiveModel {
        id: Set(asked.id),
        action: Set(begin.action.as_str().to_owned()),
        filter: Set(clean(&filter)),
        state: Set(OperationState::Running.as_str().to_owned()),
        died_by: Set(begin.died_by.0),
        cursor: Set(None),
        rate: Set(begin.rate.map(|rate| i32::try_from(rate).unwrap_or(i32::MAX))),
        matched: Set(i64::try_from(begin.matched.count).unwrap_or(i64::MAX)),
        is_exact: Set(begin.matched.is_exact),
        done: Set(0),
        skipped: Set(0),
        failed: Set(0),
        error: Set(None),
        owner: Set(None),
        actor: Set(clean(&asked.actor)),
        reason: Set(asked.reason.as_deref().map(clean)),
        created_at: Set(asked.at.0),
        updated_at: Set(asked.at.0),
        ended_at: Set(None),
    };
    let conflict = OnConflict::column(operation::Column::Id).do_nothing().to_owned();
    Ok(operation::Entity::insert(row).on_conflict(conflict).exec_without_returning(tx).await? == 1)
}

/// Changes its state, if that is possible where it stands; says how many records it has changed so far.
pub(super) async fn turn(
    tx: &Tx,
    id: Uuid,
    verb: OperationVerb,
    error: Option<&str>,
    at: Timestamp,
) -> Result<Option<u64>, Fault> {
    use operation::Column as C;
    let from = verb.from().iter().map(|state| state.as_str());
    let mut update = operation::Entity::update_many()
        .col_expr(C::State, Expr::value(verb.to().as_str()))
        .col_expr(C::UpdatedAt, Expr::value(at.0))
        .filter(C::Id.eq(id))
        .filter(C::State.is_in(from));
    if verb.to().is_over() {
        update = update.col_expr(C::EndedAt, Expr::value(at.0)).col_expr(C::Error, Expr::value(error.map(clean)));
    }
    if update.exec(tx).await?.rows_affected == 0 {
        return Ok(None);
    }
    if verb == OperationVerb::Complete {
        // What matched at its beginning and was not there when its turn came has been changed by somebody else.
        let sql = "UPDATE operation SET skipped = matched - done - failed \
                   WHERE id = ? AND is_exact AND matched - done - failed > skipped";
        tx.execute_raw(statement(tx.get_database_backend(), sql, [id.into()])).await?;
    }
    let done: Option<i64> =
        operation::Entity::find_by_id(id).select_only().column(C::Done).into_tuple().one(tx).await?;
    Ok(done.map(|done| u64::try_from(done).unwrap_or(0)))
}

/// Takes it, if nobody alive has it. One, if it is taken.
pub(super) async fn adopt(tx: &Tx, id: Uuid, owner: Uuid, at: Timestamp) -> Result<u64, Fault> {
    let sql = "UPDATE operation SET owner = ?, updated_at = ? WHERE id = ? AND state = 'RUNNING' AND (owner IS NULL \
               OR NOT EXISTS (SELECT 1 FROM node n WHERE n.id = operation.owner AND n.fenced_at IS NULL \
               AND NOT n.draining))";
    let values = [owner.into(), at.0.into(), id.into()];
    Ok(tx.execute_raw(statement(tx.get_database_backend(), sql, values)).await?.rows_affected())
}

/// Takes it further; says how many records it has changed. Nothing is changed if it does not run any more, or if
/// somebody else has made this step.
pub(super) async fn step(tx: &Tx, step: &Step, at: Timestamp, counts: &mut Counts) -> Result<u64, Fault> {
    let backend = tx.get_database_backend();
    let stood = if step.from.is_some() { "cursor = ?" } else { "cursor IS NULL" };
    let sql = format!(
        "UPDATE operation SET cursor = ?, updated_at = ? WHERE id = ? AND owner = ? AND state = 'RUNNING' AND {stood}"
    );
    let values = [Value::from(step.to), at.0.into(), step.operation.into(), step.owner.into()];
    let values = values.into_iter().chain(step.from.map(Value::from));
    if tx.execute_raw(statement(backend, &sql, values)).await?.rows_affected() == 0 {
        return Ok(0);
    }
    let changed = match &step.work {
        Work::Redrive(records) => operate::redrive(tx, records, at, counts).await?,
        Work::Discard(records) => operate::discard(tx, Verb::Discard, records, at, counts).await?,
        Work::Group(records) => group(tx, records, counts).await?,
    };
    if !matches!(step.work, Work::Group(_)) {
        audit::changed(tx, step.operation, &changed).await?;
    }
    note_failures(tx, step).await?;
    let (done, failed) = (changed.len(), step.failures.len());
    let skipped = step.work.len().saturating_sub(done);
    let sql = "UPDATE operation SET done = done + ?, skipped = skipped + ?, failed = failed + ? WHERE id = ?";
    let more = [done, skipped, failed].map(|more| Value::from(i64::try_from(more).unwrap_or(i64::MAX)));
    let values = more.into_iter().chain([step.operation.into()]);
    tx.execute_raw(statement(backend, sql, values)).await?;
    Ok(done as u64)
}

async fn note_failures(tx: &Tx, step: &Step) -> Result<(), Fault> {
    use operation_failure::Column as C;
    if step.failures.is_empty() {
        return Ok(());
    }
    let kept = operation_failure::Entity::find().select_only().column(C::RecordId);
    let kept = kept.filter(C::OperationId.eq(step.operation)).limit(MOST_FAILURES as u64);
    let kept: Vec<Uuid> = kept.into_tuple().all(tx).await?;
    let row = |(record, reason): &(Uuid, String)| operation_failure::ActiveModel {
        operation_id: Set(step.operation),
        record_id: Set(*record),
        reason: Set(clean(reason)),
    };
    let rows: Vec<_> = step.failures.iter().take(MOST_FAILURES.saturating_sub(kept.len())).map(row).collect();
    if !rows.is_empty() {
        operation_failure::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// A dead letter from before groups were kept.
type Old = (Uuid, Option<String>, String, String, Option<String>, Option<i64>);

/// Puts those that have none into the groups of their errors; says which they are.
async fn group(tx: &Tx, records: &[Uuid], counts: &mut Counts) -> Result<Vec<Uuid>, Fault> {
    use event_record::Column as C;
    let old: Vec<Old> = event_record::Entity::find()
        .select_only()
        .columns([C::Id, C::HandlerName, C::EventType, C::FinalStatus, C::Error, C::CompletedAt])
        .filter(C::Id.is_in(records.iter().copied()))
        .filter(C::FinalStatus.is_in([FinalStatus::DeadLetter.as_str(), FinalStatus::NoHandler.as_str()]))
        .filter(C::Fingerprint.is_null())
        .order_by_asc(C::Id)
        .into_tuple()
        .all(tx)
        .await?;
    let mut deaths = Vec::with_capacity(old.len());
    for (id, handler, event_type, end, error, at) in old {
        let at = Timestamp(at.unwrap_or_default());
        let death = match word(&end)? {
            FinalStatus::NoHandler => Buried::unhandled(&event_type, at),
            _ => Buried::dead(handler.as_deref().unwrap_or_default(), error.as_deref(), at),
        };
        deaths.push((id, death));
    }
    let grouped = deaths.iter().map(|(id, _)| *id).collect();
    groups::bury(tx, deaths, counts).await?;
    Ok(grouped)
}
