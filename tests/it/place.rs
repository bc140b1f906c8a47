//! A ledger for one test alone: a SQLite file, or a database on the PostgreSQL of `EVENKEEL_TEST_POSTGRES_URL`.
//!
//! `scripts/test` starts that server. Without it the tests on PostgreSQL are left out and say so; with
//! `EVENKEEL_TEST_REQUIRE=all` they fail.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::sqlx::{AssertSqlSafe, Connection, PgConnection, query};
use tempfile::TempDir;

/// Runs a test on each of the ledgers: `async fn its_name(place: Place)`.
macro_rules! on_each_ledger {
    ($test:ident) => {
        mod $test {
            #[actix::test]
            async fn on_sqlite() {
                super::$test(super::Place::new()).await;
            }

            #[actix::test]
            async fn on_postgres() {
                if let Some(place) = super::Place::on_postgres() {
                    super::$test(place).await;
                }
            }
        }
    };
}
pub(crate) use on_each_ledger;

/// A folder, and a ledger that nobody else uses.
pub struct Place {
    folder: TempDir,
    database: Option<Database>,
}

impl Place {
    /// A SQLite file in the folder.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: None }
    }

    /// A database on PostgreSQL; nothing if there is no server for the tests.
    pub fn on_postgres() -> Option<Self> {
        let server = std::env::var("EVENKEEL_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty());
        let Some(server) = server else {
            let required = std::env::var("EVENKEEL_TEST_REQUIRE").is_ok_and(|which| which == "all");
            assert!(!required, "EVENKEEL_TEST_POSTGRES_URL is missing: scripts/test sets it");
            eprintln!("left out: no EVENKEEL_TEST_POSTGRES_URL; scripts/test starts a server");
            return None;
        };
        Some(Self::on_server(&server))
    }

    /// A database on this server.
    pub fn on_server(url: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: Some(Database::make(url)) }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the ledger is.
    pub fn url(&self) -> String {
        let sqlite = || format!("sqlite://{}", self.path().join("evenkeel.db").display());
        self.database.as_ref().map_or_else(sqlite, Database::url)
    }
}

/// A database of its own, gone with its test.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn make(server: &str) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("evenkeel_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let database = Self { server: server.to_owned(), name };
        // On a server that lives longer than a run there may be one of a process that was killed.
        database.run(&[&database.removal(), &format!("CREATE DATABASE {} ENCODING 'UTF8'", database.name)]);
        database
    }

    fn removal(&self) -> String {
        format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)
    }

    fn url(&self) -> String {
        let (server, rest) = self.server.rsplit_once('/').unwrap();
        let options = rest.split_once('?').map(|(_, options)| format!("?{options}")).unwrap_or_default();
        format!("{server}/{}{options}", self.name)
    }

    /// On a thread of its own: a test may be in the middle of its own runtime.
    fn run(&self, statements: &[&str]) {
        let all = async {
            let mut connection = PgConnection::connect(&self.server).await.unwrap();
            for statement in statements {
                query(AssertSqlSafe((*statement).to_owned())).execute(&mut connection).await.unwrap();
            }
            connection.close().await.unwrap();
        };
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::scope(|scope| scope.spawn(|| runtime().block_on(all)).join()).unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.run(&[&self.removal()]);
        }
    }
}
