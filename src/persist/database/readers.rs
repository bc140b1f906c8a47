//! The pool that reads. On PostgreSQL a new one takes its place when none of its connections comes back any more.
//!
//! sqlx takes a connection back only after a sign of life, for which it waits without an end (its issue 4349). Where the
//! network swallows what is said, each read so costs the pool a place, until there is none. The system notices that if it
//! lets `socket` tune it; this is for where it does not. To be taken out again when sqlx gives up by itself.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use sea_orm::entity::prelude::async_trait::async_trait;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement, sqlx,
};

/// How long the connections of a pool that is not needed any more may take to end.
const CLOSING: Duration = Duration::from_secs(5);

/// The pool that reads; cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::persist) struct Readers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    open: RwLock<DatabaseConnection>,
    /// Since when it is asked and has not answered anybody.
    unanswered: Mutex<Option<Instant>>,
    watch: Option<Watch>,
    /// Counts the pools that were replaced.
    replaced: OnceLock<IntCounter>,
}

/// What a pool on a network needs.
pub(super) struct Watch {
    /// Makes another pool; none of its connections is opened yet.
    pub build: Box<dyn Fn() -> DatabaseConnection + Send + Sync>,
    /// How long an answer may take, the waiting for a connection included: longer than the server lets a statement run,
    /// so that only a connection without a server behind it is given up.
    pub answer: Duration,
}

impl fmt::Debug for Watch {
    // What builds the pool has the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("answer", &self.answer).finish_non_exhaustive()
    }
}

impl Readers {
    /// A pool that is never replaced: there is no network.
    pub(super) fn local(open: DatabaseConnection) -> Self {
        Self::new(open, None)
    }

    /// A pool that is replaced when none of its connections comes back.
    pub(super) fn watched(watch: Watch) -> Self {
        Self::new((watch.build)(), Some(watch))
    }

    fn new(open: DatabaseConnection, watch: Option<Watch>) -> Self {
        Self(Arc::new(Pool { open: RwLock::new(open), unanswered: Mutex::default(), watch, replaced: OnceLock::new() }))
    }

    /// Counts with this how often a pool is replaced.
    pub(in crate::persist) fn count_with(&self, replaced: IntCounter) {
        // Said once, when it is opened.
        self.0.replaced.get_or_init(|| replaced);
    }

    /// Whether the database answers.
    pub(in crate::persist) async fn ping(&self) -> Result<(), DbErr> {
        self.ask(|db| async move { db.ping().await }).await
    }

    pub(in crate::persist) async fn close_by_ref(&self) -> Result<(), DbErr> {
        let closing = self.open().close();
        // A stop does not wait for what hangs.
        if self.0.watch.is_some() {
            return tokio::time::timeout(CLOSING, closing).await.unwrap_or(Ok(()));
        }
        closing.await
    }

    fn open(&self) -> DatabaseConnection {
        self.0.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask<T, A>(&self, question: impl FnOnce(DatabaseConnection) -> A + Send) -> Result<T, DbErr>
    where
        A: Future<Output = Result<T, DbErr>> + Send,
    {
        let Some(watch) = &self.0.watch else { return question(self.open()).await };
        self.replace_if_lost(watch);
        let answer = tokio::time::timeout(watch.answer, question(self.open())).await.unwrap_or_else(|_| Err(late()));
        if !matches!(&answer, Err(error) if is_late(error)) {
            *self.unanswered() = None;
        }
        answer
    }

    /// Whoever asks next finds out: a read whose caller gave up tells nobody.
    fn replace_if_lost(&self, watch: &Watch) {
        let mut unanswered = self.unanswered();
        let since = *unanswered.get_or_insert_with(Instant::now);
        if since.elapsed() < watch.answer || !all_are_out(&self.open()) {
            return;
        }
        *unanswered = Some(Instant::now());
        drop(unanswered);
        let fresh = (watch.build)();
        let old = std::mem::replace(&mut *self.0.open.write().unwrap_or_else(PoisonError::into_inner), fresh);
        if let Some(replaced) = self.0.replaced.get() {
            replaced.inc();
        }
        tracing::warn!(
            unanswered_ms = since.elapsed().as_millis(),
            "no connection that reads has come back: the network may have swallowed it. New ones are opened"
        );
        // What nobody uses is closed; what hangs is left to the system.
        tokio::spawn(tokio::time::timeout(CLOSING, old.close()));
    }

    fn unanswered(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether no connection of this pool is at hand, and none may be opened.
fn all_are_out(db: &DatabaseConnection) -> bool {
    let pool = db.get_postgres_connection_pool();
    let out = (pool.size() as usize).saturating_sub(pool.num_idle());
    out >= pool.options().get_max_connections() as usize
}

fn late() -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))))
}

/// Whether this says nothing about the connections but that there was none, or no answer.
fn is_late(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(&**error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
        }
        _ => false,
    }
}

#[async_trait]
impl ConnectionTrait for Readers {
    fn get_database_backend(&self) -> DbBackend {
        self.open().get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.ask(|db| async move { db.execute_raw(statement).await }).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.ask(|db| async move { db.execute_unprepared(sql).await }).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.ask(|db| async move { db.query_one_raw(statement).await }).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.ask(|db| async move { db.query_all_raw(statement).await }).await
    }
}
