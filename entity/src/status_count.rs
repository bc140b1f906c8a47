//! How many records stand where, kept in the transactions that move them.

use sea_orm::entity::prelude::*;

/// A row of `status_count`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "status_count")]
pub struct Model {
    /// Whose share of the count: nodes never write each other's.
    #[sea_orm(primary_key, auto_increment = false)]
    pub node: Uuid,
    /// Whose lane; empty if there is none.
    #[sea_orm(primary_key, auto_increment = false)]
    pub handler_name: String,
    /// Where they stand.
    #[sea_orm(primary_key, auto_increment = false)]
    pub status: String,
    /// How many; a share may be negative, the sum is exact.
    pub n: i64,
}

impl ActiveModelBehavior for ActiveModel {}
