//! An operation on all dead letters that match a filter: what it is about, and how far it has come.

use sea_orm::entity::prelude::*;

/// A row of `operation`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "operation")]
pub struct Model {
    /// uuid v7 of its beginning, and of the line in the audit log that says so.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The verb.
    pub action: String,
    /// Which records, as JSON.
    pub filter: String,
    /// Where it stands.
    pub state: String,
    /// It is about what had died by this moment.
    pub died_by: i64,
    /// The record that it has come to, in the order of their ids.
    pub cursor: Option<Uuid>,
    /// How many records a second, if it is to be slow.
    pub rate: Option<i32>,
    /// How many records matched at its beginning.
    pub matched: i64,
    /// Whether that is all of them, or only so many were looked at.
    pub is_exact: bool,
    /// How many it has changed.
    pub done: i64,
    /// How many somebody else had changed before.
    pub skipped: i64,
    /// How many could not be changed.
    pub failed: i64,
    /// Why it failed as a whole.
    pub error: Option<String>,
    /// The node that works on it.
    pub owner: Option<Uuid>,
    /// Who began it, as far as is known.
    pub actor: String,
    /// Why, if they said.
    pub reason: Option<String>,
    /// When it began.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
