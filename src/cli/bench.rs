//! `bench`: the engine's rate end to end, beside the rate at which one writer can write the same rows.
//!
//! Library call, no-op handler with 1,000 permits, SQLite in a folder under the working directory, 250 bytes of data, a
//! new submit when one settles, from an empty ledger until all are final. Both run in the same process, one after the
//! other, so that the ratio holds on any machine.

mod pages;
mod raw;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;

use super::{BenchArgs, BenchCommand, Exit, Output, Screen};
use crate::event::{Event, Payload};
use crate::handle::{Bind, HandlerError};
use crate::lifecycle::FinalStatus;
use crate::{Config, Engine, NewEvent};

/// Events on their way at once.
const CONCURRENCY: usize = 1_000;

/// Bytes of data in one event.
const DATA_BYTES: usize = 250;

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    events: u64,
    seconds: f64,
    events_per_second: f64,
    raw_seconds: f64,
    raw_events_per_second: f64,
    /// The engine's rate over the raw one.
    ratio: f64,
    commits: u64,
    events_per_commit: f64,
    concurrency: usize,
    data_bytes: usize,
    cpus: usize,
}

pub(super) fn bench(args: &BenchArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    if let Some(BenchCommand::Pages(args)) = &args.of {
        return pages::measure(args, screen);
    }
    let folder = Folder::make(Path::new("evenkeel-bench"))?;
    screen.note(format!("Measuring {} events in {} ...", args.events, folder.0.display()));
    let (seconds, commits) = actix::System::new().block_on(engine_rate(folder.config("engine.db"), args.events))?;
    screen.note("... and the same rows written without the engine");
    let raw = actix::System::new().block_on(raw::measure(folder.config("raw.db"), args.events))?;
    drop(folder);
    let rate = |took: Duration| per(args.events, took.as_secs_f64());
    let report = Report {
        events: args.events,
        seconds: seconds.as_secs_f64(),
        events_per_second: rate(seconds),
        raw_seconds: raw.as_secs_f64(),
        raw_events_per_second: rate(raw),
        ratio: rate(seconds) / rate(raw),
        commits,
        events_per_commit: per(args.events, precise(commits)),
        concurrency: CONCURRENCY,
        data_bytes: DATA_BYTES,
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
    };
    print(&report, args.output, screen)?;
    Ok(Exit::Done)
}

fn print(report: &Report, output: Output, screen: &mut Screen<'_>) -> anyhow::Result<()> {
    if output == Output::Json {
        return Ok(screen.json(&serde_json::to_value(report)?)?);
    }
    screen.line(format!("{} events in {:.2} s on {} CPUs", report.events, report.seconds, report.cpus))?;
    screen.line(format!(
        "  engine  {:>9.0} events/s, {:.0} a commit",
        report.events_per_second, report.events_per_commit
    ))?;
    screen.line(format!("  raw     {:>9.0} events/s, the same rows by one writer", report.raw_events_per_second))?;
    screen.line(format!("  ratio   {:>9.2}", report.ratio))?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "no run has 2^52 events")]
fn precise(n: u64) -> f64 {
    n as f64
}

fn per(n: u64, of: f64) -> f64 {
    precise(n) / of
}

/// An event's data: a JSON object of exactly so many bytes.
fn data(n: u64) -> String {
    let frame = format!(r#"{{"n":"{n:010}","text":""}}"#).len();
    format!(r#"{{"n":"{n:010}","text":"{}"}}"#, "x".repeat(DATA_BYTES - frame))
}

/// How long the engine takes from an empty ledger until all are final, and in how many commits.
async fn engine_rate(config: Config, events: u64) -> anyhow::Result<(Duration, u64)> {
    let no_op = |_: Event<Payload>| std::future::ready(Ok::<(), HandlerError>(()));
    let bind = Bind::to("bench.noop").concurrency(CONCURRENCY);
    let engine = Engine::builder().config(config).handler_fn(bind, no_op).start().await?;
    let (next, started) = (Rc::new(Cell::new(0)), Instant::now());
    let streams = (0..CONCURRENCY).map(|_| actix::spawn(stream(engine.clone(), Rc::clone(&next), events)));
    for ended in futures_util::future::join_all(streams).await {
        ended??;
    }
    let took = started.elapsed();
    let completed: i64 = engine
        .reads()
        .counts()
        .await?
        .into_iter()
        .filter(|((_, status), _)| status.final_status() == Some(FinalStatus::Completed))
        .map(|(_, n)| n)
        .sum();
    anyhow::ensure!(u64::try_from(completed).ok() == Some(events), "{completed} of {events} events completed");
    let commits = engine.metrics().commit_seconds.get_sample_count();
    engine.shutdown().await?;
    Ok((took, commits))
}

/// Submits one event after the other, each when the one before has settled.
async fn stream(engine: Engine, next: Rc<Cell<u64>>, events: u64) -> anyhow::Result<()> {
    loop {
        let n = next.get();
        if n >= events {
            return Ok(());
        }
        next.set(n + 1);
        let event = NewEvent::raw("bench.noop", Payload::json(data(n))).source("/bench");
        let accepted = engine.submit(event).await?;
        engine.settled(accepted.id).await?;
    }
}

/// A folder that goes when it is done with.
struct Folder(PathBuf);

impl Folder {
    fn make(name: &Path) -> anyhow::Result<Self> {
        let path = PathBuf::from(format!("{}-{}", name.display(), std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}: change to a folder that may be written to", path.display()))?;
        Ok(Self(path))
    }

    fn config(&self, file: &str) -> Config {
        let mut config = Config::default();
        config.database.url = format!("sqlite://{}", self.0.join(file).display());
        config
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind can be seen, and removed by hand.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_has_the_length_that_is_reported() {
        for n in [0, 7, 99_999] {
            assert_eq!(data(n).len(), DATA_BYTES);
            assert!(serde_json::from_str::<serde_json::Value>(&data(n)).is_ok());
        }
    }
}
