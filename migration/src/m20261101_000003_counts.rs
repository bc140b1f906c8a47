//! Counts by status, exact at any size.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text, uuid};

use crate::without_rowid;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("status_count")
                    .col(uuid("node"))
                    .col(text("handler_name"))
                    .col(text("status"))
                    .col(big_integer("n"))
                    .primary_key(Index::create().col("node").col("handler_name").col("status"))
                    .extra(without_rowid(manager))
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("status_count").to_owned()).await?;
        Ok(())
    }
}
