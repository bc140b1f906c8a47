//! The status of chemical compounds, and the history of its changes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, double_null, text, text_null, uuid};

use crate::without_rowid;

const INDEXES: [&str; 2] = [
    // The compounds of one status, in the order of their numbers.
    "CREATE INDEX chemical_status_status ON chemical_status (status, cas)",
    // The changes of one compound, newest first.
    "CREATE INDEX chemical_status_change_cas ON chemical_status_change (cas, changed_at)",
];

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("chemical_status")
                    .col(text("cas"))
                    .col(text_null("name"))
                    .col(text_null("formula"))
                    .col(text_null("inchikey"))
                    .col(big_integer_null("pubchem_cid"))
                    .col(double_null("molecular_weight"))
                    .col(text("status"))
                    .col(text_null("previous_status"))
                    .col(big_integer("changed_at"))
                    .col(big_integer_null("sequence"))
                    .col(uuid("record_id"))
                    .col(big_integer("updated_at"))
                    .primary_key(Index::create().col("cas"))
                    .extra(without_rowid(manager))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("chemical_status_change")
                    .col(uuid("record_id"))
                    .col(text("cas"))
                    .col(text("status"))
                    .col(text_null("previous_status"))
                    .col(big_integer("changed_at"))
                    .col(big_integer_null("sequence"))
                    .col(text_null("name"))
                    .col(text_null("formula"))
                    .col(text_null("inchikey"))
                    .col(big_integer_null("pubchem_cid"))
                    .col(double_null("molecular_weight"))
                    .col(big_integer("recorded_at"))
                    .primary_key(Index::create().col("record_id"))
                    .extra(without_rowid(manager))
                    .to_owned(),
            )
            .await?;
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("chemical_status_change").to_owned()).await?;
        manager.drop_table(Table::drop().table("chemical_status").to_owned()).await?;
        Ok(())
    }
}
