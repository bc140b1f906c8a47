//! Rows by the million: prepared statements on SQLite, COPY on PostgreSQL. Beside the engine, on a ledger of its own.

use anyhow::Context as _;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, Connection as _};
use uuid::Uuid;

use crate::persist::{self, Location};

/// What stands in a column of a row.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Long(i64),
    Text(String),
    Bytes(Vec<u8>),
    Id(Uuid),
}

/// A table, and the columns of it that are written.
pub(super) struct Table {
    pub name: &'static str,
    pub columns: &'static str,
}

/// Rows of a table.
pub(super) type Rows = Vec<Vec<Cell>>;

/// The database, open for nothing else.
pub(super) enum Ledger {
    Sqlite(rusqlite::Connection),
    Postgres(PgConnection),
}

impl Ledger {
    /// Makes the tables in an empty database.
    ///
    /// # Errors
    /// If the database holds anything, or cannot be opened.
    pub async fn make(config: &persist::Config) -> anyhow::Result<Self> {
        match Location::of(&config.url)? {
            Location::Sqlite(path) => {
                anyhow::ensure!(!path.exists(), "{} exists: only an empty ledger is filled", path.display());
                persist::migrate(config).await?;
                let db = rusqlite::Connection::open(path)?;
                // What is lost in a power cut is a benchmark.
                db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;")?;
                Ok(Self::Sqlite(db))
            }
            Location::Postgres(options) => {
                let mut db = PgConnection::connect_with(&options).await?;
                let tables = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema()";
                let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut db).await?;
                anyhow::ensure!(
                    tables == 0,
                    "{} holds {tables} tables: only an empty database is filled. Make one with createdb",
                    Location::Postgres(options)
                );
                persist::migrate(config).await?;
                Ok(Self::Postgres(db))
            }
        }
    }

    /// Which of the two it is.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Adds rows, all in one transaction.
    pub async fn insert(&mut self, table: &Table, rows: Rows) -> anyhow::Result<()> {
        let Table { name, columns } = table;
        match self {
            Self::Sqlite(db) => {
                let marks = vec!["?"; columns.split(',').count()].join(", ");
                let tx = db.transaction()?;
                let mut statement = tx.prepare_cached(&format!("INSERT INTO {name} ({columns}) VALUES ({marks})"))?;
                for row in rows {
                    statement.execute(rusqlite::params_from_iter(row.into_iter().map(sqlite)))?;
                }
                drop(statement);
                tx.commit()?;
            }
            Self::Postgres(db) => {
                let mut copy = db.copy_in_raw(&format!("COPY {name} ({columns}) FROM STDIN")).await?;
                copy.send(copied(&rows)).await?;
                copy.finish().await.with_context(|| format!("{name} cannot be filled"))?;
            }
        }
        Ok(())
    }

    /// Leaves it as a database that has run for a while: written back, and on PostgreSQL seen by autovacuum.
    pub async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(db) => {
                db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
                db.close().map_err(|(_, error)| error)?;
            }
            Self::Postgres(mut db) => {
                sqlx::raw_sql("VACUUM (ANALYZE)").execute(&mut db).await?;
                db.close().await?;
            }
        }
        Ok(())
    }
}

fn sqlite(cell: Cell) -> rusqlite::types::Value {
    use rusqlite::types::Value;
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(is) => Value::Integer(is.into()),
        Cell::Long(n) => Value::Integer(n),
        Cell::Text(text) => Value::Text(text),
        Cell::Bytes(bytes) => Value::Blob(bytes),
        Cell::Id(id) => Value::Blob(id.as_bytes().to_vec()),
    }
}

/// Rows in the text format of COPY.
fn copied(rows: &Rows) -> Vec<u8> {
    let mut text = String::with_capacity(rows.len() * 256);
    for row in rows {
        for (place, cell) in row.iter().enumerate() {
            if place > 0 {
                text.push('\t');
            }
            match cell {
                Cell::Null => text.push_str("\\N"),
                Cell::Bool(is) => text.push(if *is { 't' } else { 'f' }),
                Cell::Long(n) => text.push_str(&n.to_string()),
                Cell::Id(id) => text.push_str(&id.to_string()),
                Cell::Text(plain) => plain.chars().for_each(|letter| escaped(letter, &mut text)),
                Cell::Bytes(bytes) => {
                    text.push_str("\\\\x");
                    bytes.iter().for_each(|byte| {
                        text.extend(
                            [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
                        );
                    });
                }
            }
        }
        text.push('\n');
    }
    text.into_bytes()
}

fn escaped(letter: char, to: &mut String) {
    match letter {
        '\\' => to.push_str("\\\\"),
        '\n' => to.push_str("\\n"),
        '\r' => to.push_str("\\r"),
        '\t' => to.push_str("\\t"),
        letter => to.push(letter),
    }
}

impl From<i64> for Cell {
    fn from(n: i64) -> Self {
        Self::Long(n)
    }
}

impl From<u32> for Cell {
    fn from(n: u32) -> Self {
        Self::Long(n.into())
    }
}

impl From<u64> for Cell {
    fn from(n: u64) -> Self {
        Self::Long(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Cell {
    fn from(is: bool) -> Self {
        Self::Bool(is)
    }
}

impl From<Uuid> for Cell {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_rows_hold_whatever_is_in_a_text() {
        let row = vec!["a\tb\\c\nd".into(), Cell::Null, true.into(), (-7_i64).into(), Cell::Bytes(vec![0, 171])];
        assert_eq!(String::from_utf8(copied(&vec![row])).unwrap(), "a\\tb\\\\c\\nd\t\\N\tt\t-7\t\\\\x00ab\n");
    }
}
