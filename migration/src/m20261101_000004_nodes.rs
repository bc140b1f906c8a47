//! Nodes, the state of handlers, and the audit log of operators.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, text, text_null, uuid};

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("node")
                    .col(uuid("id"))
                    .col(text("name"))
                    .col(text("handlers"))
                    .col(big_integer("started_at"))
                    .col(big_integer_null("lease_until"))
                    .col(boolean("draining"))
                    .col(big_integer_null("fenced_at"))
                    .primary_key(Index::create().col("id"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("handler_state")
                    .col(text("handler_name"))
                    .col(boolean("paused"))
                    .col(big_integer("changed_at"))
                    .primary_key(Index::create().col("handler_name"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("operator_action")
                    .col(uuid("id"))
                    .col(big_integer("at"))
                    .col(text("actor"))
                    .col(text("action"))
                    .col(text("target"))
                    .col(big_integer("affected"))
                    .col(text_null("reason"))
                    .primary_key(Index::create().col("id"))
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("operator_action").to_owned()).await?;
        manager.drop_table(Table::drop().table("handler_state").to_owned()).await?;
        manager.drop_table(Table::drop().table("node").to_owned()).await?;
        Ok(())
    }
}
