//! The outbox of the dead-letter queue: one row a death.

use sea_orm::entity::prelude::*;

/// A row of `dead_letter`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dead_letter")]
pub struct Model {
    /// Who died.
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: Uuid,
    /// In which round.
    #[sea_orm(primary_key, auto_increment = false)]
    pub round: i32,
    /// Where to publish it; nothing to do for the embedded bus.
    pub bus: String,
    /// The status it died with.
    pub reason: String,
    /// When.
    pub created_at: i64,
    /// When the broker confirmed it.
    pub published_at: Option<i64>,
    /// What an operator made of it.
    pub resolution: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
