//! Dead letters: what operators do with what was given up. A redrive keeps the record and all its history, and starts
//! a new round of attempts; a discard is the end. What is about any number of them is an operation.

mod operation;
mod operations;
mod outbox;
mod pace;
mod resubmit;

use uuid::Uuid;

pub use operation::ForAll;
pub(crate) use operation::{MOST_COUNTED, begin, turn, would_be_about};
pub(crate) use operations::{Changed, Operations};
pub(crate) use outbox::Outbox;
pub use resubmit::Edit;
pub(crate) use resubmit::{ORIGIN, Resubmitted, resubmit};

use crate::ingest::SubmitError;
use crate::ingest::decode::DecodeError;
use crate::lifecycle::{OperationState, Status, Verb};
use crate::persist::{Action, Filter};
use crate::process::Pool;

/// The most records that one call changes.
pub const MOST: u64 = 10_000;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such record.
    #[error("there is no record {0}")]
    Missing(Uuid),
    /// The record does not stand where this can be done.
    #[error("record {id} is {status}, and only a dead letter or an event without a handler can be {what}")]
    Standing {
        /// Which record.
        id: Uuid,
        /// Where it stands.
        status: Status,
        /// What was asked for.
        what: &'static str,
    },
    /// Nobody could handle it.
    #[error("no handler is bound to type `{0}`; bind one first")]
    NoHandler(String),
    /// More records than one call may change.
    #[error("more than {MOST} records match; narrow the filter, for instance by `until`, and repeat the call")]
    TooMany,
    /// The event has started, or is over.
    #[error("record {id} is {status}; only what has not started can be cancelled")]
    Started {
        /// Which record.
        id: Uuid,
        /// Where it stands.
        status: Status,
    },
    /// What was to be submitted is no event.
    #[error(transparent)]
    Edited(#[from] DecodeError),
    /// The new event was not accepted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// There is no such operation.
    #[error("there is no operation {0}")]
    NoSuchOperation(Uuid),
    /// The operation does not stand where this can be done.
    #[error("operation {id} is {state}; only one that runs or is paused can be changed")]
    Over {
        /// Which operation.
        id: Uuid,
        /// Where it stands.
        state: OperationState,
    },
    /// The ledger.
    #[error("the ledger cannot be written at present: {0}")]
    Ledger(#[from] crate::persist::Error),
    /// The ledger.
    #[error("the ledger cannot be read at present: {0}")]
    Read(#[from] sea_orm::DbErr),
}

/// Who asks, and why: for the audit log.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Who, as far as is known.
    pub name: String,
    /// Why, if they say.
    pub reason: Option<String>,
}

/// Starts a new round for one dead letter, or for one event that had no handler.
///
/// # Errors
/// [`Error`], when nothing was changed.
pub(crate) async fn redrive(pool: &Pool, id: Uuid, operator: &Operator) -> Result<(), Error> {
    let record = pool.persist.reads().record(id).await?.ok_or(Error::Missing(id))?;
    let standing = |status| Error::Standing { id, status, what: "redriven" };
    if !Verb::Redrive.from().contains(&record.status) {
        return Err(standing(record.status));
    }
    pool.look_elsewhere().await?;
    let destination = pool.destination(&record.event_type);
    let Some(handler) = destination.handler() else { return Err(Error::NoHandler(record.event_type)) };
    let records = vec![(id, handler.to_string())];
    match redrive_records(pool, records, operator).await? {
        0 => Err(standing(pool.persist.reads().record(id).await?.map_or(record.status, |record| record.status))),
        _ => Ok(()),
    }
}

/// Starts a new round for all that match; skips what still has no handler.
///
/// # Errors
/// [`Error`], when nothing was changed.
pub(crate) async fn redrive_all(pool: &Pool, filter: Filter, operator: &Operator) -> Result<u64, Error> {
    let matching = matching(pool, filter).await?;
    pool.look_elsewhere().await?;
    let handled = matching
        .into_iter()
        .filter_map(|(id, event_type)| Some((id, pool.destination(&event_type).handler()?.to_string())));
    redrive_records(pool, handled.collect(), operator).await
}

async fn redrive_records(pool: &Pool, records: Vec<(Uuid, String)>, operator: &Operator) -> Result<u64, Error> {
    if records.is_empty() {
        return Ok(0);
    }
    let mut lanes: Vec<String> = records.iter().map(|(_, handler)| handler.clone()).collect();
    lanes.dedup();
    let redriven = pool.operate(Action::Redrive(records), &operator.name, operator.reason.clone()).await?;
    for lane in lanes {
        pool.announce(&lane);
    }
    Ok(redriven)
}

/// Lays one dead letter to rest.
///
/// # Errors
/// [`Error`], when nothing was changed.
pub(crate) async fn discard(pool: &Pool, id: Uuid, operator: &Operator) -> Result<(), Error> {
    let record = pool.persist.reads().record(id).await?.ok_or(Error::Missing(id))?;
    let discarded = pool.operate(Action::Discard(vec![id]), &operator.name, operator.reason.clone()).await?;
    if discarded == 0 {
        return Err(Error::Standing { id, status: record.status, what: "discarded" });
    }
    Ok(())
}

/// Lays all that match to rest.
///
/// # Errors
/// [`Error`], when nothing was changed.
pub(crate) async fn discard_all(pool: &Pool, filter: Filter, operator: &Operator) -> Result<u64, Error> {
    let ids: Vec<Uuid> = matching(pool, filter).await?.into_iter().map(|(id, _)| id).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(pool.operate(Action::Discard(ids), &operator.name, operator.reason.clone()).await?)
}

/// Stops an event that has not started.
///
/// # Errors
/// [`Error`], when nothing was changed.
pub(crate) async fn cancel(pool: &Pool, id: Uuid, operator: &Operator) -> Result<(), Error> {
    let cancelled = pool.operate(Action::Cancel(id), &operator.name, operator.reason.clone()).await?;
    if cancelled == 0 {
        let record = pool.persist.reads().record(id).await?.ok_or(Error::Missing(id))?;
        return Err(Error::Started { id, status: record.status });
    }
    pool.tell_settled(&[id]).await;
    Ok(())
}

/// Dead letters that match; events without a handler only if the filter says so.
async fn matching(pool: &Pool, mut filter: Filter) -> Result<Vec<(Uuid, String)>, Error> {
    filter.confine_to_the_dead();
    let found = pool.persist.reads().ids(&filter, MOST + 1).await?;
    if found.len() as u64 > MOST { Err(Error::TooMany) } else { Ok(found) }
}
