//! `send`: one event from the command line, or a file of them.
//!
//! Every event has an id before it is sent for the first time, so sending again after a lost answer, or the whole
//! file again after a crash, makes duplicates and no second events.

mod batch;
mod file;
mod lines;
mod single;
mod tally;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::value::RawValue;

use super::client::{Client, ClientArgs};
use super::pace::Pace;
use super::problem::Failure;
use super::{Exit, Screen, text};

const USAGE: &str = "\
evenkeel send [OPTIONS] <TYPE> [JSON]
       evenkeel send [OPTIONS] --file <FILE>";

const HELP: &str = "\
Examples:
  evenkeel send demo.hello '{\"name\":\"Ada\"}'
  evenkeel send order.paid '{\"total\":12}' --id order-4711 --source /shop --wait
  evenkeel send report.due --at 2026-12-24T18:00:00Z
  evenkeel send --file events.ndjson.gz --wait
  jq -c '.[]' events.json | evenkeel send --file -

A line of a file is a CloudEvents structured event or an object such as {\"type\":\"demo.hello\"}.
A line without an id gets one from its content and its number, so sending a file twice is safe.

Exit status 1 if an event is invalid (duplicates are fine), if --wait gives up, or if a single event
ends in anything but COMPLETED.";

/// Arguments of `send`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP, override_usage = USAGE)]
pub struct SendArgs {
    /// What happened, such as order.paid
    #[arg(value_name = "TYPE", required_unless_present = "file", value_parser = NonEmptyStringValueParser::new())]
    pub event_type: Option<String>,
    /// The event's data
    #[arg(value_name = "JSON", value_parser = json)]
    pub data: Option<Box<RawValue>>,
    /// The event's id; made if there is none
    #[arg(long)]
    pub id: Option<String>,
    /// Who sends it [default: /api/v1/events]
    #[arg(long)]
    pub source: Option<String>,
    /// What it is about
    #[arg(long)]
    pub subject: Option<String>,
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<DateTime<FixedOffset>>,
    /// Send a file, one JSON event a line, gzipped or not; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["event_type", "data", "id", "source", "subject", "at"])]
    pub file: Option<PathBuf>,
    /// How many lines of a file go into one request
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub batch: u16,
    /// Wait until all events have come to their end
    #[arg(long)]
    pub wait: bool,
    /// With --wait: give up when no event has ended for this long
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

fn json(text: &str) -> Result<Box<RawValue>, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("{error}; expected JSON, such as '{{\"name\":\"Ada\"}}' (a text is '\"Ada\"')"))
}

fn time(text: &str) -> Result<DateTime<FixedOffset>, String> {
    DateTime::parse_from_rfc3339(text).map_err(|_| "expected a time such as 2026-12-24T18:00:00Z".to_owned())
}

pub(super) async fn run(args: SendArgs, screen: &mut Screen<'_>, pace: &Pace) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    match (&args.file, &args.event_type) {
        (Some(path), _) => file::run(&args, path, &client, screen, pace).await,
        (None, Some(event_type)) => single::run(&args, event_type, &client, screen, pace).await,
        (None, None) => anyhow::bail!("say what to send: a type, or --file"),
    }
}

/// What is said while a node that is away is asked again.
fn outage(failure: &Failure, pace: &Pace) -> String {
    format!("{failure}\nTrying again for {}; Ctrl-C stops.", text::duration(pace.retry_total))
}
