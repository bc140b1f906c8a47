//! `dlq groups`: what dead letters have in common.

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::super::client::{Client, ClientArgs};
use super::super::listing::PageArgs;
use super::super::{Exit, Screen, answer, text};
use crate::clock::Timestamp;
use crate::lifecycle::FinalStatus;

const HELP: &str = "\
Examples:
  evenkeel dlq groups
  evenkeel dlq groups --handler billing --sort last-seen
  evenkeel dlq ls --group 9f86d081884c7d65
  evenkeel dlq redrive --group 9f86d081884c7d65 --rate 50

Two errors are of one group if they are the same without the numbers, ids, times, addresses and
quoted values in them. Events without a handler are grouped by their type.";

/// Arguments of `dlq groups`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct GroupsArgs {
    /// Which come first: the largest or the newest
    #[arg(long, value_enum, default_value_t = Sort::Count)]
    pub sort: Sort,
    /// Only dead letters of this handler
    #[arg(long, value_name = "NAME")]
    pub handler: Option<String>,
    /// Only dead letters, or only events that no handler was bound to
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(
          [FinalStatus::DeadLetter.as_str(), FinalStatus::NoHandler.as_str()]))]
    pub final_status: Option<String>,
    /// Which part of the list.
    #[command(flatten)]
    pub page: PageArgs,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Which groups come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// The largest.
    Count,
    /// The one that grew last.
    LastSeen,
}

pub(super) async fn run(args: &GroupsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let sort = match args.sort {
        Sort::Count => "count",
        Sort::LastSeen => "last_seen",
    };
    let given = [
        ("sort", Some(sort.to_owned())),
        ("handler", args.handler.clone()),
        ("final_status", args.final_status.as_ref().map(|end| end.to_ascii_uppercase())),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mut url = client.url(&["dead-letters", "groups"]);
    url.query_pairs_mut().extend_pairs(given.chain(args.page.pairs()));
    let Some(answer) = answer::ask(&client, &url, args.client.output, screen).await? else { return Ok(Exit::Done) };
    let items = answer::items(&answer);
    if items.is_empty() {
        screen.note("No dead letters match.");
        return Ok(Exit::Done);
    }
    let header = ["GROUP", "COUNT#", "HANDLER", "ERROR", "FIRST SEEN", "LAST SEEN"];
    let now = screen.now();
    screen.line(text::table(&header, items.iter().map(|item| row(item, now))))?;
    answer::note_next(answer.get("next_cursor").and_then(Value::as_str), screen);
    Ok(Exit::Done)
}

fn row(item: &Value, now: Timestamp) -> Vec<String> {
    let word = |member: &str| item.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let count = item.get("count").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), text::count);
    let time = |member: &str| text::moment(&word(member), now);
    vec![word("group"), count, word("handler"), word("title"), time("first_seen"), time("last_seen")]
}
