//! `handlers`: how each handler fares; pausing and restarting them.

use clap::{Args, Subcommand};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::client::{Client, ClientArgs, Output, in_path};
use super::problem::Failure;
use super::{Exit, Screen, answer, text};

const HELP: &str = "\
Examples:
  evenkeel handlers
  evenkeel handlers --output json | jq '.items[] | select(.state != \"RUNNING\")'
  evenkeel handlers pause billing --reason 'the bank is closed'
  evenkeel handlers resume billing
  evenkeel handlers restart billing";

const PAUSE_HELP: &str = "\
Examples:
  evenkeel handlers pause billing --reason 'the bank is closed'

What runs is finished, what waits stays in the ledger. A pause holds through restarts.";

const RESUME_HELP: &str = "\
Examples:
  evenkeel handlers resume billing";

const RESTART_HELP: &str = "\
Examples:
  evenkeel handlers restart billing --reason 'it holds a dead connection'

The node that is asked builds its actor again. What runs is finished, and a pause stays.";

/// Arguments of `handlers`.
#[derive(Debug, Args)]
#[command(after_help = HELP, args_conflicts_with_subcommands = true)]
pub struct HandlersArgs {
    /// What to do with one of them.
    #[command(subcommand)]
    pub command: Option<HandlersCommand>,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What can be done with a handler.
#[derive(Debug, Subcommand)]
pub enum HandlersCommand {
    /// Let a handler start nothing new
    #[command(after_help = PAUSE_HELP)]
    Pause(SwitchArgs),
    /// Let a paused handler go on
    #[command(after_help = RESUME_HELP)]
    Resume(SwitchArgs),
    /// Build a handler's actor again
    #[command(after_help = RESTART_HELP)]
    Restart(SwitchArgs),
}

/// Arguments of `handlers pause`, `handlers resume` and `handlers restart`.
#[derive(Clone, Debug, Args)]
pub struct SwitchArgs {
    /// The handler's name
    #[arg(value_parser = in_path)]
    pub name: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

pub(super) async fn run(args: &HandlersArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    match &args.command {
        None => list(&args.client, screen).await,
        Some(HandlersCommand::Pause(args)) => switch("pause", args, screen).await,
        Some(HandlersCommand::Resume(args)) => switch("resume", args, screen).await,
        Some(HandlersCommand::Restart(args)) => switch("restart", args, screen).await,
    }
}

async fn list(args: &ClientArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(args)?;
    let url = client.url(&["handlers"]);
    let Some(answer) = answer::ask(&client, &url, args.output, screen).await? else { return Ok(Exit::Done) };
    let items = answer::items(&answer);
    if items.is_empty() {
        screen.note("No handler is bound. `[[handler]]` in config.toml binds some.");
        return Ok(Exit::Done);
    }
    screen.line(table(items))?;
    Ok(Exit::Done)
}

async fn switch(verb: &str, args: &SwitchArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let url = client.url(&["handlers", &args.name, verb]);
    let body: Map<String, Value> = args.reason.iter().map(|reason| ("reason".to_owned(), json!(reason))).collect();
    let answer: Box<RawValue> = client.post(&url, &body).await?;
    match args.client.output {
        Output::Json => screen.raw_json(&answer)?,
        Output::Text => {
            let handler = serde_json::from_str(answer.get()).map_err(|error| Failure::unreadable(&url, error))?;
            screen.line(table(&[handler]))?;
        }
    }
    Ok(Exit::Done)
}

fn table(items: &[Value]) -> String {
    let header = [
        "NAME",
        "KIND",
        "TYPES",
        "STATE",
        "IN FLIGHT#",
        "QUEUED#",
        "CAPACITY#",
        "CONCURRENCY#",
        "RESTARTS#",
        "LAST ERROR",
    ];
    text::table(&header, items.iter().map(row))
}

fn row(handler: &Value) -> Vec<String> {
    let word = |member: &str| handler.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let number = |member: &str| handler.get(member).and_then(Value::as_u64).map_or_else(|| "-".to_owned(), text::count);
    let types = handler.get("types").and_then(Value::as_array).into_iter().flatten();
    let types: Vec<&str> = types.filter_map(Value::as_str).collect();
    vec![
        word("name"),
        word("kind"),
        types.join(", "),
        word("state"),
        number("in_flight"),
        number("queued"),
        number("queue_capacity"),
        number("concurrency"),
        number("restarts"),
        word("last_error"),
    ]
}
