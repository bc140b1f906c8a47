//! What a search is bounded by: how events ended, but for those that ended well, and which of them have an error. An
//! event that succeeds at once is in neither index.

use sea_orm_migration::prelude::*;

/// Partial indexes, written out: the terms of their `WHERE` must stand in a query word by word to be used.
const INDEXES: [&str; 2] = [
    "CREATE INDEX event_record_ended ON event_record (final_status, id) \
     WHERE final_status IN ('FAILED', 'SKIPPED', 'NO_HANDLER', 'DEAD_LETTER', 'DISCARDED')",
    "CREATE INDEX event_record_error ON event_record (id) WHERE error IS NOT NULL",
];

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["event_record_error", "event_record_ended"] {
            manager.drop_index(Index::drop().name(name).to_owned()).await?;
        }
        Ok(())
    }
}
