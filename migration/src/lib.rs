//! The migrations of the ledger, one change a file. A released one is never edited.

mod m20261101_000001_events;
mod m20261101_000002_dead_letters;
mod m20261101_000003_counts;
mod m20261101_000004_nodes;
mod m20261101_000005_chemicals;
mod m20261101_000006_outbox;
mod m20261101_000009_positions;
mod m20261101_000010_late;
mod m20261101_000012_rollups;
mod m20261101_000013_search;
mod m20261101_000014_resubmissions;
mod m20261101_000015_groups;
mod m20261101_000016_operations;
mod m20261101_000018_waiting;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// All migrations, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261101_000001_events::Migration),
            Box::new(m20261101_000002_dead_letters::Migration),
            Box::new(m20261101_000003_counts::Migration),
            Box::new(m20261101_000004_nodes::Migration),
            Box::new(m20261101_000005_chemicals::Migration),
            Box::new(m20261101_000006_outbox::Migration),
            Box::new(m20261101_000009_positions::Migration),
            Box::new(m20261101_000010_late::Migration),
            Box::new(m20261101_000012_rollups::Migration),
            Box::new(m20261101_000013_search::Migration),
            Box::new(m20261101_000014_resubmissions::Migration),
            Box::new(m20261101_000015_groups::Migration),
            Box::new(m20261101_000016_operations::Migration),
            Box::new(m20261101_000018_waiting::Migration),
        ]
    }
}

/// SQLite keeps small rows in the tree of their key, which saves the second tree; PostgreSQL has no such thing.
fn without_rowid(manager: &SchemaManager) -> &'static str {
    if manager.get_database_backend() == DbBackend::Sqlite { "WITHOUT ROWID" } else { "" }
}

/// What has to be written out, statement by statement.
async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
