//! The database: finding it by its URL, opening it, and bringing its tables up to date.

mod patience;
mod postgres;
mod readers;
mod socket;
mod sqlite;
mod transaction;

use std::fmt;
use std::fs::File;
use std::path::PathBuf;

use evenkeel_migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};

use super::Config;
use super::tx::Tx;
use crate::clock::Clock;
pub(crate) use patience::insist;
pub(super) use postgres::connect;
pub(super) use readers::Readers;
pub(super) use transaction::Transaction;

/// Why the ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No URL of a database.
    #[error(
        "`{0}` is no database URL that this version knows; give `sqlite://PATH` or \
         `postgres://USER:PASSWORD@HOST:PORT/DATABASE`"
    )]
    Url(String),
    /// A PostgreSQL URL that cannot be read. It is not shown: there may be a password in it.
    #[error("`database.url` cannot be read: {0}; give `postgres://USER:PASSWORD@HOST:PORT/DATABASE`")]
    PostgresUrl(String),
    /// The folder of the database cannot be made.
    #[error("cannot make the folder {path}: {source}. Choose a folder that this user may write to")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The lock file cannot be made.
    #[error("cannot write to {path}: {source}. The ledger needs a folder that this user may write to")]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has the database.
    #[error(
        "another process is using {0}. SQLite serves one process: stop that one, or give this one another database"
    )]
    Taken(PathBuf),
    /// SQLite's own error.
    #[error("cannot open the database {path}: {source}")]
    Database {
        /// Which.
        path: PathBuf,
        /// Why.
        source: DbErr,
    },
    /// Nobody answers there.
    #[error(
        "cannot reach PostgreSQL at {server}: {source}. Is it running, and are host and port in `database.url` right?"
    )]
    Unreachable {
        /// Which.
        server: String,
        /// Why.
        source: DbErr,
    },
    /// The server does not let this user in.
    #[error(
        "PostgreSQL at {server} does not let `{user}` in: {source}. Correct user and password in `database.url`, or the \
         server's pg_hba.conf"
    )]
    Login {
        /// Which.
        server: String,
        /// Who.
        user: String,
        /// Why.
        source: DbErr,
    },
    /// The server has no such database.
    #[error(
        "there is no database {0}. Make it, with `CREATE DATABASE … ENCODING 'UTF8'` or createdb: Evenkeel makes its \
         tables, not its database"
    )]
    NoDatabase(String),
    /// The user may not make tables.
    #[error(
        "`{user}` may not make tables in {server}: {source}. Make it the database's owner, or grant it CREATE on its \
         schema"
    )]
    Rights {
        /// Where.
        server: String,
        /// Who.
        user: String,
        /// Why.
        source: DbErr,
    },
    /// Its tables are of a later version.
    #[error("the tables in {0} are of a later version of Evenkeel; start that version, or take another database")]
    Later(String),
    /// The server does not write through.
    #[error("PostgreSQL at {0} runs with fsync = off: a power cut would lose accepted events. Turn it on")]
    NotDurable(String),
    /// The database cannot hold every text.
    #[error("the database {server} is encoded in {encoding}. Make one with `CREATE DATABASE … ENCODING 'UTF8'`")]
    Encoding {
        /// Which.
        server: String,
        /// In what.
        encoding: String,
    },
    /// It was migrated, and could not be closed.
    #[error("the database cannot be closed: {0}")]
    Closing(DbErr),
    /// PostgreSQL's own error.
    #[error("cannot open the database {server}: {source}")]
    Postgres {
        /// Which.
        server: String,
        /// Why.
        source: DbErr,
    },
}

/// Where the ledger is. Shown without a password, to programmers too.
#[derive(Clone)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server and its database.
    Postgres(Box<PgConnectOptions>),
}

impl Location {
    /// What a URL says; nothing is opened.
    ///
    /// # Errors
    /// [`OpenError::Url`] or [`OpenError::PostgresUrl`].
    pub fn of(url: &str) -> Result<Self, OpenError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options =
                url.parse().map_err(|error: sea_orm::sqlx::Error| OpenError::PostgresUrl(error.to_string()))?;
            return Ok(Self::Postgres(Box::new(options)));
        }
        sqlite_path(url).map(Self::Sqlite)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(options) => f.write_str(&postgres::name(options)),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The open database: one connection that writes, a pool that reads, and the lock that keeps other processes out.
#[derive(Debug)]
pub(super) struct Opened {
    pub writer: Connection,
    pub readers: Readers,
    /// PostgreSQL has none: several nodes share it.
    pub lock: Option<File>,
}

/// The one connection that writes.
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(sqlite::Writer),
    Postgres(postgres::Writer),
}

impl Connection {
    pub(super) async fn begin(&self) -> Result<Tx, DbErr> {
        match self {
            Self::Sqlite(writer) => writer.begin().await.map(Tx::Sqlite),
            Self::Postgres(writer) => writer.begin().await.map(Tx::Postgres),
        }
    }

    /// Sets the clock by the time of a database that others share.
    pub(super) async fn set(&self, clock: &Clock) -> Result<(), OpenError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(writer) => writer.set(clock).await,
        }
    }

    /// Sees to a fresh connection after a transaction whose end is not known.
    pub(super) async fn reopen(&self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(writer) => writer.reopen().await,
            // Its connection went with the transaction.
            Self::Postgres(_) => Ok(()),
        }
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(writer) => writer.get().close().await,
            Self::Postgres(writer) => writer.close().await,
        }
    }
}

/// The path in a SQLite URL.
///
/// # Errors
/// [`OpenError::Url`] if it is none.
pub fn sqlite_path(url: &str) -> Result<PathBuf, OpenError> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    match path.map(|path| path.split('?').next().unwrap_or_default()) {
        Some(path) if !path.is_empty() && path != ":memory:" => Ok(PathBuf::from(path)),
        _ => Err(OpenError::Url(url.to_owned())),
    }
}

/// Opens the database and migrates it.
pub(super) async fn open(config: &Config) -> Result<Opened, OpenError> {
    match Location::of(&config.url)? {
        Location::Sqlite(path) => {
            let (writer, readers, lock) = sqlite::open(path, config).await?;
            Ok(Opened { writer: Connection::Sqlite(writer), readers: Readers::local(readers), lock: Some(lock) })
        }
        Location::Postgres(options) => {
            let (writer, readers) = postgres::open(*options, config).await?;
            Ok(Opened { writer: Connection::Postgres(writer), readers, lock: None })
        }
    }
}

/// All of it or nothing: sea-orm gives SQLite no transaction of its own accord, and a process that is killed between
/// two statements would leave tables that the next start trips over. `first` waits for others that do the same.
async fn migrate(writer: &DatabaseConnection, first: Option<&str>) -> Result<(), DbErr> {
    let tx = writer.begin().await?;
    if let Some(first) = first {
        tx.execute_unprepared(first).await?;
    }
    Migrator::up(&tx, None).await?;
    tx.commit().await
}

/// Whether the tables have seen a migration that this version does not have.
fn is_later(error: &DbErr) -> bool {
    // The migrator has no other word for it.
    matches!(error, DbErr::Custom(why) if why.starts_with("Migration file of version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_url_names_a_path() {
        assert_eq!(sqlite_path("sqlite://a/b.db?mode=rwc").unwrap(), PathBuf::from("a/b.db"));
        assert_eq!(sqlite_path("sqlite:///abs.db").unwrap(), PathBuf::from("/abs.db"));
        assert!(sqlite_path("postgres://x").is_err());
        assert!(sqlite_path("sqlite://").is_err());
    }

    #[test]
    fn a_postgres_url_names_a_server_and_its_password_is_not_shown() {
        let shown = |url: &str| Location::of(url).unwrap().to_string();
        assert_eq!(shown("postgres://bob:hidden@db.example:5433/events"), "db.example:5433/events");
        assert_eq!(shown("postgresql://bob:hidden@db/events?sslmode=require"), "db:5432/events");
        let debug = format!("{:?}", Location::of("postgres://bob:hidden@db/events").unwrap());
        assert_eq!(debug, "db:5432/events");
        let error = Location::of("postgres://bob:hidden@db:port/events").unwrap_err().to_string();
        assert!(error.contains("invalid port") && !error.contains("hidden"), "{error}");
    }
}
