//! PostgreSQL: a server that others use too, so nothing is taken for granted: what it is set to, and whether it is still
//! there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{self, ConnectOptions, Connection};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::readers::{Readers, Watch};
use super::transaction::{ANSWER, Transaction};
use super::{OpenError, is_later, migrate, socket};
use crate::clock::Clock;
use crate::persist::fault::sqlstate;
use crate::persist::{Config, lease};

/// How long it may take to connect.
const CONNECTING: Duration = Duration::from_secs(5);

/// A reader that has rested longer is asked for a sign of life before it is used.
const RESTED: Duration = Duration::from_secs(1);

/// Held while tables are made, so that two processes that start at once do no harm. The number is `evnl`, so that it is
/// nobody else's.
const ONE_MIGRATION: &str = "SELECT pg_advisory_xact_lock(1702260332, hashtext(coalesce(current_schema(), '')))";

/// What every session is set to. A node that froze must not hold locks that others wait for, and a connection with
/// nobody at its other end must not last.
const SESSION: [(&str, &str); 7] = [
    ("idle_in_transaction_session_timeout", "5s"),
    // Compiling a plan takes longer than any statement here.
    ("jit", "off"),
    ("lock_timeout", "2s"),
    ("statement_timeout", "10s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
];

/// What is written is found by its key, always. Without this a plan that was made when the tables were empty would go on
/// reading them from end to end, until somebody analyzes them.
const BY_KEY: [(&str, &str); 3] = [("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

/// A page reads a bounded number of rows, each by its key, and is not worth a second process. A plan that joins whole
/// tables instead would read more than a page may.
const BY_PAGE: [(&str, &str); 4] = [
    ("default_transaction_read_only", "on"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("max_parallel_workers_per_gather", "0"),
];

/// The one connection that writes, opened again whenever it is not there.
pub(in crate::persist) struct Writer {
    options: Box<PgConnectOptions>,
    slot: Arc<Mutex<Option<PgConnection>>>,
}

impl Writer {
    pub(super) async fn begin(&self) -> Result<Transaction, DbErr> {
        let mut slot = Arc::clone(&self.slot).lock_owned().await;
        let connection = match slot.take() {
            Some(connection) => connection,
            None => connect(&self.options).await.map_err(conn)?,
        };
        Transaction::begin(connection, slot).await
    }

    pub(super) async fn set(&self, clock: &Clock) -> Result<(), OpenError> {
        let failed = |error| refusal(&self.options, conn(error));
        let mut slot = self.slot.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => connect(&self.options).await.map_err(failed)?,
        };
        let asked = Instant::now();
        let now = lease::now(&mut connection).await.map_err(failed)?;
        clock.correct(now, asked.elapsed());
        *slot = Some(connection);
        Ok(())
    }

    /// How to open another connection like this one.
    pub(in crate::persist) fn options(&self) -> Box<PgConnectOptions> {
        self.options.clone()
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        if let Some(open) = self.slot.lock().await.take()
            && let Err(error) = open.close().await
        {
            // Everything was committed before, and the server notices by itself.
            tracing::debug!(%error, "the connection that writes could not take its leave");
        }
        Ok(())
    }
}

impl fmt::Debug for Writer {
    // The options hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("server", &name(&self.options)).finish_non_exhaustive()
    }
}

/// A server and its database, for people: never with a password.
pub(super) fn name(options: &PgConnectOptions) -> String {
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("{host}:{}/{database}", options.get_port())
}

/// Opens the database and migrates it. It has to be there.
pub(super) async fn open(options: PgConnectOptions, config: &Config) -> Result<(Writer, Readers), OpenError> {
    let options = options.application_name("evenkeel").disable_statement_logging();
    let writing = options.clone().options(SESSION).options(BY_KEY);
    let failed = |source| refusal(&options, source);
    let mut writer = connect(&writing).await.map_err(|error| failed(conn(error)))?;
    inspect(&mut writer, &options).await?;
    let migrating = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
    let migrating = DatabaseConnection::from(migrating);
    migrate(&migrating, Some(ONE_MIGRATION)).await.map_err(failed)?;
    migrating.close().await.map_err(failed)?;
    let writer = Writer { options: Box::new(writing), slot: Arc::new(Mutex::new(Some(writer))) };
    let (answer, config) = (config.acquire_timeout + ANSWER, config.clone());
    let build = Box::new(move || readers(options.clone(), &config));
    Ok((writer, Readers::watched(Watch { build, answer })))
}

fn readers(options: PgConnectOptions, config: &Config) -> DatabaseConnection {
    let options = options.options(SESSION).options(BY_PAGE);
    let port = options.get_port();
    PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |_, _| {
            socket::tune(port);
            Box::pin(std::future::ready(Ok(())))
        })
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for >= RESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
        .into()
}

/// Opens one connection, or says in time that there is none.
pub(in crate::persist) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let connecting = async {
        let connection = PgConnection::connect_with(options).await?;
        socket::tune(options.get_port());
        Ok(connection)
    };
    let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    tokio::time::timeout(CONNECTING, connecting).await.unwrap_or_else(late)
}

/// Whether this server can keep what the ledger promises.
async fn inspect(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<(), OpenError> {
    let settings = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), \
                    current_setting('server_encoding')";
    let (fsync, commit, encoding): (String, String, String) =
        sqlx::query_as(settings).fetch_one(connection).await.map_err(|error| refusal(options, conn(error)))?;
    let server = name(options);
    if fsync != "on" {
        return Err(OpenError::NotDurable(server));
    }
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { server, encoding });
    }
    if !matches!(commit.as_str(), "on" | "remote_apply") {
        tracing::warn!(
            server,
            synchronous_commit = commit,
            "PostgreSQL answers before a commit is as safe as it can be: a crash of the server may lose accepted events. \
             Set synchronous_commit = on for this database"
        );
    }
    Ok(())
}

/// Why the server does not serve us, and what to do about it.
fn refusal(options: &PgConnectOptions, source: DbErr) -> OpenError {
    let (server, user) = (name(options), options.get_username().to_owned());
    if is_later(&source) {
        return OpenError::Later(server);
    }
    match sqlstate(&source).as_deref() {
        Some("28000" | "28P01") => OpenError::Login { server, user, source },
        Some("3D000") => OpenError::NoDatabase(server),
        Some("42501") => OpenError::Rights { server, user, source },
        None => OpenError::Unreachable { server, source },
        _ => OpenError::Postgres { server, source },
    }
}

fn conn(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}
