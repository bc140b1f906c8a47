//! What an operation could not change, the first of it.

use sea_orm::entity::prelude::*;

/// A row of `operation_failure`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "operation_failure")]
pub struct Model {
    /// Which operation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub operation_id: Uuid,
    /// Which record.
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: Uuid,
    /// Why.
    pub reason: String,
}

impl ActiveModelBehavior for ActiveModel {}
