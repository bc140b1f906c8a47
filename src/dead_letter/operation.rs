//! What people ask of operations on many dead letters: how many there are, a beginning, a pause, an end.
//!
//! Nothing is changed here: an operation is written down, and the actor beside this file works on it.

use uuid::Uuid;

use super::{Error, Operator};
use crate::lifecycle::{OperationAction, OperationVerb};
use crate::persist::{Action, Begin, Filter, Matched, Operation, OperationRecord};
use crate::process::Pool;

/// An operation on all dead letters that match.
#[derive(Clone, Debug)]
pub struct ForAll {
    /// What is done to each.
    pub action: OperationAction,
    /// Which. Events without a handler only if it says so.
    pub filter: Filter,
    /// How many a second at most; none is as fast as it can.
    pub rate: Option<u32>,
}

/// So many dead letters are looked at to say how many an operation is about, if no kept count says it.
pub(crate) const MOST_COUNTED: u64 = 100_000;

/// How many an operation would be about; so many dead letters are looked at for it at most.
///
/// # Errors
/// [`Error::Read`].
pub(crate) async fn would_be_about(pool: &Pool, filter: &Filter, most: u64) -> Result<Matched, Error> {
    Ok(pool.persist.reads().matching(&confined(filter), pool.clock.now(), most).await?)
}

/// Begins an operation. It goes on in the background, through restarts.
///
/// # Errors
/// [`Error`], when nothing was begun.
pub(crate) async fn begin(pool: &Pool, asked: ForAll, operator: &Operator) -> Result<OperationRecord, Error> {
    let filter = confined(&asked.filter);
    let (id, at) = (pool.clock.new_id(), pool.clock.now());
    let matched = pool.persist.reads().matching(&filter, at, MOST_COUNTED).await?;
    let begin = Begin { action: asked.action, filter, died_by: at, matched, rate: asked.rate };
    let (action, actor) = (Action::Begin(Box::new(begin)), operator.name.clone());
    pool.persist.operate(Operation { action, id, at, actor, reason: operator.reason.clone() }).await?;
    tracing::info!(operation = %id, action = asked.action.as_str(), records = matched.count, by = operator.name, "an operation has begun");
    pool.wake_operations();
    pool.persist.reads().operation(id).await?.ok_or(Error::NoSuchOperation(id))
}

/// Changes the state of an operation; one that stands there already is left as it is.
///
/// # Errors
/// [`Error`], when nothing was changed.
pub(crate) async fn turn(
    pool: &Pool,
    id: Uuid,
    verb: OperationVerb,
    operator: &Operator,
) -> Result<OperationRecord, Error> {
    let action = Action::Turn { operation: id, verb, error: None };
    pool.operate(action, &operator.name, operator.reason.clone()).await?;
    pool.wake_operations();
    let operation = pool.persist.reads().operation(id).await?.ok_or(Error::NoSuchOperation(id))?;
    // It may have run to its end meanwhile, which is what a resume was for.
    let is_there = operation.state == verb.to() || verb == OperationVerb::Resume && !operation.state.is_over();
    if is_there { Ok(operation) } else { Err(Error::Over { id, state: operation.state }) }
}

/// Dead letters, unless it is said that events without a handler are meant.
fn confined(filter: &Filter) -> Filter {
    let mut filter = filter.clone();
    filter.confine_to_the_dead();
    filter
}
