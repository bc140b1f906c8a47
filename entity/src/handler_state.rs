//! What operators have said of a handler; all nodes obey.

use sea_orm::entity::prelude::*;

/// A row of `handler_state`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "handler_state")]
pub struct Model {
    /// Which.
    #[sea_orm(primary_key, auto_increment = false)]
    pub handler_name: String,
    /// Whether it claims nothing.
    pub paused: bool,
    /// Since when.
    pub changed_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
