//! Reading a compound: where it stands, and how it came there.

use evenkeel_entity::{chemical_status, chemical_status_change};
use sea_orm::sea_query::NullOrdering;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::persist::Reads;

/// No more of a history is read at once: the newest of it.
const LONGEST: u64 = 1_000;

/// A compound as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chemical {
    /// Its CAS registry number.
    pub cas: String,
    /// Its name. This and the four that follow are from the newest change that tells them.
    pub name: Option<String>,
    /// Its molecular formula.
    pub formula: Option<String>,
    /// Its InChIKey.
    pub inchikey: Option<String>,
    /// Its compound id at PubChem.
    pub pubchem_cid: Option<i64>,
    /// In g/mol.
    pub molecular_weight: Option<f64>,
    /// The status now: the newest change's.
    pub status: String,
    /// The status before, as the newest change says.
    pub previous_status: Option<String>,
    /// When the registry changed it.
    pub changed_at: Timestamp,
    /// The `sequence` of the newest change, if its event has one.
    pub sequence: Option<i64>,
    /// The record of the newest change.
    pub record_id: Uuid,
    /// When the newest change was written.
    pub updated_at: Timestamp,
    /// All its changes, oldest first; of more than 1,000 the newest.
    pub history: Vec<PastChange>,
}

/// One change of a compound's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastChange {
    /// The status after it.
    pub status: String,
    /// The status before it, if it says so.
    pub previous_status: Option<String>,
    /// When the registry changed it.
    pub changed_at: Timestamp,
    /// The `sequence` of its event, if it has one.
    pub sequence: Option<i64>,
    /// The record of its event.
    pub record_id: Uuid,
    /// When it was written: late arrivals are later than their neighbours.
    pub recorded_at: Timestamp,
}

impl Reads {
    /// The compound with this CAS number, if any change of it has been handled.
    ///
    /// # Errors
    /// The database's.
    pub async fn chemical(&self, cas: &str) -> Result<Option<Chemical>, DbErr> {
        use chemical_status_change::Column as C;
        let Some(row) = chemical_status::Entity::find_by_id(cas).one(&self.db).await? else { return Ok(None) };
        let changes = chemical_status_change::Entity::find()
            .filter(C::Cas.eq(cas))
            .order_by_desc(C::ChangedAt)
            .order_by_with_nulls(C::Sequence, Order::Desc, NullOrdering::Last)
            .order_by_desc(C::RecordId)
            .limit(LONGEST)
            .all(&self.db)
            .await?;
        Ok(Some(Chemical::from_models(row, changes.into_iter().rev())))
    }
}

impl Chemical {
    fn from_models(row: chemical_status::Model, changes: impl Iterator<Item = chemical_status_change::Model>) -> Self {
        Self {
            cas: row.cas,
            name: row.name,
            formula: row.formula,
            inchikey: row.inchikey,
            pubchem_cid: row.pubchem_cid,
            molecular_weight: row.molecular_weight,
            status: row.status,
            previous_status: row.previous_status,
            changed_at: Timestamp(row.changed_at),
            sequence: row.sequence,
            record_id: row.record_id,
            updated_at: Timestamp(row.updated_at),
            history: changes.map(PastChange::from_model).collect(),
        }
    }
}

impl PastChange {
    fn from_model(row: chemical_status_change::Model) -> Self {
        Self {
            status: row.status,
            previous_status: row.previous_status,
            changed_at: Timestamp(row.changed_at),
            sequence: row.sequence,
            record_id: row.record_id,
            recorded_at: Timestamp(row.recorded_at),
        }
    }
}
