//! What operators did to one record, and which events they made from it.

use evenkeel_entity::resubmission;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::audit::{self, AuditLine};
use super::fault::Fault;
use super::operate::{Action, Operation};
use super::reads::Reads;
use super::record::{NewRecord, Remade};
use super::tx::Tx;
use crate::clock::Timestamp;

/// The most of either that is shown of one record.
const MOST: u64 = 100;

/// Something that an operator did to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Who, as far as is known.
    pub actor: String,
    /// The verb, such as `redrive`.
    pub action: String,
    /// Why, if they said.
    pub reason: Option<String>,
}

/// An event that was made from a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resubmission {
    /// Its record.
    pub record: Uuid,
    /// When.
    pub at: Timestamp,
}

/// Writes down which of these records were made from others, and by whom.
pub(super) async fn note(tx: &Tx, records: &[&NewRecord]) -> Result<(), Fault> {
    for NewRecord { id: record, created_at: at, remade, .. } in records {
        let Some(Remade { id, original, actor, reason }) = remade.as_deref() else { continue };
        let kept = keep(tx, *original, *record, *at).await?;
        let action = Action::Resubmit { original: *original, record: *record };
        let (actor, reason) = (actor.clone(), reason.clone());
        audit::write(tx, &Operation { action, id: *id, at: *at, actor, reason }, kept).await?;
    }
    Ok(())
}

/// Keeps that a record was made from another; returns 0 if that is kept already.
pub(super) async fn keep(tx: &Tx, original: Uuid, record: Uuid, at: Timestamp) -> Result<u64, Fault> {
    let row = resubmission::ActiveModel { original: Set(original), record_id: Set(record), at: Set(at.0) };
    let kept = resubmission::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(kept)
}

impl Reads {
    /// What operators did to this record by its id, oldest first. What they did to many at once is among it.
    ///
    /// # Errors
    /// The database's.
    pub async fn acts(&self, record: Uuid) -> Result<Vec<Act>, DbErr> {
        let lines = self.actions_on(record, MOST).await?;
        let act = |AuditLine { at, actor, action, reason, .. }| Act { at, actor, action, reason };
        Ok(lines.into_iter().map(act).collect())
    }

    /// The events that were made from this record, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn resubmissions(&self, original: Uuid) -> Result<Vec<Resubmission>, DbErr> {
        let rows = resubmission::Entity::find()
            .filter(resubmission::Column::Original.eq(original))
            .order_by_asc(resubmission::Column::RecordId)
            .limit(MOST)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|row| Resubmission { record: row.record_id, at: Timestamp(row.at) }).collect())
    }
}
