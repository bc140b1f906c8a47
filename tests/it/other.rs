//! A database that is away for a while: another process holds SQLite's one write lock, or PostgreSQL's lock on the events,
//! so that nothing can be accepted, claimed or finished.

use sea_orm::sqlx::{Connection, PgConnection, query};

use crate::harness::Place;

/// Another writer that holds what the engine has to write to.
pub enum Other {
    Sqlite(rusqlite::Connection),
    Postgres(Box<PgConnection>),
}

impl Other {
    /// Takes the database away.
    pub async fn hold(place: &Place) -> Self {
        if let Some(path) = place.url().strip_prefix("sqlite://") {
            let other = rusqlite::Connection::open(path).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            return Self::Sqlite(other);
        }
        let mut other = PgConnection::connect(&place.url()).await.unwrap();
        for sql in ["BEGIN", "LOCK TABLE event_record IN EXCLUSIVE MODE"] {
            query(sql).execute(&mut other).await.unwrap();
        }
        Self::Postgres(Box::new(other))
    }

    /// It has changed nothing.
    pub async fn let_go(self) {
        match self {
            Self::Sqlite(other) => other.execute_batch("ROLLBACK").unwrap(),
            Self::Postgres(other) => other.close().await.unwrap(),
        }
    }
}
