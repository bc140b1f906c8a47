//! A transaction on PostgreSQL's one connection that writes.
//!
//! The connection is taken out of its slot for as long as the transaction is open, and put back only by an end that the
//! server has confirmed. Whatever happens else, an error, a panic, a future that is dropped, the connection is dropped
//! with it: the server rolls back, and the next transaction opens another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow};
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, AssertSqlSafe, IntoArguments, Postgres, query_with};
use sea_orm::{DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::super::arrays::Arrays;

/// How long an answer may take: longer than the server lets a statement run, so that only a connection without a server
/// behind it is given up.
pub(super) const ANSWER: Duration = Duration::from_secs(15);

/// Where the connection is between two transactions.
pub(super) type Slot = OwnedMutexGuard<Option<PgConnection>>;

/// An open transaction.
pub(in crate::persist) struct Transaction {
    connection: Mutex<PgConnection>,
    slot: Slot,
    /// An error has aborted it. The server would answer a COMMIT with ROLLBACK, and sqlx would call that a success.
    aborted: AtomicBool,
    /// No answer came: nothing more can be asked.
    lost: AtomicBool,
}

impl Transaction {
    pub(super) async fn begin(connection: PgConnection, slot: Slot) -> Result<Self, DbErr> {
        let tx = Self {
            connection: Mutex::new(connection),
            slot,
            aborted: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        };
        tx.run("BEGIN").await?;
        Ok(tx)
    }

    pub(in crate::persist) async fn commit(mut self) -> Result<(), DbErr> {
        if self.aborted.load(Ordering::Acquire) {
            return Err(DbErr::Custom("the transaction was aborted by an error before".to_owned()));
        }
        self.run("COMMIT").await?;
        *self.slot = Some(self.connection.into_inner());
        Ok(())
    }

    pub(in crate::persist) async fn rollback(mut self) -> Result<(), DbErr> {
        if self.lost.load(Ordering::Acquire) {
            return Err(DbErr::Custom("the connection is lost".to_owned()));
        }
        self.run("ROLLBACK").await?;
        *self.slot = Some(self.connection.into_inner());
        Ok(())
    }

    pub(in crate::persist) async fn execute(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let (sql, values) = parts(statement);
        Ok(self.execute_with(query_with(AssertSqlSafe(sql), values)).await?.into())
    }

    pub(in crate::persist) async fn query(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (sql, values) = parts(statement);
        self.query_with(query_with(AssertSqlSafe(sql), values)).await
    }

    /// How many rows it changed.
    pub(in crate::persist) async fn execute_arrays(&self, sql: &str, arrays: Arrays) -> Result<u64, DbErr> {
        Ok(self.execute_with(over(sql, arrays)).await?.rows_affected())
    }

    pub(in crate::persist) async fn query_arrays(&self, sql: &str, arrays: Arrays) -> Result<Vec<QueryResult>, DbErr> {
        self.query_with(over(sql, arrays)).await
    }

    async fn run(&self, sql: &'static str) -> Result<(), DbErr> {
        let mut connection = self.connection.lock().await;
        let answer = self.answer(sqlx::raw_sql(sql).execute(&mut *connection)).await;
        answer.map(drop).map_err(|error| DbErr::Exec(runtime(error)))
    }

    async fn execute_with<A>(&self, query: Query<'_, Postgres, A>) -> Result<PgQueryResult, DbErr>
    where
        A: IntoArguments<Postgres>,
    {
        let mut connection = self.connection.lock().await;
        self.answer(query.execute(&mut *connection)).await.map_err(|error| DbErr::Exec(runtime(error)))
    }

    async fn query_with<A>(&self, query: Query<'_, Postgres, A>) -> Result<Vec<QueryResult>, DbErr>
    where
        A: IntoArguments<Postgres>,
    {
        let mut connection = self.connection.lock().await;
        let rows: Vec<PgRow> =
            self.answer(query.fetch_all(&mut *connection)).await.map_err(|error| DbErr::Query(runtime(error)))?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    async fn answer<T>(&self, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        let answer = tokio::time::timeout(ANSWER, asked).await.unwrap_or_else(late);
        if let Err(error) = &answer {
            self.aborted.store(true, Ordering::Release);
            self.lost.store(!matches!(error, sqlx::Error::Database(_)), Ordering::Release);
        }
        answer
    }
}

fn parts(statement: Statement) -> (String, SqlxValues) {
    (statement.sql, SqlxValues(statement.values.unwrap_or(Values(Vec::new()))))
}

fn over(sql: &str, arrays: Arrays) -> Query<'static, Postgres, PgArguments> {
    query_with(AssertSqlSafe(sql.to_owned()), arrays.0)
}

fn runtime(error: sqlx::Error) -> RuntimeErr {
    RuntimeErr::SqlxError(error.into())
}
