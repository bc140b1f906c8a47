//! `send --file`: the lines of a file in batches.
//!
//! One request at a time, so the node sees the events in the order of the file; the next batch is read meanwhile.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::client::{Answer, Client, Output};
use super::super::pace::Pace;
use super::super::problem::{Failure, Problem};
use super::super::{Exit, Screen, text, wait};
use super::batch::{Batch, Batches};
use super::tally::Tally;
use super::{SendArgs, lines, outage};

/// The answer to a batch, whether some or none of its events were accepted.
#[derive(Deserialize)]
struct Results {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Refused {
        error: Value,
    },
    Accepted {
        id: Uuid,
        #[serde(default)]
        duplicate: bool,
    },
}

pub(super) async fn run(
    args: &SendArgs,
    path: &Path,
    client: &Client,
    screen: &mut Screen<'_>,
    pace: &Pace,
) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let lines::Lines { lines, bar } = lines::open(path, screen)?;
    let mut batches = Batches::new(lines, usize::from(args.batch), pace.linger);
    let mut run = Run { client, pace, keep: args.wait, bar: &bar, tally: Tally::default() };
    let sent = run.send_all(&mut batches, screen).await;
    let sent = sent.context("stopped before the end of the file; sending it again is safe");
    bar.finish_and_clear();
    let mut tally = run.tally;
    let took = start.elapsed();
    let done = match sent {
        Ok(()) if args.wait => wait_for_ends(args, client, screen, pace, &mut tally).await,
        sent => sent,
    };
    match args.client.output {
        Output::Json => screen.json(&tally.to_json(took))?,
        Output::Text => screen.line(tally.to_text(took))?,
    }
    if tally.sent == 0 && tally.invalid > 0 {
        screen.note("The file must hold one JSON event a line; `jq -c '.[]' FILE` makes lines of an array.");
    }
    // What has been done is told before what went wrong.
    done?;
    Ok(if tally.is_good() { Exit::Done } else { Exit::Failed })
}

struct Run<'a> {
    client: &'a Client,
    pace: &'a Pace,
    keep: bool,
    bar: &'a ProgressBar,
    tally: Tally,
}

impl Run<'_> {
    async fn send_all(&mut self, batches: &mut Batches, screen: &mut Screen<'_>) -> anyhow::Result<()> {
        while let Some(batch) = batches.next(&mut |line, problem| self.tally.invalid(line, problem)).await? {
            self.send(batch, screen).await?;
            let Tally { sent, invalid, .. } = &self.tally;
            self.bar.set_message(format!("{} sent, {} invalid", text::count(*sent), text::count(*invalid)));
        }
        Ok(())
    }

    /// Sends a batch; what is too much for the node goes in halves, in order.
    async fn send(&mut self, batch: Batch, screen: &mut Screen<'_>) -> Result<(), Failure> {
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            let bar = self.bar;
            let on_outage = &mut |failure: &Failure| bar.suspend(|| screen.note(outage(failure, self.pace)));
            let answer = self.client.submit(batch.content_type(), batch.body(), self.pace, on_outage).await?;
            match answer.status.as_u16() {
                202 | 207 => self.count(&batch, answer)?,
                422 if serde_json::from_slice::<Results>(&answer.body).is_ok() => self.count(&batch, answer)?,
                // Nothing of such a batch was taken: the halves find the event that is to blame.
                400 | 413 | 422 if batch.events.len() > 1 => {
                    let (first, second) = batch.split();
                    waiting.extend([second, first]);
                }
                400 | 409 | 413 | 422 => {
                    self.tally.sent += 1;
                    let problem = Problem::from_body(answer.status, &answer.body);
                    batch.events.iter().for_each(|(line, _)| self.tally.invalid(*line, problem.clone()));
                }
                _ => return Err(answer.into_failure()),
            }
        }
        Ok(())
    }

    fn count(&mut self, batch: &Batch, answer: Answer) -> Result<(), Failure> {
        let results = match serde_json::from_slice::<Results>(&answer.body) {
            Ok(Results { results }) if results.len() == batch.events.len() => results,
            Ok(Results { results }) => {
                let (had, has) = (batch.events.len(), results.len());
                return Err(answer.unreadable(format_args!("{has} results for {had} events")));
            }
            Err(error) => return Err(answer.unreadable(error)),
        };
        self.tally.sent += results.len() as u64;
        for ((line, _), outcome) in batch.events.iter().zip(results) {
            match outcome {
                Outcome::Refused { error } => self.tally.invalid(*line, Problem::from_value(error)),
                Outcome::Accepted { id, duplicate } => {
                    if duplicate {
                        self.tally.duplicates += 1;
                    } else {
                        self.tally.accepted += 1;
                    }
                    // A duplicate's original is waited for as well: it may be from a run that was cut off.
                    if self.keep {
                        self.tally.records.push(id);
                    }
                }
            }
        }
        Ok(())
    }
}

async fn wait_for_ends(
    args: &SendArgs,
    client: &Client,
    screen: &mut Screen<'_>,
    pace: &Pace,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let ids: BTreeSet<Uuid> = std::mem::take(&mut tally.records).into_iter().collect();
    let bar = screen.bar(Some(ids.len() as u64), "{spinner} {percent}% [{bar:30}] {human_pos}/{human_len} ended");
    let rest = wait::until_ended(client, ids.into_iter().collect(), args.timeout, pace, &mut |record| {
        tally.ended(&record);
        bar.inc(1);
    })
    .await;
    bar.finish_and_clear();
    let rest = rest?;
    tally.unfinished = Some(rest.unfinished.len() as u64);
    if let Some(first) = rest.unfinished.first() {
        let why = rest.failure.map(|failure| format!(" ({failure})")).unwrap_or_default();
        screen.note(format_args!(
            "No event has ended for {}{why}: stopped waiting for {}, {first} among them. They are not lost.",
            text::duration(args.timeout),
            text::plural(rest.unfinished.len() as u64, "event"),
        ));
    }
    Ok(())
}
