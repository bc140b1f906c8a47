//! The ledger's room: one actor that writes, reads beside it, and the take-over at the start.
//!
//! Nothing else in the engine writes to the database. Every write is one verb of the lifecycle and names the status
//! or the claim that it expects; what does not stand there any more is somebody else's news.

mod accept;
mod actor;
mod arrays;
mod audit;
mod chemical;
mod claim;
mod column;
mod command;
mod commit;
mod config;
mod counts;
mod database;
mod dialect;
mod fault;
mod finish;
mod groups;
mod interest;
mod late;
mod lease;
mod lineage;
mod nodes;
mod operate;
mod operation;
mod outbox;
#[cfg(test)]
#[path = "../tests/it/place.rs"]
mod place;
mod reads;
mod record;
mod recover;
mod rollup;
mod rows;
mod search;
#[cfg(test)]
mod tests;
mod trouble;
mod tx;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use sea_orm::DbErr;
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

pub use audit::{AuditFilter, AuditLine};
pub use chemical::{Chemical, ChemicalChange, Description, PastChange};
pub use command::{Attempt, Due, Finish};
pub use config::Config;
pub(crate) use database::insist;
pub use database::{Location, OpenError, sqlite_path};
pub use groups::{Group, GroupEnd, GroupFilter, GroupOrder};
pub use interest::{Interest, Wanted};
pub use lease::{Changes, Lease, Loss, Peer};
pub use lineage::{Act, Resubmission};
pub use nodes::{Listed, Listing, Node, NodeState};
pub use operate::{Action, Operation};
pub use operation::{Begin, Matched, OperationFailure, OperationRecord, Step, Window, Work};
pub use outbox::Death;
pub use reads::{CountsByLane, Filter, Reads, Whole};
pub use record::{AttemptRecord, Claim, Entry, NewRecord, Origin, Record, Remade, Taken};
pub use recover::Orphan;
pub use rollup::Rollup;
pub use search::{Found, LOOKED_AT};

use crate::clock::{Clock, Timestamp};
use crate::telemetry::Metrics;
use command::{Command, Reply};
use trouble::Trouble;
use tx::Tx;

/// How much may wait to be accepted, in KiB; an event takes at least one. Above it callers are told to come back.
const ACCEPT_ROOM: u32 = 32 * 1_024;

/// How long the last commit may take when the ledger is closed.
const CLOSING: Duration = Duration::from_secs(5);

/// The mailbox only carries: what is in it has found room before.
const MAILBOX: usize = 65_536;

/// Why a command was not done.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Too many events wait to be accepted; nothing of this command was taken.
    #[error("the ledger's queue is full")]
    Full,
    /// Persistence has stopped; nothing of this command was taken.
    #[error("the ledger is closed")]
    Closed,
    /// The answer is missing: it may have been done or not.
    #[error("the ledger did not answer")]
    Lost,
    /// The database refuses it.
    #[error("the ledger refused the write: {0}")]
    Refused(String),
}

/// The way to Persistence; cheap to clone.
#[derive(Clone, Debug)]
pub struct Persist {
    actor: Addr<actor::Persistence>,
    room: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
    arbiter: ArbiterHandle,
    reads: Reads,
    writer: Arc<database::Connection>,
    lease: Lease,
    /// How long the lease lasts, where it ends at all.
    lasts: Duration,
    clock: Clock,
    metrics: Metrics,
    trouble: Trouble,
}

/// What [`open`] gives: the way to Persistence, and the lock on the database for as long as it is kept.
#[derive(Debug)]
pub struct Ledger {
    /// The way to Persistence.
    pub persist: Persist,
    /// Released when dropped. None where several nodes share the ledger.
    pub lock: Option<std::fs::File>,
}

/// Opens and migrates the database and starts Persistence on a thread of its own. On PostgreSQL the clock goes by the
/// database's time from now on. A database that is not there yet is waited for, some seconds.
///
/// # Errors
/// [`OpenError`], which says what to do.
pub async fn open(config: &Config, clock: &Clock, metrics: Metrics) -> Result<Ledger, OpenError> {
    let database::Opened { writer, readers, lock } = insist(async || database::open(config).await).await?;
    insist(async || writer.set(clock).await).await?;
    let node = clock.new_id();
    let lease = if lock.is_some() { Lease::endless(node) } else { Lease::to_be_had(node) };
    readers.count_with(metrics.reader_pools_replaced.clone());
    let (queued, writer) = (Arc::new(AtomicUsize::new(0)), Arc::new(writer));
    let arbiter = Arbiter::new().handle();
    let (trouble, count) = (Trouble::default(), Arc::clone(&queued));
    let commits = commit::Writer {
        db: Arc::clone(&writer),
        lease: lease.clone(),
        metrics: metrics.clone(),
        trouble: trouble.clone(),
    };
    let actor = Actor::start_in_arbiter(&arbiter, move |_| actor::Persistence::new(commits, count));
    let room = Arc::new(Semaphore::new(ACCEPT_ROOM as usize));
    let (reads, clock) = (Reads { db: readers }, clock.clone());
    let lasts = config.lease;
    let persist = Persist { actor, room, queued, arbiter, reads, writer, lease, lasts, clock, metrics, trouble };
    Ok(Ledger { persist, lock })
}

/// Makes or migrates the database and closes it again.
///
/// # Errors
/// [`OpenError`], which says what to do.
pub async fn migrate(config: &Config) -> Result<(), OpenError> {
    let opened = database::open(config).await?;
    let closed = opened.readers.close_by_ref().await.and(opened.writer.close().await);
    closed.map_err(OpenError::Closing)
}

impl Persist {
    /// Accepts events in one commit; the answers are in their order.
    ///
    /// # Errors
    /// [`Error`]; with [`Error::Full`] at once, so that the caller can be told.
    pub async fn accept(&self, records: Vec<NewRecord>, wanted: Wanted) -> Result<Vec<Taken>, Error> {
        let room = records.iter().map(room_of).fold(0u32, u32::saturating_add).min(ACCEPT_ROOM);
        let room = Arc::clone(&self.room).try_acquire_many_owned(room).map_err(|_| Error::Full)?;
        self.ask(|reply| Command::Accept { records, wanted, _room: room, reply }).await
    }

    /// Claims events that are held in memory; says which of them are in hand now.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn claim(&self, claims: Vec<Claim>) -> Result<Vec<bool>, Error> {
        self.ask(|reply| Command::Claim { claims, reply }).await
    }

    /// Claims what is due, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn claim_due(&self, due: Due) -> Result<Vec<Claim>, Error> {
        self.ask(|reply| Command::ClaimDue { due, reply }).await
    }

    /// Puts an event out of hand; false if the claim was not this node's any more, and nothing was changed.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn finish(&self, finish: Finish) -> Result<bool, Error> {
        self.ask(|reply| Command::Finish { finish: Box::new(finish), reply }).await
    }

    /// Keeps a change of a chemical's status; one that is kept already changes nothing.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn keep(&self, change: ChemicalChange) -> Result<(), Error> {
        self.ask(|reply| Command::Keep { change: Box::new(change), reply }).await
    }

    /// Writes down that the broker has confirmed these deaths, each a record and its round.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn published(&self, deaths: Vec<(Uuid, u32)>, at: Timestamp) -> Result<(), Error> {
        self.ask(|reply| Command::Published { deaths, at, reply }).await
    }

    /// Does what an operator asks for; says how many records it changed.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn operate(&self, operation: Operation) -> Result<u64, Error> {
        self.ask(|reply| Command::Operate { operation, reply }).await
    }

    /// Puts what nodes that are gone had in hand out of it, as much as goes into one commit; gives what it did.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn take_over(&self, at: Timestamp) -> Result<Vec<Finish>, Error> {
        self.ask(|reply| Command::TakeOver { at, reply }).await
    }

    /// Who this process is in the ledger, and whether it may start anything.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Why the ledger cannot be written at present; nothing if it can.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.why()
    }

    /// Whether other nodes may work on the same ledger.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(*self.writer, database::Connection::Postgres(_))
    }

    /// Forgets the nodes that were gone before this moment.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn forget_nodes(&self, before: Timestamp) -> Result<(), Error> {
        self.ask(|reply| Command::ForgetNodes { before, reply }).await
    }

    /// Writes down what happened in a slot of this node.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn roll_up(&self, rollup: Rollup) -> Result<(), Error> {
        self.ask(|reply| Command::RollUp { rollup: Box::new(rollup), reply }).await
    }

    /// The reading side.
    #[must_use]
    pub const fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Commands that wait for the next commit.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Whether the actor lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.actor.connected()
    }

    /// Writes this process into the list of nodes; it holds its lease then.
    ///
    /// # Errors
    /// The database's.
    pub async fn register(&self, name: &str, listing: &Listing) -> Result<(), DbErr> {
        let (name, started_at) = (name.to_owned(), self.clock.now());
        let handlers = serde_json::to_string(listing).map_err(|error| DbErr::Json(error.to_string()))?;
        match &*self.writer {
            database::Connection::Sqlite(_) => {
                let node = self.lease.node();
                self.write(async |tx| recover::register_alone(tx, node, &name, handlers, started_at).await).await
            }
            database::Connection::Postgres(writer) => {
                let (myself, clock) = (lease::Myself { name, handlers, started_at }, self.clock.clone());
                let metrics = self.metrics.clone();
                lease::Keeper::start(&self.lease, writer.options(), self.lasts, myself, clock, metrics).await
            }
        }
    }

    /// Whether a node that is gone has left anything that is to be taken over.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_anything_left(&self) -> Result<bool, DbErr> {
        recover::is_anything_left(&self.reads.db, self.lease.node()).await
    }

    /// What nodes that are gone had in hand, some of it.
    ///
    /// # Errors
    /// The database's.
    pub async fn orphans(&self) -> Result<Vec<Orphan>, DbErr> {
        recover::claims_of_the_gone(&self.reads.db, 1_000).await
    }

    /// What this process has in hand under any of its ids, as the ledger knows it.
    ///
    /// # Errors
    /// The database's.
    pub async fn own_claims(&self) -> Result<Vec<Orphan>, DbErr> {
        recover::claims_of(&self.reads.db, &self.lease.nodes(), 100_000).await
    }

    /// Says that this process stops on purpose.
    ///
    /// # Errors
    /// The database's.
    pub async fn draining(&self) -> Result<(), DbErr> {
        self.lease.drains();
        let node = self.lease.node();
        self.write(async |tx| recover::drain(tx, node).await).await
    }

    /// Lets the running commit end, and closes the database. Who still waits for an answer then gets [`Error::Lost`].
    ///
    /// # Errors
    /// The database's.
    pub async fn close(&self) -> Result<(), DbErr> {
        // Answered after everything that came before it. An error means that the ledger is away, or closed already.
        drop(tokio::time::timeout(CLOSING, self.claim(Vec::new())).await);
        // Before the thread ends: a connection that was opened there ends with it.
        self.retire().await;
        self.arbiter.stop();
        self.reads.db.close_by_ref().await?;
        self.writer.close().await
    }

    /// Ends the lease, so that nobody waits for it to run out. With the database away it runs out.
    async fn retire(&self) {
        self.lease.end().await;
        let (node, now) = (self.lease.node(), self.clock.now());
        let retiring = self.write(async |tx| recover::retire(tx, node, now).await);
        match tokio::time::timeout(CLOSING, retiring).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the ledger could not be told that this node is gone"),
            Err(_) => tracing::warn!("the ledger was too slow to be told that this node is gone"),
        }
    }

    /// Writes beside Persistence: only at start and stop.
    async fn write(&self, what: impl AsyncFnOnce(&Tx) -> Result<(), DbErr>) -> Result<(), DbErr> {
        let tx = self.writer.begin().await?;
        what(&tx).await?;
        tx.commit().await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        match self.actor.try_send(command(reply)) {
            Ok(()) => {}
            Err(SendError::Full(command)) => self.actor.send(command).await.map_err(|_| Error::Closed)?,
            Err(SendError::Closed(_)) => return Err(Error::Closed),
        }
        answer.await.map_err(|_| Error::Lost)?
    }
}

/// The room that a record takes in the queue, in KiB.
fn room_of(record: &NewRecord) -> u32 {
    let bytes = record.event.data.bytes.as_ref().map_or(0, bytes::Bytes::len);
    u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX)
}
