//! Reading compounds: where each stands, and how it came there.

use evenkeel_entity::{chemical_status, chemical_status_change};
use sea_orm::sea_query::NullOrdering;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::persist::Reads;

/// A compound as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Chemical {
    /// Its CAS registry number.
    pub cas: String,
    /// Its name. This and the four that follow are from the newest change that tells them.
    #[schema(required)]
    pub name: Option<String>,
    /// Its molecular formula.
    #[schema(required)]
    pub formula: Option<String>,
    /// Its InChIKey.
    #[schema(required)]
    pub inchikey: Option<String>,
    /// Its compound id at PubChem.
    #[schema(required)]
    pub pubchem_cid: Option<i64>,
    /// In g/mol.
    #[schema(required)]
    pub molecular_weight: Option<f64>,
    /// The status now: the newest change's.
    pub status: String,
    /// The status before, as the newest change says.
    #[schema(required)]
    pub previous_status: Option<String>,
    /// When the registry changed it.
    pub changed_at: Timestamp,
    /// The `sequence` of the newest change, if its event has one.
    #[schema(required)]
    pub sequence: Option<i64>,
    /// The record of the newest change.
    pub record_id: Uuid,
    /// When the newest change was written.
    pub updated_at: Timestamp,
}

/// One change of a compound's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChemicalChange)]
pub struct PastChange {
    /// The status after it.
    pub status: String,
    /// The status before it, if it says so.
    #[schema(required)]
    pub previous_status: Option<String>,
    /// When the registry changed it.
    pub changed_at: Timestamp,
    /// The `sequence` of its event, if it has one.
    #[schema(required)]
    pub sequence: Option<i64>,
    /// The record of its event.
    pub record_id: Uuid,
    /// When it was written; a late arrival is written after younger ones.
    pub recorded_at: Timestamp,
}

impl Reads {
    /// The compound with this CAS number, if any change of it has been handled.
    ///
    /// # Errors
    /// The database's.
    pub async fn chemical(&self, cas: &str) -> Result<Option<Chemical>, DbErr> {
        Ok(chemical_status::Entity::find_by_id(cas).one(&self.db).await?.map(Chemical::from_model))
    }

    /// Up to `limit` compounds in the order of their CAS numbers as texts, after this one, of this status.
    ///
    /// # Errors
    /// The database's.
    pub async fn chemicals(
        &self,
        status: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Chemical>, DbErr> {
        use chemical_status::Column as C;
        let mut query = chemical_status::Entity::find();
        if let Some(status) = status {
            query = query.filter(C::Status.eq(status));
        }
        if let Some(after) = after {
            query = query.filter(C::Cas.gt(after));
        }
        let rows = query.order_by_asc(C::Cas).limit(limit).all(&self.db).await?;
        Ok(rows.into_iter().map(Chemical::from_model).collect())
    }

    /// The newest changes of a compound, up to `limit` of them, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn chemical_history(&self, cas: &str, limit: u64) -> Result<Vec<PastChange>, DbErr> {
        use chemical_status_change::Column as C;
        let newest_first = chemical_status_change::Entity::find()
            .filter(C::Cas.eq(cas))
            .order_by_desc(C::ChangedAt)
            .order_by_with_nulls(C::Sequence, Order::Desc, NullOrdering::Last)
            .order_by_desc(C::RecordId)
            .limit(limit)
            .all(&self.db)
            .await?;
        Ok(newest_first.into_iter().rev().map(PastChange::from_model).collect())
    }
}

impl Chemical {
    fn from_model(row: chemical_status::Model) -> Self {
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
