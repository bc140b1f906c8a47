//! Events, their attempts and their keys, with the few indexes that the hot path can bear.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, blob_null, integer, integer_null, text, text_null, uuid, uuid_null,
};

use crate::without_rowid;

/// Partial indexes, written out: the terms of their `WHERE` must stand in a query word by word to be used.
const INDEXES: [&str; 5] = [
    // Work to do, from the head of each lane. Suspects of a crash are kept apart, so that they block no lane's head.
    "CREATE INDEX event_record_waiting ON event_record (handler_name, next_attempt_at) \
     WHERE status IN ('PENDING', 'RETRY_SCHEDULED', 'SCHEDULED') AND crash_count < 2",
    "CREATE INDEX event_record_suspect ON event_record (next_attempt_at) \
     WHERE status IN ('PENDING', 'RETRY_SCHEDULED', 'SCHEDULED') AND crash_count >= 2",
    // What a node has in hand, for recovery.
    "CREATE INDEX event_record_owner ON event_record (owner) WHERE owner IS NOT NULL",
    // The dead letters, newest first.
    "CREATE INDEX event_record_dead ON event_record (id) WHERE final_status IN ('DEAD_LETTER', 'NO_HANDLER')",
    // Records that hold no key can be found by their event id all the same.
    "CREATE INDEX event_record_keyless ON event_record (event_id) WHERE status IN ('DUPLICATE', 'INVALID')",
];

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(event_record()).await?;
        manager.create_table(event_attempt(manager)).await?;
        manager.create_table(idempotency_key(manager)).await?;
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("idempotency_key").to_owned()).await?;
        manager.drop_table(Table::drop().table("event_attempt").to_owned()).await?;
        manager.drop_table(Table::drop().table("event_record").to_owned()).await?;
        Ok(())
    }
}

fn event_record() -> TableCreateStatement {
    Table::create()
        .table("event_record")
        .col(uuid("id"))
        .col(text("event_id"))
        .col(text("source"))
        .col(text("event_type"))
        .col(text_null("subject"))
        .col(text_null("time"))
        .col(text_null("ordering_key"))
        .col(text_null("content_type"))
        .col(blob_null("data"))
        .col(text_null("extensions"))
        .col(text("bus"))
        .col(text_null("topic"))
        .col(integer_null("partition"))
        .col(big_integer_null("position"))
        .col(text("status"))
        .col(text_null("final_status"))
        .col(text_null("handler_name"))
        .col(integer("retry_count"))
        .col(integer("attempt_count"))
        .col(integer("crash_count"))
        .col(integer("round"))
        .col(text_null("error"))
        .col(big_integer_null("next_attempt_at"))
        .col(uuid_null("owner"))
        .col(uuid_null("attempt_id"))
        .col(big_integer_null("claimed_at"))
        .col(uuid_null("duplicate_of"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer_null("completed_at"))
        .primary_key(Index::create().col("id"))
        .to_owned()
}

fn event_attempt(manager: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("event_attempt")
        .col(uuid("record_id"))
        .col(integer("attempt_number"))
        .col(uuid("attempt_id"))
        .col(text("handler_name"))
        .col(uuid("node"))
        .col(text("status"))
        .col(big_integer("started_at"))
        .col(big_integer("completed_at"))
        .col(big_integer("processing_time"))
        .col(text_null("error_message"))
        .primary_key(Index::create().col("record_id").col("attempt_number"))
        .extra(without_rowid(manager))
        .to_owned()
}

fn idempotency_key(manager: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("idempotency_key")
        .col(text("event_id"))
        .col(text("source"))
        .col(uuid("record_id"))
        .col(blob("checksum"))
        .col(big_integer("processed_at"))
        .primary_key(Index::create().col("event_id").col("source"))
        .extra(without_rowid(manager))
        .to_owned()
}
