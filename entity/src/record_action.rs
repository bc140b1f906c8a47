//! Which records an operator's action has changed.

use sea_orm::entity::prelude::*;

/// A row of `record_action`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "record_action")]
pub struct Model {
    /// Which record.
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: Uuid,
    /// By what: a line of the audit log.
    #[sea_orm(primary_key, auto_increment = false)]
    pub action_id: Uuid,
}

impl ActiveModelBehavior for ActiveModel {}
