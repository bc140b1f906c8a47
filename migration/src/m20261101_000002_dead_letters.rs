//! The outbox of the dead-letter queue.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, integer, text, text_null, uuid};

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("dead_letter")
                    .col(uuid("record_id"))
                    .col(integer("round"))
                    .col(text("bus"))
                    .col(text("reason"))
                    .col(big_integer("created_at"))
                    .col(big_integer_null("published_at"))
                    .col(text_null("resolution"))
                    .primary_key(Index::create().col("record_id").col("round"))
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("dead_letter").to_owned()).await?;
        Ok(())
    }
}
