//! How many dead letters failed in the same way, kept in the transactions that bury and raise them.

use sea_orm::entity::prelude::*;

/// A row of `dead_letter_group`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dead_letter_group")]
pub struct Model {
    /// Whose share of the group: nodes never write each other's.
    #[sea_orm(primary_key, auto_increment = false)]
    pub node: Uuid,
    /// What they have in common.
    #[sea_orm(primary_key, auto_increment = false)]
    pub fingerprint: String,
    /// How many; a share may be negative, the sum is exact.
    pub n: i64,
    /// Whose lane. This and all that follows is unknown to a node that has only raised some of them.
    pub handler_name: Option<String>,
    /// Their type, if nobody handles it.
    pub event_type: Option<String>,
    /// How they ended.
    pub final_status: Option<String>,
    /// The error without its values.
    pub title: Option<String>,
    /// The error of one of them.
    pub sample: Option<String>,
    /// The first death.
    pub first_seen: Option<i64>,
    /// The last death.
    pub last_seen: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
