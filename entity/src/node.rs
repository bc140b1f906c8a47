//! One running process, with a new id at each boot.

use sea_orm::entity::prelude::*;

/// A row of `node`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "node")]
pub struct Model {
    /// New at each boot.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// The names of its handlers, a JSON array.
    pub handlers: String,
    /// When it started.
    pub started_at: i64,
    /// Until when it counts as alive without a sign.
    pub lease_until: Option<i64>,
    /// Whether it is stopping on purpose.
    pub draining: bool,
    /// When another took over its claims.
    pub fenced_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
