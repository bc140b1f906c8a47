//! Records that hold no key can be found by the position of their message, so that its redelivery is known again.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The terms of its `WHERE` must stand in a query word by word.
        let index = "CREATE INDEX event_record_position ON event_record (topic, partition, position) \
                     WHERE status IN ('DUPLICATE', 'INVALID') AND position IS NOT NULL";
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("event_record_position").to_owned()).await
    }
}
