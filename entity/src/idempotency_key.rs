//! The first sight of a source and id.

use sea_orm::entity::prelude::*;

/// A row of `idempotency_key`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_key")]
pub struct Model {
    /// CloudEvents `id`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: String,
    /// CloudEvents `source`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    /// The record that holds the key.
    pub record_id: Uuid,
    /// SHA-256 of type, content type and data.
    pub checksum: Vec<u8>,
    /// When it was taken in.
    pub processed_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
