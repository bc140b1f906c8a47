//! Records that are much younger than their ids, so that a period is found without a look at all that is older.

use sea_orm::entity::prelude::*;

/// A row of `late_record`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "late_record")]
pub struct Model {
    /// When the record was taken in.
    #[sea_orm(primary_key, auto_increment = false)]
    pub created_at: i64,
    /// Which.
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: Uuid,
}

impl ActiveModelBehavior for ActiveModel {}
