//! What Persistence can be told to do. Each command is answered once, after its commit.

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use super::Error;
use super::chemical::ChemicalChange;
use super::groups::Buried;
use super::interest::Wanted;
use super::operate::Operation;
use super::record::{Claim, NewRecord, Record, Taken};
use super::recover::TAKEN_AT_ONCE;
use super::rollup::Rollup;
use crate::clock::Timestamp;
use crate::lifecycle::{AttemptStatus, FinalStatus, Transition};

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// One command in Persistence's queue.
pub(super) enum Command {
    Accept { records: Vec<NewRecord>, wanted: Wanted, _room: OwnedSemaphorePermit, reply: Reply<Vec<Taken>> },
    Claim { claims: Vec<Claim>, reply: Reply<Vec<bool>> },
    ClaimDue { due: Due, reply: Reply<Vec<Claim>> },
    Finish { finish: Box<Finish>, reply: Reply<bool> },
    Keep { change: Box<ChemicalChange>, reply: Reply<()> },
    Published { deaths: Vec<(Uuid, u32)>, at: Timestamp, reply: Reply<()> },
    Operate { operation: Operation, reply: Reply<u64> },
    TakeOver { at: Timestamp, reply: Reply<Vec<Finish>> },
    ForgetNodes { before: Timestamp, reply: Reply<()> },
    RollUp { rollup: Box<Rollup>, reply: Reply<()> },
}

impl actix::Message for Command {
    type Result = ();
}

/// An answer to one of the commands, in the order of the batch.
pub(super) enum Answer {
    Accepted(Vec<Taken>),
    Claimed(Vec<bool>),
    Due(Vec<Claim>),
    Finished(bool),
    Kept,
    Published,
    Forgotten,
    Operated(u64),
    TakenOver(Vec<Finish>),
    RolledUp,
}

/// Takes due events in hand, from the head of what waits.
#[derive(Clone, Debug)]
pub struct Due {
    /// Whose events: one lane, or several when it is suspects that are looked for.
    pub handlers: Vec<String>,
    /// Whether to look for events that may have killed a process.
    pub suspects: bool,
    /// One fencing token for each permit that is free.
    pub attempt_ids: Vec<Uuid>,
    /// What is due at this moment.
    pub now: Timestamp,
}

/// Puts an event out of hand.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Its record.
    pub record_id: Uuid,
    /// The claim that ends.
    pub attempt_id: Uuid,
    /// Whose lane.
    pub handler: String,
    /// From in hand to where it stands next.
    pub step: Transition,
    /// The attempt that ended; none if it never started.
    pub attempt: Option<Attempt>,
    /// Attempts made, this one included if it started.
    pub attempt_count: u32,
    /// Retries used.
    pub retry_count: u32,
    /// Deaths of a process with it in hand.
    pub crash_count: u32,
    /// In which round.
    pub round: u32,
    /// When it is due again, if it is to wait.
    pub next_attempt_at: Option<Timestamp>,
    /// The last error.
    pub error: Option<String>,
    /// The bus it came from, which is where its death is published.
    pub bus: String,
    /// Now.
    pub at: Timestamp,
}

/// How an attempt went.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// How it ended.
    pub status: AttemptStatus,
    /// When its claim was made.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
    /// In which process.
    pub node: Uuid,
}

impl Finish {
    /// The death that it is, if it is one.
    pub(super) fn death(&self) -> Option<Buried> {
        let is_one = self.step.to().final_status() == Some(FinalStatus::DeadLetter);
        is_one.then(|| Buried::dead(&self.handler, self.error.as_deref(), self.at))
    }
}

impl Claim {
    /// The record as this finish leaves it.
    pub(crate) fn settled(&self, finish: &Finish) -> Record {
        let event = &self.event;
        let status = finish.step.to();
        Record {
            id: self.record_id,
            event_id: event.id.clone(),
            source: event.source.clone(),
            event_type: event.event_type.clone(),
            subject: event.subject.clone(),
            time: event.time.map(|time| time.to_rfc3339()),
            datacontenttype: event.data.content_type.clone(),
            extensions: event.extensions.clone(),
            status,
            final_status: status.final_status(),
            handler_name: Some(self.handler.to_string()),
            retry_count: finish.retry_count,
            attempt_count: finish.attempt_count,
            crash_count: finish.crash_count,
            round: finish.round,
            error: finish.error.clone(),
            next_attempt_at: finish.next_attempt_at,
            duplicate_of: None,
            node: None,
            origin: self.origin.clone(),
            created_at: self.created_at,
            updated_at: finish.at,
            completed_at: status.is_final().then_some(finish.at),
            group: finish.death().map(|death| death.group().to_owned()),
            claim: None,
        }
    }
}

impl Command {
    /// How many rows it is about, so that a commit stays short.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Accept { records, .. } => records.len(),
            Self::Claim { claims, .. } => claims.len(),
            Self::ClaimDue { due, .. } => due.attempt_ids.len(),
            Self::Finish { .. } => 1,
            Self::Keep { .. } => 1,
            Self::Published { deaths, .. } => deaths.len(),
            Self::Operate { operation, .. } => operation.action.rows(),
            Self::TakeOver { .. } => TAKEN_AT_ONCE,
            Self::ForgetNodes { .. } => 1,
            Self::RollUp { .. } => 1,
        }
    }

    /// Whether it only brings new events in; everything else goes first.
    pub(super) const fn is_accept(&self) -> bool {
        matches!(self, Self::Accept { .. })
    }

    pub(super) fn as_finish(&self) -> Option<&Finish> {
        if let Self::Finish { finish, .. } = self { Some(finish) } else { None }
    }

    pub(super) fn as_claims(&self) -> &[Claim] {
        if let Self::Claim { claims, .. } = self { claims } else { &[] }
    }

    pub(super) fn as_change(&self) -> Option<&ChemicalChange> {
        if let Self::Keep { change, .. } = self { Some(change) } else { None }
    }

    pub(super) fn as_records(&self) -> &[NewRecord] {
        if let Self::Accept { records, .. } = self { records } else { &[] }
    }

    /// Begins its writing; false if nobody wants it any more.
    pub(super) fn begin(&self) -> bool {
        match self {
            Self::Accept { wanted, .. } => wanted.begin(),
            _ => true,
        }
    }

    /// Whether anybody waits for its answer.
    pub(super) fn is_wanted(&self) -> bool {
        if let Self::Accept { wanted, .. } = self { wanted.is_wanted() } else { true }
    }

    /// Says that nothing of it was written.
    pub(super) fn rewind(&self) {
        if let Self::Accept { wanted, .. } = self {
            wanted.rewind();
        }
    }

    /// Answers it. A caller that has gone needs no answer.
    pub(super) fn answer(self, answer: Answer) {
        match (self, answer) {
            (Self::Accept { reply, .. }, Answer::Accepted(answer)) => drop(reply.send(Ok(answer))),
            (Self::Claim { reply, .. }, Answer::Claimed(answer)) => drop(reply.send(Ok(answer))),
            (Self::ClaimDue { reply, .. }, Answer::Due(answer)) => drop(reply.send(Ok(answer))),
            (Self::Finish { reply, .. }, Answer::Finished(answer)) => drop(reply.send(Ok(answer))),
            (Self::Keep { reply, .. }, Answer::Kept) => drop(reply.send(Ok(()))),
            (Self::Published { reply, .. }, Answer::Published) => drop(reply.send(Ok(()))),
            (Self::Operate { reply, .. }, Answer::Operated(answer)) => drop(reply.send(Ok(answer))),
            (Self::TakeOver { reply, .. }, Answer::TakenOver(answer)) => drop(reply.send(Ok(answer))),
            (Self::ForgetNodes { reply, .. }, Answer::Forgotten) => drop(reply.send(Ok(()))),
            (Self::RollUp { reply, .. }, Answer::RolledUp) => drop(reply.send(Ok(()))),
            (command, _) => command.refuse("the answer is of another kind"),
        }
    }

    /// Answers it with the database's refusal.
    pub(super) fn refuse(self, why: &str) {
        let error = || Error::Refused(why.to_owned());
        match self {
            Self::Accept { reply, .. } => drop(reply.send(Err(error()))),
            Self::Claim { reply, .. } => drop(reply.send(Err(error()))),
            Self::ClaimDue { reply, .. } => drop(reply.send(Err(error()))),
            Self::Finish { reply, .. } => drop(reply.send(Err(error()))),
            Self::Keep { reply, .. } => drop(reply.send(Err(error()))),
            Self::Published { reply, .. } => drop(reply.send(Err(error()))),
            Self::Operate { reply, .. } => drop(reply.send(Err(error()))),
            Self::TakeOver { reply, .. } => drop(reply.send(Err(error()))),
            Self::ForgetNodes { reply, .. } => drop(reply.send(Err(error()))),
            Self::RollUp { reply, .. } => drop(reply.send(Err(error()))),
        }
    }
}
