//! `alerts`: the incidents that a node has alerted operators of, and a test of the way there.

use clap::{Args, Subcommand};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::client::{Client, ClientArgs, Output};
use super::problem::Failure;
use super::{Exit, Screen, answer, text};
use crate::clock::Timestamp;

const HELP: &str = "\
Examples:
  evenkeel alerts
  evenkeel alerts --output json | jq '.items[] | select(.state == \"open\")'
  evenkeel alerts test --reason 'is the pager on?'

A node knows its own incidents, since its start.";

const TEST_HELP: &str = "\
Examples:
  evenkeel alerts test --reason 'is the pager on?'

Exit status 1 if the webhook did not take it. Without a webhook it is in the log only.";

/// Arguments of `alerts`.
#[derive(Debug, Args)]
#[command(after_help = HELP, args_conflicts_with_subcommands = true)]
pub struct AlertsArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: Option<AlertsCommand>,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What can be done with alerts.
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Send a test to wherever alerts go
    #[command(after_help = TEST_HELP)]
    Test(TestArgs),
}

/// Arguments of `alerts test`.
#[derive(Clone, Debug, Args)]
pub struct TestArgs {
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

pub(super) async fn run(args: &AlertsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    match &args.command {
        None => list(&args.client, screen).await,
        Some(AlertsCommand::Test(args)) => test(args, screen).await,
    }
}

async fn list(args: &ClientArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(args)?;
    let url = client.url(&["alerts"]);
    let Some(answer) = answer::ask(&client, &url, args.output, screen).await? else { return Ok(Exit::Done) };
    let items = answer::items(&answer);
    if items.is_empty() {
        screen.note("There was nothing to be alerted of since the start.");
    } else {
        let now = screen.now();
        screen.line(table(items, now))?;
    }
    match answer.get("webhook") {
        Some(Value::Object(webhook)) => {
            if let Some(error) = webhook.get("last_error").and_then(Value::as_str) {
                let waiting = webhook.get("waiting").and_then(Value::as_u64).unwrap_or_default();
                screen.note(format_args!("The webhook does not take alerts ({error}); {waiting} wait."));
            }
        }
        _ => screen.note("They are in the log only: `alerts.webhook` in config.toml posts them."),
    }
    Ok(Exit::Done)
}

async fn test(args: &TestArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let url = client.url(&["alerts", "test"]);
    let body: Map<String, Value> = args.reason.iter().map(|reason| ("reason".to_owned(), json!(reason))).collect();
    let answer: Box<RawValue> = client.post(&url, &body).await?;
    let tested: Value = serde_json::from_str(answer.get()).map_err(|error| Failure::unreadable(&url, error))?;
    let webhook = tested.get("webhook").and_then(Value::as_str).unwrap_or_default();
    match args.client.output {
        Output::Json => screen.raw_json(&answer)?,
        Output::Text => screen.line(match webhook {
            "delivered" => "The webhook took the test.".to_owned(),
            "failed" => {
                let error = tested.get("error").and_then(Value::as_str).unwrap_or("no reason is given");
                format!("The webhook did not take the test: {error}")
            }
            _ => "There is no webhook: the test is in the log only.".to_owned(),
        })?,
    }
    Ok(if webhook == "failed" { Exit::Failed } else { Exit::Done })
}

fn table(items: &[Value], now: Timestamp) -> String {
    let header = ["STATE", "ALERT", "OF", "EVENTS#", "SINCE", "LAST", "WHAT"];
    text::table(&header, items.iter().map(|item| row(item, now)))
}

fn row(item: &Value, now: Timestamp) -> Vec<String> {
    let member = |name: &str| item.get(name).and_then(Value::as_str);
    let word = |name: &str| member(name).unwrap_or("-").to_owned();
    let of = member("handler").or_else(|| member("event_type")).unwrap_or("-").to_owned();
    let count = item.get("count").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), text::count);
    let time = |name: &str| text::moment(&word(name), now);
    // Of a state, the error says more than its title.
    let what = if member("fingerprint").is_some() { word("title") } else { word("error") };
    vec![word("state"), word("alert"), of, count, time("first_seen"), time("last_seen"), what]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_a_line_with_what_it_is_about() {
        let items = [
            json!({ "state": "open", "alert": "handler_down", "handler": "billing", "event_type": null, "count": 1,
                "fingerprint": null, "title": "a handler is down", "error": "the configuration is missing",
                "first_seen": "2026-01-05T08:02:00Z", "last_seen": "2026-01-05T08:02:20Z" }),
            json!({ "state": "resolved", "alert": "invalid", "handler": null, "event_type": "order.paid", "count": 1000,
                "fingerprint": "3f1c", "title": "the data breaks the schema of <text>", "error": "…",
                "first_seen": "2026-01-05T07:02:00Z", "last_seen": "2026-01-05T07:02:20Z" }),
        ];
        insta::assert_snapshot!(table(&items, Timestamp(1_767_600_140_000_000)), @r"
        STATE     ALERT         OF          EVENTS  SINCE                              LAST                               WHAT
        open      handler_down  billing          1  20 s ago (2026-01-05 08:02:00Z)    just now (2026-01-05 08:02:20Z)    the configuration is missing
        resolved  invalid       order.paid   1,000  60 min ago (2026-01-05 07:02:00Z)  60 min ago (2026-01-05 07:02:20Z)  the data breaks the schema of <text>
        ");
    }
}
