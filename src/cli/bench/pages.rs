//! `bench pages`: how long every page and every list takes over a ledger of a million records while events come in.
//!
//! The ledger is filled by statements of its own, then the engine runs on it with its HTTP server. Who sends events and
//! who asks for pages are on a thread of their own and know nothing but HTTP; all of it shares this machine.

mod fill;
mod incoming;
mod report;
mod rows;
mod sample;
mod surroundings;
mod visitor;
mod visits;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use reqwest::{Client, redirect};

use super::Folder;
use crate::cli::{BenchPagesArgs, Exit, Output, Screen};
use crate::engine::Builder;
use crate::event::{Event, Payload};
use crate::handle::{Bind, HandlerError};
use crate::{Config, Engine, api};
use incoming::Incoming;
use report::{Events, Page, Report};
use rows::Ledger;
use sample::{LANES, Plan};
use visitor::Visited;
use visits::{Visit, visits};

/// One event in so many is given up, one in so many fails at its first try.
const GIVEN_UP: u64 = 200;
const TRIED_AGAIN: u64 = 50;

/// How long the last events may take to come to their end.
const LAST_EVENTS: Duration = Duration::from_secs(20);

/// What came of a run.
struct Run {
    incoming: Incoming,
    visited: Vec<Visited>,
    live: usize,
}

pub(super) fn measure(args: &BenchPagesArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let folder = if args.database.is_none() { Some(Folder::make(Path::new("evenkeel-bench-pages"))?) } else { None };
    let mut config = folder.as_ref().map_or_else(Config::default, |folder| folder.config("ledger.db"));
    if let Some(url) = &args.database {
        config.database.url.clone_from(url);
    }
    config.server.bind = "127.0.0.1:0".to_owned();
    let plan = Plan { records: args.records, now: screen.now() };
    let report = actix::System::new().block_on(run(args, config, plan, screen))?;
    match args.output {
        Output::Json => screen.json(&serde_json::to_value(&report)?)?,
        Output::Text => report.lines().into_iter().try_for_each(|line| screen.line(line))?,
    }
    Ok(if report.held { Exit::Done } else { Exit::Failed })
}

async fn run(args: &BenchPagesArgs, config: Config, plan: Plan, screen: &mut Screen<'_>) -> anyhow::Result<Report> {
    screen.note(format!("Filling a ledger with {} records ...", args.records));
    let bar = screen.bar(Some(args.records), "{spinner} {percent}% [{bar:30}] {human_pos}/{human_len} records");
    let began = Instant::now();
    let mut ledger = Ledger::make(&config.database).await?;
    let marks = fill::fill(&mut ledger, plan, &bar).await?;
    let database = ledger.name();
    ledger.close().await?;
    bar.finish_and_clear();
    let fill_seconds = began.elapsed().as_secs_f64();
    screen.note(format!("... and asking for its pages for {} ...", humantime::format_duration(args.span)));
    let (began, visits) = (Instant::now(), visits(plan, &marks));
    let bar = screen.bar(None, "{spinner} {human_pos} pages");
    let (engine, server) = serve(config).await?;
    let before = ended(&engine).await?;
    let url = format!("http://{}", server.address);
    let (Run { incoming, visited, live }, visits) = clients(args.clone(), url, plan, visits, bar.clone()).await?;
    bar.finish_and_clear();
    let finished = finished(&engine, before, incoming.accepted).await?;
    server.stop(Duration::from_secs(1)).await;
    engine.shutdown().await?;
    let mut report = Report {
        database,
        records: args.records,
        fill_seconds,
        seconds: began.elapsed().as_secs_f64(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        events: Events::of(incoming, args.rate, finished),
        live,
        bound_ms: 0.0,
        slowest_ms: 0.0,
        held: false,
        pages: visits.into_iter().zip(visited).map(|(visit, visited)| Page::of(visit, visited)).collect(),
    };
    report.judge(args);
    Ok(report)
}

/// The engine as it would run: with handlers that mostly succeed, and its HTTP server.
async fn serve(config: Config) -> anyhow::Result<(Engine, api::Server)> {
    let listener = api::bind(&config.server)?;
    let engine = LANES.iter().fold(Engine::builder().config(config), bind).start().await?;
    let server = api::start(&engine.api(), listener)?;
    Ok((engine, server))
}

fn bind(builder: Builder, lane: &sample::Lane) -> Builder {
    let calls = AtomicU64::new(0);
    builder.handler_fn(Bind::to(lane.pattern).name(lane.name), move |_: Event<Payload>| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(match call {
            _ if call % GIVEN_UP == 7 => Err(HandlerError::permanent(format!("customer {call} is not known"))),
            _ if call % TRIED_AGAIN == 3 => Err(HandlerError::retry("the receiver answered 503")),
            _ => Ok(()),
        })
    })
}

/// All that goes over HTTP, on a thread of its own.
async fn clients(
    args: BenchPagesArgs,
    url: String,
    plan: Plan,
    visits: Vec<Visit>,
    bar: ProgressBar,
) -> anyhow::Result<(Run, Vec<Visit>)> {
    let all = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build()?;
        let run = runtime.block_on(async {
            let start = tokio::time::Instant::now();
            let end = start + args.span;
            let events = incoming::send(&client, &url, plan, args.rate, start, end);
            let pages = visitor::visit(&client, &url, &visits, args.visits, start, end, || bar.inc(1));
            let (incoming, visited, live) = tokio::join!(events, pages, visitor::listen(&client, &url, end));
            anyhow::Ok(Run { incoming, visited: visited?, live: live? })
        });
        Ok((run?, visits))
    };
    tokio::task::spawn_blocking(all).await?
}

/// How many events have come to their end.
async fn ended(engine: &Engine) -> anyhow::Result<i64> {
    let counts = engine.reads().counts().await?;
    Ok(counts.into_iter().filter(|((_, status), _)| status.final_status().is_some()).map(|(_, n)| n).sum())
}

/// How many of those that came in have ended, as soon as it is all of them.
async fn finished(engine: &Engine, before: i64, accepted: u64) -> anyhow::Result<u64> {
    let began = Instant::now();
    loop {
        let finished = u64::try_from(ended(engine).await? - before).unwrap_or(0);
        if finished >= accepted || began.elapsed() > LAST_EVENTS {
            return Ok(finished);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
