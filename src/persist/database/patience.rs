//! The patience of a start: a database that is not there yet, or has no time yet, is asked again for some seconds. What
//! no waiting can mend is an error at once.
//!
//! Nothing is opened here, and nobody waits here once the engine runs.

use std::fmt::Display;
use std::time::Duration;

use sea_orm::error::ConnAcquireErr;
use sea_orm::{DbErr, RuntimeErr, sqlx};
use tokio::time::Instant;

use super::OpenError;
use crate::persist::fault::sqlstate;

/// How long a start waits. A server that is started together with the engine needs no longer.
const LONGEST: Duration = Duration::from_secs(15);

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(250);

/// An error that may have another answer in a moment.
pub(crate) trait Passing: Display {
    /// Whether it may.
    fn may_pass(&self) -> bool;
}

impl Passing for OpenError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } | Self::Postgres { source, .. } => source.may_pass(),
            _ => false,
        }
    }
}

impl Passing for DbErr {
    fn may_pass(&self) -> bool {
        if let Some(state) = sqlstate(self) {
            return state_may_pass(&state);
        }
        match self {
            Self::ConnectionAcquire(error) => matches!(error, ConnAcquireErr::Timeout),
            Self::Conn(RuntimeErr::SqlxError(error))
            | Self::Exec(RuntimeErr::SqlxError(error))
            | Self::Query(RuntimeErr::SqlxError(error)) => {
                matches!(**error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)
            }
            _ => false,
        }
    }
}

/// No connection, no room, starting up or shutting down. A login that is refused is none of these.
fn state_may_pass(state: &str) -> bool {
    matches!(state.get(..2), Some("08" | "53" | "57"))
}

/// Does this, and does it again while it fails for a reason that may pass; the last error is the answer.
///
/// # Errors
/// Its own.
pub(crate) async fn insist<T, E: Passing>(step: impl AsyncFnMut() -> Result<T, E>) -> Result<T, E> {
    insist_for(LONGEST, AGAIN, step).await
}

async fn insist_for<T, E: Passing>(
    longest: Duration,
    again: Duration,
    mut step: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    match step().await {
        Err(error) if error.may_pass() => {
            tracing::warn!(%error, "the database is not there yet; it is tried again for {} s", longest.as_secs());
        }
        ended => return ended,
    }
    let end = Instant::now() + longest;
    loop {
        tokio::time::sleep(again).await;
        match step().await {
            Ok(done) => {
                tracing::info!("the database is there");
                return Ok(done);
            }
            Err(error) if error.may_pass() && Instant::now() < end => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io() -> DbErr {
        DbErr::Conn(RuntimeErr::SqlxError(sqlx::Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut)).into()))
    }

    #[test]
    fn a_server_that_is_not_there_may_come_and_a_wrong_password_will_not_become_right() {
        let server = || "db:5432/a".to_owned();
        assert!(OpenError::Unreachable { server: server(), source: io() }.may_pass());
        assert!(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout).may_pass());
        assert!(!OpenError::Login { server: server(), user: "a".to_owned(), source: io() }.may_pass());
        assert!(!OpenError::NoDatabase(server()).may_pass() && !OpenError::Later(server()).may_pass());
        assert!(!DbErr::Custom("anything".to_owned()).may_pass());
        let (passing, lasting) = (["57P03", "57P01", "53300", "08006"], ["28P01", "3D000", "42501", "0A000", ""]);
        assert!(passing.into_iter().all(state_may_pass) && !lasting.into_iter().any(state_may_pass));
    }

    /// How often this was done, and whether it ended well.
    async fn tries(longest: Duration, mut answers: impl FnMut(u32) -> Result<(), DbErr>) -> (u32, bool) {
        let mut tries = 0;
        let ended = insist_for(longest, Duration::ZERO, async || {
            tries += 1;
            answers(tries)
        });
        let well = ended.await.is_ok();
        (tries, well)
    }

    #[actix::test]
    async fn it_is_done_again_until_it_works_or_the_time_is_over_or_waiting_is_of_no_use() {
        let minute = Duration::from_secs(60);
        assert_eq!(tries(minute, |n| if n < 5 { Err(io()) } else { Ok(()) }).await, (5, true));
        // Once more than the time allows, as the time is looked at afterwards.
        assert_eq!(tries(Duration::ZERO, |_| Err(io())).await, (2, false));
        let useless = |n| Err(if n < 3 { io() } else { DbErr::Custom(String::new()) });
        assert_eq!(tries(minute, useless).await, (3, false));
    }
}
