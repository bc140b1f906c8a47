//! What a failed commit means: try again, look first, or split the batch.

use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing was written; the same may work later: a busy or full database, a lost connection.
    Away(String),
    /// It may have been written or not: the connection died while it committed.
    Unknown(String),
    /// A row did not stand where its command expected it, or another transaction was in the way: nothing was written, and
    /// the batch has to look first.
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
        matches!(code(error), Some(Code::Sqlite(code)) if primary(code) == BUSY)
    }

    /// The fault behind an error of the commit itself, after which only a busy database and a transaction that was in
    /// another's way are sure not to have committed.
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
        match code(error) {
            // SQLITE_ERROR, CONSTRAINT, MISMATCH, TOOBIG, RANGE: the rows or the statement are at fault.
            Some(Code::Sqlite(code)) if matches!(primary(code), 1 | 18 | 19 | 20 | 25) => Self::Refused(why),
            // BUSY, LOCKED, FULL, IOERR, READONLY, CANTOPEN and the rest: the database is.
            Some(Code::Sqlite(_)) => Self::Away(why),
            Some(Code::Postgres(state)) => of_state(&state, why),
            None => match error {
                DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => Self::Refused(why),
                _ => Self::Away(why),
            },
        }
    }
}

/// What an SQLSTATE of PostgreSQL means; its first two letters are its class.
fn of_state(state: &str, why: String) -> Fault {
    match state.get(..2) {
        // A deadlock, or two transactions that cannot both be right: the other one has gone on, and this one was undone.
        Some("40") => Fault::Moved,
        // Bad data, a constraint, a statement that does not fit its tables, a limit of the program: this one is at fault.
        Some("22" | "23" | "42" | "54") => Fault::Refused(why),
        // No connection, no room, no rights to log in, a lock or an answer that did not come in time, shutting down,
        // starting up, a standby, and the rest: the server is.
        _ => Fault::Away(why),
    }
}

impl From<DbErr> for Fault {
    fn from(error: DbErr) -> Self {
        Self::from(&error)
    }
}

/// PostgreSQL's own word for an error, if it came from there.
pub(super) fn sqlstate(error: &DbErr) -> Option<String> {
    if let Some(Code::Postgres(state)) = code(error) { Some(state) } else { None }
}

/// A database's own code for an error.
enum Code {
    /// The extended result code.
    Sqlite(i32),
    /// The SQLSTATE.
    Postgres(String),
}

fn code(error: &DbErr) -> Option<Code> {
    let (DbErr::Conn(error) | DbErr::Exec(error) | DbErr::Query(error)) = error else { return None };
    let RuntimeErr::SqlxError(error) = error else { return None };
    let sqlx::Error::Database(error) = &**error else { return None };
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        return Some(Code::Postgres(error.code()?.into_owned()));
    }
    error.code()?.parse().ok().map(Code::Sqlite)
}

/// The primary code is the low byte of the extended one.
const fn primary(code: i32) -> i32 {
    code & 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_postgres_says_who_is_at_fault() {
        let labels =
            |states: &[&str]| states.iter().map(|state| of_state(state, String::new()).label()).collect::<Vec<_>>();
        assert_eq!(labels(&["40001", "40P01"]), ["moved"; 2]);
        assert_eq!(labels(&["22021", "23505", "42P01", "54000"]), ["refused"; 4]);
        assert_eq!(
            labels(&["08006", "53100", "55P03", "57014", "57P01", "57P03", "25006", "58030", "", "é"]),
            ["away"; 10]
        );
    }

    #[test]
    fn an_error_of_the_commit_itself_leaves_open_whether_it_committed() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        let error = DbErr::Exec(RuntimeErr::SqlxError(lost.into()));
        assert_eq!((Fault::from(&error).label(), Fault::of_commit(&error).label()), ("away", "unknown"));
    }
}
