//! The ledger's room: one actor that writes, reads beside it, and the take-over at the start.
//!
//! Nothing else in the engine writes to the database. Every write is one verb of the lifecycle and names the status
//! or the claim that it expects; what does not stand there any more is somebody else's news.

mod accept;
mod actor;
mod arrays;
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
mod interest;
mod lineage;
mod operate;
mod outbox;
#[cfg(test)]
#[path = "../tests/it/place.rs"]
mod place;
mod reads;
mod record;
mod recover;
mod rows;
mod search;
#[cfg(test)]
mod tests;
mod tx;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;
use sea_orm::DbErr;
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

pub use chemical::{Chemical, ChemicalChange, Description, PastChange};
pub use command::{Attempt, Due, Finish};
pub use config::Config;
pub use database::{Location, OpenError, sqlite_path};
pub use interest::{Interest, Wanted};
pub use lineage::{Act, Resubmission};
pub use operate::{Action, Operation};
pub use outbox::Death;
pub use reads::{CountsByLane, Filter, Reads, Whole};
pub use record::{AttemptRecord, Claim, Entry, NewRecord, Origin, Record, Taken};
pub use recover::Orphan;
pub use search::Found;

use crate::clock::Timestamp;
use crate::telemetry::Metrics;
use command::{Command, Reply};
use tx::Tx;

/// How much may wait to be accepted, in KiB; an event takes at least one. Above it callers are told to come back.
const ACCEPT_ROOM: u32 = 32 * 1_024;

/// How long the last commit may take when the ledger is closed.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(5);

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
    /// The boot-unique id of this process in the ledger.
    pub node: Uuid,
}

/// What [`open`] gives: the way to Persistence, and the lock on the database for as long as it is kept.
#[derive(Debug)]
pub struct Ledger {
    /// The way to Persistence.
    pub persist: Persist,
    /// Released when dropped. None where the connection that writes holds it.
    pub lock: Option<std::fs::File>,
}

/// Opens and migrates the database and starts Persistence on a thread of its own.
///
/// # Errors
/// [`OpenError`], which says what to do.
pub async fn open(config: &Config, node: Uuid, metrics: Metrics) -> Result<Ledger, OpenError> {
    let database::Opened { writer, readers, lock } = database::open(config).await?;
    let (queued, writer) = (Arc::new(AtomicUsize::new(0)), Arc::new(writer));
    let arbiter = Arbiter::new().handle();
    let (commits, count) = (commit::Writer { db: Arc::clone(&writer), node, metrics }, Arc::clone(&queued));
    let actor = Actor::start_in_arbiter(&arbiter, move |_| actor::Persistence::new(commits, count));
    let room = Arc::new(Semaphore::new(ACCEPT_ROOM as usize));
    let persist = Persist { actor, room, queued, arbiter, reads: Reads { db: readers }, writer, node };
    Ok(Ledger { persist, lock })
}

/// Makes or migrates the database and closes it again.
///
/// # Errors
/// [`OpenError`], which says what to do.
pub async fn migrate(config: &Config) -> Result<(), OpenError> {
    let opened = database::open(config).await?;
    let closed = opened.readers.close().await.and(opened.writer.close().await);
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

    /// Writes this process into the list of nodes.
    ///
    /// # Errors
    /// The database's.
    pub async fn register(&self, name: &str, handlers: &[String], now: Timestamp) -> Result<(), DbErr> {
        self.write(async |tx| recover::register(tx, self.node, name, handlers, now).await).await
    }

    /// What processes that are gone had in hand, some of it, and whether they were stopping on purpose.
    ///
    /// # Errors
    /// The database's.
    pub async fn orphans(&self) -> Result<Vec<(Orphan, bool)>, DbErr> {
        let draining: HashMap<Uuid, bool> = recover::others(&self.reads.db, self.node).await?;
        let orphans = recover::claims(&self.reads.db, self.node, true, 1_000).await?;
        let whole = |orphan: Orphan| {
            let drained = draining.get(&orphan.owner).copied().unwrap_or(false);
            (orphan, drained)
        };
        Ok(orphans.into_iter().map(whole).collect())
    }

    /// What this process has in hand, as the ledger knows it.
    ///
    /// # Errors
    /// The database's.
    pub async fn own_claims(&self) -> Result<Vec<Orphan>, DbErr> {
        recover::claims(&self.reads.db, self.node, false, 100_000).await
    }

    /// Closes the books of all other nodes, once nothing is theirs any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn bury_nodes(&self, now: Timestamp) -> Result<(), DbErr> {
        self.write(async |tx| recover::bury_nodes(tx, self.node, now).await).await
    }

    /// Says that this process stops on purpose.
    ///
    /// # Errors
    /// The database's.
    pub async fn draining(&self) -> Result<(), DbErr> {
        self.write(async |tx| recover::drain(tx, self.node).await).await
    }

    /// Lets the running commit end, and closes the database. Who still waits for an answer then gets [`Error::Lost`].
    ///
    /// # Errors
    /// The database's.
    pub async fn close(&self) -> Result<(), DbErr> {
        // Answered after everything that came before it. An error means that the ledger is away, or closed already.
        drop(tokio::time::timeout(CLOSING, self.claim(Vec::new())).await);
        self.arbiter.stop();
        self.reads.db.close_by_ref().await?;
        self.writer.close().await
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
