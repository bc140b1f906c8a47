//! One change of a compound's status, with all that it told, in whatever order the changes came in.

use sea_orm::entity::prelude::*;

/// A row of `chemical_status_change`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "chemical_status_change")]
pub struct Model {
    /// The record of its event: handled twice, it is still one change.
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: Uuid,
    /// Which compound.
    pub cas: String,
    /// The status after.
    pub status: String,
    /// The status before, if it was told.
    pub previous_status: Option<String>,
    /// When the registry changed it.
    pub changed_at: i64,
    /// Its place among the changes of the compound, if it was told.
    pub sequence: Option<i64>,
    /// The name, if it was told; so are the four that follow.
    pub name: Option<String>,
    /// The molecular formula.
    pub formula: Option<String>,
    /// The InChIKey.
    pub inchikey: Option<String>,
    /// The compound id at PubChem.
    pub pubchem_cid: Option<i64>,
    /// In g/mol.
    pub molecular_weight: Option<f64>,
    /// When it was written here.
    pub recorded_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
