//! `audit`: who did what, when, to how many, and why.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use super::client::{Client, ClientArgs};
use super::filter::{When, when};
use super::listing::PageArgs;
use super::{Exit, Screen, answer, text};
use crate::clock::Timestamp;

const HELP: &str = "\
Examples:
  evenkeel audit --since 24h
  evenkeel audit --actor ada --action begin_redrive
  evenkeel audit --target 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11";

/// Arguments of `audit`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct AuditArgs {
    /// Only what they did
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub actor: Option<String>,
    /// Only this, such as redrive, discard, cancel, pause or begin_redrive
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub action: Option<String>,
    /// Only what was done to this record, handler or operation
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub target: Option<String>,
    /// Only what was done since then: RFC 3339, or how long ago, such as 15m
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub since: Option<When>,
    /// Only what was done until then: RFC 3339, or how long ago, such as 15m
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub until: Option<When>,
    /// Which part of the log.
    #[command(flatten)]
    pub page: PageArgs,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

pub(super) async fn run(args: &AuditArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let now = screen.now();
    let time = |when: Option<When>| when.map(|when| when.to_rfc3339(now));
    let given = [
        ("actor", args.actor.clone()),
        ("action", args.action.clone()),
        ("target", args.target.clone()),
        ("since", time(args.since)),
        ("until", time(args.until)),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mut url = client.url(&["audit"]);
    url.query_pairs_mut().extend_pairs(given.chain(args.page.pairs()));
    let Some(page) = answer::ask(&client, &url, args.client.output, screen).await? else { return Ok(Exit::Done) };
    let items = answer::items(&page);
    if items.is_empty() {
        screen.note("Nothing in the audit log matches.");
        return Ok(Exit::Done);
    }
    let header = ["WHEN", "WHO", "WHAT", "TO WHAT", "RECORDS#", "WHY"];
    screen.line(text::table(&header, items.iter().map(|item| row(item, now))))?;
    answer::note_next(page.get("next_cursor").and_then(Value::as_str), screen);
    Ok(Exit::Done)
}

fn row(item: &Value, now: Timestamp) -> Vec<String> {
    let word = |member: &str| item.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let affected = item.get("affected").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), text::count);
    vec![text::moment(&word("at"), now), word("actor"), word("action"), word("target"), affected, word("reason")]
}
