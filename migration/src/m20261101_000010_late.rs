//! Records that are much younger than their ids: what waited in its broker keeps the id that its sender was told.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, uuid};

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
                    .table("late_record")
                    .col(big_integer("created_at"))
                    .col(uuid("record_id"))
                    .primary_key(Index::create().col("created_at").col("record_id"))
                    .extra(without_rowid(manager))
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("late_record").to_owned()).await?;
        Ok(())
    }
}
