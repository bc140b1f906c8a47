//! What happened in each ten seconds, for the charts: a row for each slot and node, kept for a little more than a day.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, uuid};

use crate::without_rowid;

/// How many buckets the histogram of times has; its bounds are in the engine's `telemetry`.
const BUCKETS: usize = 17;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        // The slots of all nodes beside each other: a chart reads a span of them, and what is old is at the beginning.
        table.table("rollup").col(big_integer("at")).col(uuid("node"));
        for column in ["accepted", "finished", "failed", "retried"] {
            table.col(big_integer(column));
        }
        for bucket in 0..BUCKETS {
            table.col(big_integer(format!("took_{bucket}")));
        }
        table.primary_key(Index::create().col("at").col("node")).extra(without_rowid(manager));
        manager.create_table(table.to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("rollup").to_owned()).await
    }
}
