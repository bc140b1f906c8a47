//! Operations on many dead letters, what failed in them, and which records an operator's action has changed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, integer_null, text, text_null, uuid, uuid_null,
};

use crate::without_rowid;

const INDEXES: [&str; 3] = [
    // What is still to be worked on, and by whom.
    "CREATE INDEX operation_open ON operation (id) WHERE state IN ('RUNNING', 'PAUSED')",
    // The audit log, newest first, by what it can be asked for; its targets have an index already.
    "CREATE INDEX operator_action_actor ON operator_action (actor, id)",
    "CREATE INDEX operator_action_action ON operator_action (action, id)",
];

/// Dead letters from before groups were kept get theirs by an operation too, so that no start waits for it. There is
/// none if there are no dead letters. Its id is fixed: it is the oldest of all, and comes once.
const BRING_ALONG: &str = "INSERT INTO operation (id, action, filter, state, died_by, matched, is_exact, done, skipped, \
    failed, actor, created_at, updated_at) \
    SELECT #id#, 'group', '{}', 'RUNNING', MAX(completed_at), COUNT(*), TRUE, 0, 0, 0, 'engine', MAX(completed_at), \
    MAX(completed_at) FROM event_record WHERE final_status IN ('DEAD_LETTER', 'NO_HANDLER') HAVING COUNT(*) > 0";

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(operation()).await?;
        manager
            .create_table(
                Table::create()
                    .table("operation_failure")
                    .col(uuid("operation_id"))
                    .col(uuid("record_id"))
                    .col(text("reason"))
                    .primary_key(Index::create().col("operation_id").col("record_id"))
                    .extra(without_rowid(manager))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("record_action")
                    .col(uuid("record_id"))
                    .col(uuid("action_id"))
                    .primary_key(Index::create().col("record_id").col("action_id"))
                    .extra(without_rowid(manager))
                    .to_owned(),
            )
            .await?;
        let connection = manager.get_connection();
        for index in INDEXES {
            connection.execute_unprepared(index).await?;
        }
        let id = match connection.get_database_backend() {
            sea_orm_migration::sea_orm::DbBackend::Sqlite => "x'01900000000070008000000000000000'",
            _ => "'01900000-0000-7000-8000-000000000000'::uuid",
        };
        connection.execute_unprepared(&BRING_ALONG.replace("#id#", id)).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in ["operator_action_action", "operator_action_actor"] {
            manager.drop_index(Index::drop().name(index).table("operator_action").to_owned()).await?;
        }
        for table in ["record_action", "operation_failure", "operation"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn operation() -> TableCreateStatement {
    Table::create()
        .table("operation")
        .col(uuid("id"))
        .col(text("action"))
        .col(text("filter"))
        .col(text("state"))
        .col(big_integer("died_by"))
        .col(uuid_null("cursor"))
        .col(integer_null("rate"))
        .col(big_integer("matched"))
        .col(boolean("is_exact"))
        .col(big_integer("done"))
        .col(big_integer("skipped"))
        .col(big_integer("failed"))
        .col(text_null("error"))
        .col(uuid_null("owner"))
        .col(text("actor"))
        .col(text_null("reason"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer_null("ended_at"))
        .primary_key(Index::create().col("id"))
        .to_owned()
}
