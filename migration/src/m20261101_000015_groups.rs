//! Groups of dead letters by their fingerprint, and how many each has, exact at any size.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text, text_null, uuid};

use crate::without_rowid;

/// The records of one group in the order of their ids. A record has a fingerprint for as long as it is a dead letter, or
/// an event without a handler.
const INDEX: &str = "CREATE INDEX event_record_group ON event_record (fingerprint, id) WHERE fingerprint IS NOT NULL";

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = Table::alter().table("event_record").add_column(text_null("fingerprint")).to_owned();
        manager.alter_table(column).await?;
        manager.get_connection().execute_unprepared(INDEX).await?;
        manager
            .create_table(
                Table::create()
                    .table("dead_letter_group")
                    .col(uuid("node"))
                    .col(text("fingerprint"))
                    .col(big_integer("n"))
                    .col(text_null("handler_name"))
                    .col(text_null("event_type"))
                    .col(text_null("final_status"))
                    .col(text_null("title"))
                    .col(text_null("sample"))
                    .col(big_integer_null("first_seen"))
                    .col(big_integer_null("last_seen"))
                    .primary_key(Index::create().col("node").col("fingerprint"))
                    .extra(without_rowid(manager))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("dead_letter_group").to_owned()).await?;
        manager.drop_index(Index::drop().name("event_record_group").table("event_record").to_owned()).await?;
        manager.alter_table(Table::alter().table("event_record").drop_column("fingerprint").to_owned()).await
    }
}
