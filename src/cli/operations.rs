//! `operations`: what is done to many dead letters, how far it has come, and stopping it.

pub(super) mod follow;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::client::{Client, ClientArgs, Output, in_path};
use super::listing::PageArgs;
use super::{Exit, Screen, answer, text};
use crate::clock::Timestamp;
use crate::lifecycle::OperationState;

const HELP: &str = "\
Examples:
  evenkeel operations ls
  evenkeel operations ls --state running
  evenkeel operations get 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11
  evenkeel operations pause 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11 --reason 'the bank is slow'

`evenkeel dlq redrive` and `evenkeel dlq discard` begin them. They go on in the server, through
restarts, until they are done, paused or cancelled.";

const LS_HELP: &str = "\
Examples:
  evenkeel operations ls
  evenkeel operations ls --state running --output json | jq -r '.items[].id'";

const GET_HELP: &str = "\
Examples:
  evenkeel operations get 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11";

const PAUSE_HELP: &str = "\
Examples:
  evenkeel operations pause 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11 --reason 'the bank is slow'";

const RESUME_HELP: &str = "\
Examples:
  evenkeel operations resume 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11";

const CANCEL_HELP: &str = "\
Examples:
  evenkeel operations cancel 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11 --reason 'the wrong group'";

/// The commands over operations.
#[derive(Debug, Subcommand)]
#[command(after_help = HELP)]
pub enum OperationsCommand {
    /// List operations, newest first
    #[command(after_help = LS_HELP)]
    Ls(LsArgs),
    /// Show how far an operation has come, and what it could not change
    #[command(after_help = GET_HELP)]
    Get(OneArgs),
    /// Let an operation wait
    #[command(after_help = PAUSE_HELP)]
    Pause(TurnArgs),
    /// Let a paused operation go on
    #[command(after_help = RESUME_HELP)]
    Resume(TurnArgs),
    /// End an operation; what it has changed stays changed
    #[command(after_help = CANCEL_HELP)]
    Cancel(TurnArgs),
}

/// Arguments of `operations ls`.
#[derive(Clone, Debug, Args)]
pub struct LsArgs {
    /// Only operations that stand there
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(
          OperationState::ALL.iter().map(|state| state.as_str())))]
    pub state: Option<String>,
    /// Which part of the list.
    #[command(flatten)]
    pub page: PageArgs,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Which operation.
#[derive(Clone, Debug, Args)]
pub struct OneArgs {
    /// The operation's id
    #[arg(value_parser = in_path)]
    pub id: String,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Arguments of `operations pause`, `resume` and `cancel`.
#[derive(Clone, Debug, Args)]
pub struct TurnArgs {
    /// Which operation.
    #[command(flatten)]
    pub one: OneArgs,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

pub(super) async fn run(command: OperationsCommand, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    match command {
        OperationsCommand::Ls(args) => list(&args, screen).await,
        OperationsCommand::Get(args) => get(&args, screen).await,
        OperationsCommand::Pause(args) => turn("pause", &args, screen).await,
        OperationsCommand::Resume(args) => turn("resume", &args, screen).await,
        OperationsCommand::Cancel(args) => turn("cancel", &args, screen).await,
    }
}

async fn list(args: &LsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let mut url = client.url(&["operations"]);
    let state = args.state.as_ref().map(|state| ("state", state.to_ascii_uppercase()));
    url.query_pairs_mut().extend_pairs(state.into_iter().chain(args.page.pairs()));
    let Some(page) = answer::ask(&client, &url, args.client.output, screen).await? else { return Ok(Exit::Done) };
    let items = answer::items(&page);
    if items.is_empty() {
        screen.note("No operations match. `evenkeel dlq redrive --all` begins one.");
        return Ok(Exit::Done);
    }
    let header = ["ID", "ACTION", "STATE", "DONE#", "SKIPPED#", "FAILED#", "MATCHED#", "BY", "BEGAN"];
    let now = screen.now();
    screen.line(text::table(&header, items.iter().map(|item| row(item, now))))?;
    answer::note_next(page.get("next_cursor").and_then(Value::as_str), screen);
    Ok(Exit::Done)
}

async fn get(args: &OneArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let url = client.url(&["operations", &args.id]);
    let answer: Box<RawValue> = client.get(&url).await?;
    show(&url, &answer, args.client.output, screen)
}

async fn turn(verb: &str, args: &TurnArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.one.client)?;
    let url = client.url(&["operations", &args.one.id, verb]);
    let body: Map<String, Value> = args.reason.iter().map(|reason| ("reason".to_owned(), json!(reason))).collect();
    let answer: Box<RawValue> = client.post(&url, &body).await?;
    show(&url, &answer, args.one.client.output, screen)
}

fn show(url: &reqwest::Url, answer: &RawValue, output: Output, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let Some(operation) = answer::read(url, answer, output, screen)? else { return Ok(Exit::Done) };
    let word = |member: &str| operation.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let filter = operation.get("filter").map(ToString::to_string).unwrap_or_default();
    let now = screen.now();
    let rows = [
        ("id", word("id")),
        ("action", word("action")),
        ("filter", filter),
        ("state", word("state")),
        ("done", number(&operation, "done")),
        ("skipped", number(&operation, "skipped")),
        ("failed", number(&operation, "failed")),
        ("matched", number(&operation, "matched")),
        ("by", word("actor")),
        ("reason", word("reason")),
        ("error", word("error")),
        ("began", text::moment(&word("created_at"), now)),
        ("ended", text::moment(&word("ended_at"), now)),
    ];
    screen.line(text::table(&["", ""], rows.map(|(name, value)| vec![name.to_owned(), value])))?;
    let failures = operation.get("failures").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !failures.is_empty() {
        let text =
            |failure: &Value, member: &str| failure.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
        let rows = failures.iter().map(|failure| vec![text(failure, "record_id"), text(failure, "reason")]);
        screen.line(format_args!("\n{}", text::table(&["RECORD", "REASON"], rows)))?;
    }
    Ok(Exit::Done)
}

fn row(item: &Value, now: Timestamp) -> Vec<String> {
    let word = |member: &str| item.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    vec![
        word("id"),
        word("action"),
        word("state"),
        number(item, "done"),
        number(item, "skipped"),
        number(item, "failed"),
        number(item, "matched"),
        word("actor"),
        text::moment(&word("created_at"), now),
    ]
}

fn number(item: &Value, member: &str) -> String {
    item.get(member).and_then(Value::as_u64).map_or_else(|| "-".to_owned(), text::count)
}
