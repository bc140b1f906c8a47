//! What a failed commit means: try again, look first, or split the batch.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing was written; the same may work later: a busy or full database, a lost connection.
    Away(String),
    /// It may have been written or not: the connection died while it committed.
    Unknown(String),
    /// A row did not stand where its command expected it; the batch has to look first.
    Moved,
    /// The database refuses these rows.
    Refused(String),
}

impl Fault {
    /// The metric's label.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::Unknown(_) => "unknown",
            Self::Moved => "moved",
            Self::Refused(_) => "refused",
        }
    }

    /// Whether another writer has the database: nothing is wrong with the connection.
    pub(super) fn is_busy(error: &DbErr) -> bool {
        sqlite_code(error).is_some_and(|code| primary(code) == BUSY)
    }

    /// The fault behind an error of the commit itself, after which only a busy database is sure not to have committed.
    pub(super) fn of_commit(error: &DbErr) -> Self {
        match Self::from(error) {
            Self::Away(why) if Self::is_busy(error) => Self::Away(why),
            Self::Away(why) | Self::Refused(why) | Self::Unknown(why) => Self::Unknown(why),
            Self::Moved => Self::Moved,
        }
    }
}

const BUSY: i32 = 5;

impl From<&DbErr> for Fault {
    fn from(error: &DbErr) -> Self {
        let why = error.to_string();
        match sqlite_code(error) {
            // SQLITE_ERROR, CONSTRAINT, MISMATCH, TOOBIG, RANGE: the rows or the statement are at fault.
            Some(code) if matches!(primary(code), 1 | 18 | 19 | 20 | 25) => Self::Refused(why),
            // BUSY, LOCKED, FULL, IOERR, READONLY, CANTOPEN and the rest: the database is.
            Some(_) => Self::Away(why),
            None => match error {
                DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => Self::Refused(why),
                _ => Self::Away(why),
            },
        }
    }
}

impl From<DbErr> for Fault {
    fn from(error: DbErr) -> Self {
        Self::from(&error)
    }
}

/// SQLite's extended result code, if the error came from SQLite.
fn sqlite_code(error: &DbErr) -> Option<i32> {
    let (DbErr::Conn(error) | DbErr::Exec(error) | DbErr::Query(error)) = error else { return None };
    match error {
        RuntimeErr::SqlxError(error) => match &**error {
            sqlx::Error::Database(error) => error.code()?.parse().ok(),
            _ => None,
        },
        RuntimeErr::Internal(_) => None,
    }
}

/// The primary code is the low byte of the extended one.
const fn primary(code: i32) -> i32 {
    code & 0xff
}
