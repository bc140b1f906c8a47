//! What waits, by its status and newest first, and what was late, by its id: a search walks down each and looks at no more
//! than a page may. An event that succeeds at once is in neither.

use sea_orm_migration::prelude::*;

/// A partial index, written out: the terms of its `WHERE` must stand in a query word by word to be used.
const INDEXES: [&str; 2] = [
    "CREATE INDEX event_record_status ON event_record (status, id) \
     WHERE status IN ('PENDING', 'RETRY_SCHEDULED', 'SCHEDULED')",
    "CREATE INDEX late_record_id ON late_record (record_id, created_at)",
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
        for (name, table) in [("late_record_id", "late_record"), ("event_record_status", "event_record")] {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        Ok(())
    }
}
