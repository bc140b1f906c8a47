//! One commit: everything that waits, in one transaction, with every answer afterwards.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use super::chemical::{self, ChemicalChange};
use super::command::{Answer, Command, Finish};
use super::counts::Counts;
use super::database::Connection;
use super::fault::Fault;
use super::lease::Lease;
use super::record::{Claim, NewRecord, Taken};
use super::trouble::Trouble;
use super::tx::Tx;
use super::{accept, claim, finish, nodes, operate, outbox, recover, rollup};
use crate::telemetry::Metrics;

/// What a commit needs.
#[derive(Clone)]
pub(super) struct Writer {
    pub db: Arc<Connection>,
    pub lease: Lease,
    pub metrics: Metrics,
    pub trouble: Trouble,
}

/// How long to wait before a failed commit is tried again, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

impl Writer {
    /// Writes and answers all of them, however long the database is away.
    pub(super) async fn commit(self, commands: Vec<Command>) {
        // Parts of a batch still to be written, each with whether an earlier try may have written it already.
        let mut parts = vec![(commands, false)];
        let mut waits = waits();
        while let Some((mut part, careful)) = parts.pop() {
            part.retain(Command::begin);
            if part.is_empty() {
                continue;
            }
            match self.write(&part, careful).await {
                Ok(answers) => {
                    self.is_written();
                    waits = self::waits();
                    part.into_iter().zip(answers).for_each(|(command, answer)| command.answer(answer));
                }
                Err(fault) => {
                    self.metrics.commit_failures.with_label_values(&[fault.label()]).inc();
                    self.recover(fault, part, careful, &mut parts, &mut waits).await;
                }
            }
        }
        // Also if nobody wanted it any more: without this, a ledger that came back would count as away until somebody
        // writes, and nobody is sent to a node that is not ready.
        self.is_written();
    }

    fn is_written(&self) {
        self.metrics.ledger_unavailable.set(0);
        self.trouble.is(None);
    }

    async fn recover(
        &self,
        fault: Fault,
        part: Vec<Command>,
        careful: bool,
        parts: &mut Vec<(Vec<Command>, bool)>,
        waits: &mut backon::ExponentialBackoff,
    ) {
        match fault {
            // Somebody else has moved one of the records; looking first finds out which.
            Fault::Moved => parts.push((part, true)),
            Fault::Away(why) => {
                // Before the wait: who gives up meanwhile is told that nothing was taken.
                if !careful {
                    part.iter().for_each(Command::rewind);
                }
                self.wait(&why, waits).await;
                parts.push((part, careful));
            }
            Fault::Unknown(why) => {
                self.wait(&why, waits).await;
                parts.push((part, true));
            }
            Fault::Refused(why) => split(part, careful, &why, parts),
        }
    }

    async fn wait(&self, why: &str, waits: &mut backon::ExponentialBackoff) {
        self.metrics.ledger_unavailable.set(1);
        self.trouble.is(Some(why));
        let wait = waits.next().unwrap_or(LONGEST_WAIT);
        tracing::warn!(error = why, retry_in_ms = wait.as_millis(), "the ledger cannot be written; trying again");
        tokio::time::sleep(wait).await;
    }

    /// One try.
    pub(super) async fn write(&self, commands: &[Command], careful: bool) -> Result<Vec<Answer>, Fault> {
        let started = Instant::now();
        let tx = match self.db.begin().await {
            Ok(tx) => tx,
            Err(error) => {
                let fault = Fault::from(&error);
                if !Fault::is_busy(&error) {
                    self.reopen().await;
                }
                return Err(fault);
            }
        };
        let answers = match self.fill(&tx, commands, careful).await {
            Ok(answers) => answers,
            Err(fault) => {
                if tx.rollback().await.is_err() {
                    self.reopen().await;
                }
                return Err(fault);
            }
        };
        if let Err(error) = tx.commit().await {
            self.reopen().await;
            return Err(Fault::of_commit(&error));
        }
        self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a batch has about a thousand commands")]
        self.metrics.commit_commands.observe(commands.len() as f64);
        Ok(answers)
    }

    async fn reopen(&self) {
        if let Err(error) = self.db.reopen().await {
            // The closed connection refuses every transaction until the next try opens one.
            tracing::error!(%error, "the ledger's connection cannot be opened again yet");
        }
    }

    /// All statements of the transaction: what goes out of hand first, then what comes in hand, then what handlers keep
    /// in tables of their own, then what is new.
    async fn fill(&self, tx: &Tx, commands: &[Command], careful: bool) -> Result<Vec<Answer>, Fault> {
        // The same in all of the transaction, whatever happens to the lease meanwhile.
        let (mut counts, node) = (Counts::default(), self.lease.node());
        let finishes: Vec<&Finish> = commands.iter().filter_map(Command::as_finish).collect();
        let claims: Vec<&Claim> = commands.iter().flat_map(Command::as_claims).collect();
        let changes: Vec<&ChemicalChange> = commands.iter().filter_map(Command::as_change).collect();
        let accepts: Vec<&NewRecord> = commands.iter().flat_map(Command::as_records).collect();
        let mut finished = finish::finish(tx, &finishes, careful, &mut counts).await?.into_iter();
        let mut claimed = claim::claim(tx, &claims, careful, node, &mut counts).await?.into_iter();
        let mut others = Vec::new();
        for command in commands {
            match command {
                // It was asked for before the lease ran out; the others have it now.
                Command::ClaimDue { .. } if !self.lease.holds() => others.push(Answer::Due(Vec::new())),
                Command::ClaimDue { due, .. } => {
                    others.push(Answer::Due(claim::claim_due(tx, due, node, &mut counts).await?));
                }
                Command::Operate { operation, .. } => {
                    others.push(Answer::Operated(operate::operate(tx, operation, &mut counts).await?));
                }
                Command::TakeOver { at, .. } => {
                    others.push(Answer::TakenOver(recover::take_over(tx, node, *at, &mut counts).await?));
                }
                Command::Published { deaths, at, .. } => outbox::published(tx, deaths, *at).await?,
                Command::ForgetNodes { before, .. } => nodes::forget(tx, *before).await?,
                Command::RollUp { rollup, .. } => rollup::write(tx, rollup, node).await?,
                _ => {}
            }
        }
        chemical::keep(tx, &changes).await?;
        let mut accepted: std::vec::IntoIter<Taken> =
            accept::accept(tx, &accepts, careful, node, &mut counts).await?.into_iter();
        counts.write(tx, node).await?;
        let mut others = others.into_iter();
        let answers = commands.iter().filter_map(|command| match command {
            Command::Finish { .. } => finished.next().map(Answer::Finished),
            Command::Keep { .. } => Some(Answer::Kept),
            Command::Published { .. } => Some(Answer::Published),
            Command::ForgetNodes { .. } => Some(Answer::Forgotten),
            Command::RollUp { .. } => Some(Answer::RolledUp),
            Command::Claim { claims, .. } => Some(Answer::Claimed(claimed.by_ref().take(claims.len()).collect())),
            Command::Accept { records, .. } => Some(Answer::Accepted(accepted.by_ref().take(records.len()).collect())),
            Command::ClaimDue { .. } | Command::Operate { .. } | Command::TakeOver { .. } => others.next(),
        });
        Ok(answers.collect())
    }
}

/// A batch that is refused is halved until the bad command is alone; a finish is then written without its texts.
fn split(mut part: Vec<Command>, careful: bool, why: &str, parts: &mut Vec<(Vec<Command>, bool)>) {
    if part.len() > 1 {
        let rest = part.split_off(part.len() / 2);
        parts.push((rest, careful));
        parts.push((part, careful));
        return;
    }
    for command in part {
        match command {
            Command::Finish { mut finish, reply } if finish.error.is_some() => {
                tracing::error!(record = %finish.record_id, error = why, "an attempt's error text was refused");
                finish.error = None;
                parts.push((vec![Command::Finish { finish, reply }], careful));
            }
            command => command.refuse(why),
        }
    }
}

fn waits() -> backon::ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}
