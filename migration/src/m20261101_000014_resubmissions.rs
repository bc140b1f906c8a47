//! Which events were made from which records, and the way from a record to what operators did to it.

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
                    .table("resubmission")
                    .col(uuid("original"))
                    .col(uuid("record_id"))
                    .col(big_integer("at"))
                    .primary_key(Index::create().col("original").col("record_id"))
                    .extra(without_rowid(manager))
                    .to_owned(),
            )
            .await?;
        let index = "CREATE INDEX operator_action_target ON operator_action (target)";
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("operator_action_target").to_owned()).await?;
        manager.drop_table(Table::drop().table("resubmission").to_owned()).await?;
        Ok(())
    }
}
