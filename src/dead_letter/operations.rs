//! The Operations actor: works on the operations that run, step by step, whoever began them and before whichever crash.
//!
//! The ledger is the list of what is to do, and says how far each has come: nothing here has to be remembered. An
//! operation has one node that works on it; another takes it over when that one is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Error;
use super::pace::Pace;
use crate::clock::Timestamp;
use crate::lifecycle::{OperationAction, OperationVerb};
use crate::persist::{self, Action, OperationRecord, Step, Window, Work};
use crate::process::Pool;

/// How often the ledger is looked at when nobody says that something has changed: other nodes begin operations, and die.
const LOOK: Duration = Duration::from_secs(2);

/// How long to wait before what did not work is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// So many operations are worked on in turn; those that began later wait.
const AT_ONCE: u64 = 20;

/// Who writes down what the engine does by itself.
const ENGINE: &str = "engine";

/// Something about an operation has changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Changed;

/// The actor. A fault of our own costs it its run, and it begins another.
pub(crate) struct Operations {
    pool: Pool,
    changed: Arc<Notify>,
    running: Option<JoinHandle<()>>,
}

impl Operations {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, changed: Arc::default(), running: None }
    }

    fn look(&mut self) {
        if self.pool.is_draining() || self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        let run = run(self.pool.clone(), Arc::clone(&self.changed));
        if self.running.replace(actix::spawn(run)).is_some() {
            tracing::error!("the work on operations died; started again");
            self.pool.metrics.actor_restarts.with_label_values(&["operations"]).inc();
        }
    }
}

impl Actor for Operations {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look();
        ctx.run_interval(AGAIN, |operations, _| operations.look());
    }
}

impl Handler<Changed> for Operations {
    type Result = ();

    fn handle(&mut self, _: Changed, _: &mut Self::Context) {
        self.changed.notify_one();
    }
}

/// Works until the engine drains; the next start goes on.
async fn run(pool: Pool, changed: Arc<Notify>) {
    let mut paces = HashMap::new();
    while !pool.is_draining() {
        let due = match in_turn(&pool, &mut paces).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "operations cannot go on; trying again");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let due = async {
            match due {
                Some(due) => pool.clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = pool.drained() => return,
            () = due => {}
            () = changed.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Takes each operation a step further whose turn has come; says when the next turn is, if there is one.
async fn in_turn(pool: &Pool, paces: &mut HashMap<Uuid, Pace>) -> Result<Option<Timestamp>, Error> {
    let running = pool.persist.reads().running_operations(AT_ONCE).await?;
    paces.retain(|id, _| running.iter().any(|operation| operation.id == *id));
    let mut next = None;
    for operation in running {
        let pace = paces.entry(operation.id).or_insert_with(|| Pace::new(operation.rate, pool.clock.now()));
        let is_due = pace.due <= pool.clock.now();
        if is_due && !further(pool, &operation, pace).await? {
            continue;
        }
        next = Some(next.map_or(pace.due, |next: Timestamp| next.min(pace.due)));
    }
    Ok(next)
}

/// Takes an operation a step further; false if it is at its end, or another node's.
async fn further(pool: &Pool, operation: &OperationRecord, pace: &mut Pace) -> Result<bool, Error> {
    let (id, me, began) = (operation.id, pool.persist.lease().node(), pool.clock.now());
    let adopt = Action::Adopt { operation: id, owner: me };
    if operation.node != Some(me) && pool.operate(adopt, ENGINE, None).await? == 0 {
        return Ok(false);
    }
    let filter = match operation.filter() {
        Ok(filter) => filter,
        Err(error) => return end(pool, operation, OperationVerb::Fail, Some(error.to_string())).await,
    };
    let reads = pool.persist.reads();
    let window = reads.window(&filter, operation.died_by, operation.cursor, pace.step()).await?;
    let is_last = window.is_last;
    if let Some(upto) = window.upto {
        let records = window.records.len();
        make(pool, operation, window, upto, pace).await?;
        pace.went(records, began);
    }
    if is_last && !pace.is_careful {
        return end(pool, operation, OperationVerb::Complete, None).await;
    }
    Ok(true)
}

/// Makes one step. If the ledger refuses it, its records are tried one at a time, so that only the culprit fails.
async fn make(
    pool: &Pool,
    operation: &OperationRecord,
    window: Window,
    to: Uuid,
    pace: &mut Pace,
) -> Result<(), Error> {
    let records: Vec<Uuid> = window.records.iter().map(|(id, _)| *id).collect();
    let (work, failures) = sorted(pool, operation.action, window.records);
    let lanes: Vec<String> = match &work {
        Work::Redrive(records) => records.iter().map(|(_, lane)| lane.clone()).collect(),
        Work::Discard(_) | Work::Group(_) => Vec::new(),
    };
    let step = Step {
        operation: operation.id,
        owner: pool.persist.lease().node(),
        from: operation.cursor,
        to,
        work,
        failures,
    };
    match pool.operate(Action::Step(Box::new(step.clone())), ENGINE, None).await {
        Ok(_) => pace.is_careful = false,
        Err(persist::Error::Refused(why)) if records.len() == 1 => {
            tracing::error!(operation = %operation.id, record = %records[0], why, "a record cannot be changed");
            let failures = vec![(records[0], why)];
            let step = Step { work: Work::Discard(Vec::new()), failures, ..step };
            pool.operate(Action::Step(Box::new(step)), ENGINE, None).await?;
            pace.is_careful = false;
        }
        Err(persist::Error::Refused(_)) if records.len() > 1 => pace.is_careful = true,
        Err(error) => return Err(error.into()),
    }
    for lane in lanes.iter().collect::<std::collections::BTreeSet<_>>() {
        pool.announce(lane);
    }
    if operation.action == OperationAction::Discard {
        pool.tell_settled(&records).await;
    }
    Ok(())
}

/// What can be changed of these records, and what cannot.
fn sorted(pool: &Pool, action: OperationAction, records: Vec<(Uuid, String)>) -> (Work, Vec<(Uuid, String)>) {
    let ids = |records: Vec<(Uuid, String)>| records.into_iter().map(|(id, _)| id).collect();
    match action {
        OperationAction::Discard => (Work::Discard(ids(records)), Vec::new()),
        OperationAction::Group => (Work::Group(ids(records)), Vec::new()),
        OperationAction::Redrive => {
            let (mut handled, mut failures) = (Vec::with_capacity(records.len()), Vec::new());
            for (id, event_type) in records {
                match pool.resolve(&event_type) {
                    Some(handler) => handled.push((id, handler.to_string())),
                    None => failures.push((id, Error::NoHandler(event_type).to_string())),
                }
            }
            (Work::Redrive(handled), failures)
        }
    }
}

async fn end(
    pool: &Pool,
    operation: &OperationRecord,
    verb: OperationVerb,
    error: Option<String>,
) -> Result<bool, Error> {
    let id = operation.id;
    match &error {
        Some(error) => tracing::error!(operation = %id, error, "an operation has failed"),
        None => tracing::info!(operation = %id, action = operation.action.as_str(), "an operation is done"),
    }
    pool.operate(Action::Turn { operation: id, verb, error }, ENGINE, None).await?;
    Ok(false)
}
