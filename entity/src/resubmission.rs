//! Events that were made from others by operators.

use sea_orm::entity::prelude::*;

/// A row of `resubmission`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "resubmission")]
pub struct Model {
    /// The record that was there before.
    #[sea_orm(primary_key, auto_increment = false)]
    pub original: Uuid,
    /// The record of the new event.
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: Uuid,
    /// When.
    pub at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
