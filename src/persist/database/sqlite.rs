//! SQLite: a file that one process has for itself, with one connection that writes.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use super::{OpenError, is_later, migrate};
use crate::persist::Config;

/// How long a connection may take to close.
const CLOSING: Duration = Duration::from_secs(2);

/// The one connection that writes. It can be thrown away and opened again.
#[derive(Debug)]
pub(in crate::persist) struct Writer {
    path: PathBuf,
    config: Config,
    open: RwLock<DatabaseConnection>,
}

impl Writer {
    /// The connection that is open at present.
    pub(in crate::persist) fn get(&self) -> DatabaseConnection {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        self.get().begin_with_options(options).await
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

/// Opens the database, makes it if it is not there, and migrates it; with the lock that keeps other processes out.
pub(super) async fn open(path: PathBuf, config: &Config) -> Result<(Writer, DatabaseConnection, File), OpenError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
    }
    let lock = lock(&path)?;
    let failed = |source| match is_later(&source) {
        true => OpenError::Later(path.display().to_string()),
        false => OpenError::Database { path: path.clone(), source },
    };
    let writer = connect(&path, config, true).await.map_err(failed)?;
    migrate(&writer, None).await.map_err(failed)?;
    let readers = connect(&path, config, false).await.map_err(failed)?;
    Ok((Writer { path, config: config.clone(), open: RwLock::new(writer) }, readers, lock))
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
