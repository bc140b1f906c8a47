//! Who did what, when and to how many: append-only.

use sea_orm::entity::prelude::*;

/// A row of `operator_action`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "operator_action")]
pub struct Model {
    /// uuid v7 of the moment.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When.
    pub at: i64,
    /// Who, as far as is known.
    pub actor: String,
    /// The verb.
    pub action: String,
    /// The record, the handler, the operation, or how many records.
    pub target: String,
    /// How many records changed.
    pub affected: i64,
    /// Why, if they said.
    pub reason: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
