//! One attempt that has ended; the one that runs is the record's claim.

use sea_orm::entity::prelude::*;

/// A row of `event_attempt`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_attempt")]
pub struct Model {
    /// Whose attempt.
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: Uuid,
    /// Counted from 1, on through redrives.
    #[sea_orm(primary_key, auto_increment = false)]
    pub attempt_number: i32,
    /// The fencing token of its claim.
    pub attempt_id: Uuid,
    /// Who tried.
    pub handler_name: String,
    /// Where.
    pub node: Uuid,
    /// How it ended.
    pub status: String,
    /// When its claim was made.
    pub started_at: i64,
    /// When it ended.
    pub completed_at: i64,
    /// Milliseconds in the handler.
    pub processing_time: i64,
    /// The whole chain of errors.
    pub error_message: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
