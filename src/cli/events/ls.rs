//! `events ls`: a page of events, newest first.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::client::{Client, ClientArgs, Output};
use super::super::problem::Failure;
use super::super::{Exit, Screen, text};
use crate::clock::Timestamp;
use crate::lifecycle::{FinalStatus, Status};

const HELP: &str = "\
Examples:
  evenkeel events ls --since 15m
  evenkeel events ls --final-status DEAD_LETTER --handler billing
  evenkeel events ls --type order.paid --since 2026-01-05T08:00:00Z --until 1h
  evenkeel events ls --status RETRY_SCHEDULED --output json | jq -r '.items[].id'";

/// Arguments of `events ls`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct LsArgs {
    /// Only events that stand here
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(Status::ALL.iter().map(|status| status.as_str())))]
    pub status: Option<String>,
    /// Only events that ended like this
    #[arg(long, ignore_case = true,
          value_parser = PossibleValuesParser::new(FinalStatus::ALL.iter().map(|status| status.as_str())))]
    pub final_status: Option<String>,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Only events of this handler
    #[arg(long, value_name = "NAME")]
    pub handler: Option<String>,
    /// Only events from this source
    #[arg(long)]
    pub source: Option<String>,
    /// Only events with this event id
    #[arg(long, value_name = "ID")]
    pub event_id: Option<String>,
    /// Only events about this subject
    #[arg(long)]
    pub subject: Option<String>,
    /// Only events accepted since then: RFC 3339, or how long ago, such as 15m
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub since: Option<When>,
    /// Only events accepted until then: RFC 3339, or how long ago, such as 15m
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub until: Option<When>,
    /// How many at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Go on where another page ended
    #[arg(long)]
    pub cursor: Option<String>,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// A moment as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// By the calendar.
    At(DateTime<Utc>),
    /// That long ago.
    Ago(Duration),
}

impl When {
    fn to_rfc3339(self, now: Timestamp) -> String {
        match self {
            Self::At(time) => Timestamp::from(time).to_rfc3339(),
            Self::Ago(span) => {
                let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
                Timestamp(now.0.saturating_sub(micros).max(0)).to_rfc3339()
            }
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(When::At(time.with_timezone(&Utc)));
    }
    humantime::parse_duration(text)
        .map(When::Ago)
        .map_err(|_| "expected a time such as 2026-01-05T08:00:00Z, or how long ago, such as 15m or 2h".to_owned())
}

pub(super) async fn run(args: &LsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let mut url = client.url(&["events"]);
    let query = query(args, screen.now());
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let page: Box<RawValue> = client.get(&url).await?;
    if args.client.output == Output::Json {
        screen.raw_json(&page)?;
        return Ok(Exit::Done);
    }
    let page: Value = serde_json::from_str(page.get()).map_err(|error| Failure::unreadable(&url, error))?;
    let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        screen.note("No events match.");
        return Ok(Exit::Done);
    }
    let now = screen.now();
    let header = ["ID", "EVENT ID", "TYPE", "STATUS", "HANDLER", "ATTEMPTS#", "ACCEPTED"];
    screen.line(text::table(&header, items.iter().map(|item| row(item, now))))?;
    if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) {
        screen.note(format_args!("There are more: ask again with --cursor {cursor}"));
    }
    Ok(Exit::Done)
}

fn query(args: &LsArgs, now: Timestamp) -> Vec<(&'static str, String)> {
    let upper = |word: &Option<String>| word.as_ref().map(|word| word.to_ascii_uppercase());
    let time = |when: Option<When>| when.map(|when| when.to_rfc3339(now));
    let given = [
        ("status", upper(&args.status)),
        ("final_status", upper(&args.final_status)),
        ("type", args.event_type.clone()),
        ("handler", args.handler.clone()),
        ("source", args.source.clone()),
        ("event_id", args.event_id.clone()),
        ("subject", args.subject.clone()),
        ("since", time(args.since)),
        ("until", time(args.until)),
        ("limit", args.limit.map(|limit| limit.to_string())),
        ("cursor", args.cursor.clone()),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn row(item: &Value, now: Timestamp) -> Vec<String> {
    let text = |member: &str| item.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let attempts = item.get("attempt_count").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), text::count);
    let accepted = text::moment(&text("created_at"), now);
    vec![text("id"), text("event_id"), text("type"), text("status"), text("handler_name"), attempts, accepted]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_means_that_long_ago() {
        let now = Timestamp(1_767_600_140_000_000);
        assert_eq!(when("15m").unwrap().to_rfc3339(now), "2026-01-05T07:47:20.000000Z");
        assert_eq!(when("2026-01-05T09:00:00+01:00").unwrap().to_rfc3339(now), "2026-01-05T08:00:00.000000Z");
        assert!(when("yesterday").is_err());
    }
}
