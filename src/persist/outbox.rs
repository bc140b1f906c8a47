//! The outbox of the dead-letter queue: what is still to be published, and what has been.

use evenkeel_entity::{dead_letter, event_record};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value};
use uuid::Uuid;

use super::column::{signed, unsigned, word};
use super::fault::Fault;
use super::reads::Reads;
use super::record::{Record, split};
use super::rows::{
    Bulk,
    Type::{Id, Int, Long},
};
use super::tx::Tx;
use crate::clock::Timestamp;
use crate::event::{Event, Payload};
use crate::lifecycle::Status;

/// A death that has not been published.
#[derive(Clone, Debug)]
pub struct Death {
    /// Who died, as it stands now.
    pub record: Record,
    /// Its event.
    pub event: Event<Payload>,
    /// In which round.
    pub round: u32,
    /// The status it died with.
    pub reason: Status,
    /// When.
    pub at: Timestamp,
}

const PUBLISHED: Bulk = Bulk {
    head: "UPDATE dead_letter SET published_at = v.column3 FROM (",
    types: &[Id, Int, Long],
    row: "(?, ?, ?)",
    tail: ") AS v WHERE dead_letter.record_id = v.column1 AND dead_letter.round = v.column2 \
           AND dead_letter.published_at IS NULL",
};

/// Writes down that these deaths are published; those that were already stay as they are.
pub(super) async fn published(tx: &Tx, deaths: &[(Uuid, u32)], at: Timestamp) -> Result<(), Fault> {
    let values = deaths.iter().flat_map(|(id, round)| [Value::from(*id), signed(*round).into(), at.0.into()]);
    PUBLISHED.execute(tx, values.collect()).await?;
    Ok(())
}

impl Reads {
    /// Up to `limit` deaths of events of this bus that have not been published, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn deaths(&self, bus: &str, limit: u64) -> Result<Vec<Death>, DbErr> {
        let rows = dead_letter::Entity::find()
            .filter(dead_letter::Column::Bus.eq(bus))
            .filter(dead_letter::Column::PublishedAt.is_null())
            .order_by_asc(dead_letter::Column::CreatedAt)
            .limit(limit)
            .all(&self.db)
            .await?;
        let mut deaths = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(model) = event_record::Entity::find_by_id(row.record_id).one(&self.db).await? else { continue };
            let (record, _) = Record::from_model(model.clone())?;
            let (_, event) = split(model)?;
            let (round, reason, at) = (unsigned(row.round), word(&row.reason)?, Timestamp(row.created_at));
            deaths.push(Death { record, event, round, reason, at });
        }
        Ok(deaths)
    }
}
