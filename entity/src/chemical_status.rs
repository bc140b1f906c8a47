//! Where a compound stands in the registry: what the newest change of its status said.

use sea_orm::entity::prelude::*;

/// A row of `chemical_status`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "chemical_status")]
pub struct Model {
    /// Its CAS registry number.
    #[sea_orm(primary_key, auto_increment = false)]
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
    /// The status now.
    pub status: String,
    /// The status before, as the newest change says.
    pub previous_status: Option<String>,
    /// When the registry changed it.
    pub changed_at: i64,
    /// The place of the newest change among those of the compound, if its event tells it.
    pub sequence: Option<i64>,
    /// The record of the newest change.
    pub record_id: Uuid,
    /// When the newest change was written here.
    pub updated_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
