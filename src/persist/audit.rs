//! The audit log: what operators did, in the transactions in which it was done. Lines are only ever added.

use evenkeel_entity::{operator_action, record_action};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Value,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::column::clean;
use super::fault::Fault;
use super::operate::Operation;
use super::reads::Reads;
use super::rows::{Bulk, Type::Id};
use super::tx::Tx;
use crate::clock::Timestamp;

const CHANGED: Bulk = Bulk {
    head: "INSERT INTO record_action (record_id, action_id) ",
    types: &[Id, Id],
    row: "(?, ?)",
    tail: " ON CONFLICT DO NOTHING",
};

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditLine {
    /// Its id, a uuid v7; that of the line that begins an operation is the operation's.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Who, as far as is known.
    pub actor: String,
    /// What: `redrive`, `discard`, `cancel`, `pause`, `resume`, `rebind`, and the words of operations such as
    /// `begin_redrive`.
    pub action: String,
    /// To what: a record, a handler, an operation, or how many records.
    pub target: String,
    /// How many records were changed by then.
    pub affected: i64,
    /// Why, if they said.
    #[schema(required)]
    pub reason: Option<String>,
}

/// Which lines are asked for; nothing set is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the member of the line that must be equal")]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub target: Option<String>,
    /// Done at this moment or later.
    pub since: Option<Timestamp>,
    /// Done before this moment.
    pub until: Option<Timestamp>,
}

/// Writes down who did it, and how many records it changed.
pub(super) async fn write(tx: &Tx, operation: &Operation, affected: u64) -> Result<(), Fault> {
    let row = operator_action::ActiveModel {
        id: Set(operation.id),
        at: Set(operation.at.0),
        actor: Set(clean(&operation.actor)),
        action: Set(operation.action.name().to_owned()),
        target: Set(clean(&operation.action.target(operation.id))),
        affected: Set(i64::try_from(affected).unwrap_or(i64::MAX)),
        reason: Set(operation.reason.as_deref().map(clean)),
    };
    operator_action::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Writes down which records an action has changed; says how many they are.
pub(super) async fn changed(tx: &Tx, action: Uuid, records: &[Uuid]) -> Result<u64, Fault> {
    let values = records.iter().flat_map(|record| [Value::from(*record), action.into()]);
    CHANGED.execute(tx, values.collect()).await?;
    Ok(records.len() as u64)
}

impl Reads {
    /// Up to `limit` lines, newest first, that are older than `before`.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit(&self, filter: &AuditFilter, before: Option<Uuid>, limit: u64) -> Result<Vec<AuditLine>, DbErr> {
        use operator_action::Column as C;
        let mut query = operator_action::Entity::find();
        for (column, text) in [(C::Actor, &filter.actor), (C::Action, &filter.action), (C::Target, &filter.target)] {
            query = query.apply_if(text.as_deref(), |query, text| query.filter(column.eq(text)));
        }
        query = query.apply_if(filter.since, |query, since| query.filter(C::At.gte(since.0)));
        query = query.apply_if(filter.until, |query, until| query.filter(C::At.lt(until.0)));
        query = query.apply_if(before, |query, before| query.filter(C::Id.lt(before)));
        let rows = query.order_by_desc(C::Id).limit(limit).all(&self.db).await?;
        Ok(rows.into_iter().map(AuditLine::from).collect())
    }

    /// What operators did to one record, oldest first; up to `limit` of it. What changed many records at once before
    /// this was written down for each is not among it.
    ///
    /// # Errors
    /// The database's.
    pub async fn actions_on(&self, record: Uuid, limit: u64) -> Result<Vec<AuditLine>, DbErr> {
        use operator_action::Column as C;
        let noted = record_action::Entity::find()
            .select_only()
            .column(record_action::Column::ActionId)
            .filter(record_action::Column::RecordId.eq(record));
        let noted = operator_action::Entity::find().filter(C::Id.in_subquery(noted.into_query()));
        let named = operator_action::Entity::find().filter(C::Target.eq(record.to_string()));
        let mut lines = Vec::new();
        for query in [noted, named] {
            let rows = query.order_by_asc(C::Id).limit(limit).all(&self.db).await?;
            lines.extend(rows.into_iter().map(AuditLine::from));
        }
        lines.sort_by_key(|line| line.id);
        lines.dedup_by_key(|line| line.id);
        lines.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(lines)
    }
}

impl From<operator_action::Model> for AuditLine {
    fn from(row: operator_action::Model) -> Self {
        let operator_action::Model { id, at, actor, action, target, affected, reason } = row;
        Self { id, at: Timestamp(at), actor, action, target, affected, reason }
    }
}
