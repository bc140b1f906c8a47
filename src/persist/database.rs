//! The database: opening it, locking it, and bringing its tables up to date.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use evenkeel_migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, TransactionTrait};

use super::Config;

/// Why the ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No SQLite URL.
    #[error("`{0}` is no database URL that this version knows; give `sqlite://PATH`")]
    Url(String),
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
}

/// The open database: one connection that writes, a pool that reads, and the lock that keeps other processes out.
#[derive(Debug)]
pub(super) struct Opened {
    pub writer: Connection,
    pub readers: DatabaseConnection,
    pub lock: File,
}

/// The one connection that writes. It can be thrown away and opened again.
#[derive(Debug)]
pub(super) struct Connection {
    path: PathBuf,
    config: Config,
    open: RwLock<DatabaseConnection>,
}

impl Connection {
    /// The connection that is open at present.
    pub(super) fn get(&self) -> DatabaseConnection {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Throws the connection away and opens another. Needed after every transaction whose rollback or commit failed:
    /// SQLite may have rolled back by itself (a full disk), and sqlx counts a transaction that is not there any more;
    /// what it would then call a commit would be the release of a savepoint, and no commit at all.
    pub(super) async fn reopen(&self) -> Result<(), DbErr> {
        let old = self.get();
        // Closed first: it may still hold the lock that the next one needs.
        let closed = tokio::time::timeout(CLOSING, old.close_by_ref()).await;
        tracing::info!(in_time = closed.is_ok(), "opening the ledger's connection again");
        let fresh = connect(&self.path, &self.config, true).await?;
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

/// How long a connection may take to close.
const CLOSING: Duration = Duration::from_secs(2);

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

/// Opens the database, makes it if it is not there, and migrates it.
pub(super) async fn open(config: &Config) -> Result<Opened, OpenError> {
    let path = sqlite_path(&config.url)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
    }
    let lock = lock(&path)?;
    let failed = |source| OpenError::Database { path: path.clone(), source };
    let writer = connect(&path, config, true).await.map_err(failed)?;
    migrate(&writer).await.map_err(failed)?;
    let writer = Connection { path: path.clone(), config: config.clone(), open: RwLock::new(writer) };
    let readers = connect(&path, config, false).await.map_err(failed)?;
    Ok(Opened { writer, readers, lock })
}

/// All of it or nothing: sea-orm gives SQLite no transaction of its own accord, and a process that is killed between
/// two statements would leave tables that the next start trips over.
async fn migrate(writer: &DatabaseConnection) -> Result<(), DbErr> {
    let tx = writer.begin().await?;
    Migrator::up(&tx, None).await?;
    tx.commit().await
}

/// Locks a file beside the database. Opening the database file itself and closing it again would drop the locks that
/// SQLite holds on it in this process: POSIX locks belong to the process, not to the handle.
fn lock(database: &Path) -> Result<File, OpenError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |source| OpenError::Lock { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Taken(database.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn connect(path: &Path, config: &Config, write: bool) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(format!("sqlite://{}", path.display()));
    options
        .sqlx_logging(false)
        .max_connections(if write { 1 } else { config.max_connections })
        .min_connections(u32::from(write))
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false);
    let path = path.to_owned();
    // The URL above only chooses the driver: a path with `?` or `%` in it would not survive it.
    options.map_sqlx_sqlite_opts(move |options| tune(options.filename(&path), write));
    Database::connect(options).await
}

fn tune(options: SqliteConnectOptions, write: bool) -> SqliteConnectOptions {
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_millis(500))
        .statement_cache_capacity(256)
        .foreign_keys(false);
    if !write {
        return options.read_only(true);
    }
    options
        .create_if_missing(true)
        // A commit that was answered must survive a power cut.
        .synchronous(SqliteSynchronous::Full)
        // 64 MiB of pages and a longer log: clients' ids are mostly random, and these halve what their keys cost.
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "20000")
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
}
