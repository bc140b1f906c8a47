//! `dlq redrive` and `dlq discard`: some dead letters by their ids, or all that match.
//!
//! What is chosen by a filter, and every discard, is asked about first. Nothing is sent twice: who does not hear the
//! answer looks with `dlq ls`, or with `operations ls`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::client::{Client, ClientArgs, Output, event_id};
use super::super::filter::GROUP;
use super::super::pace::Pace;
use super::super::problem::Failure;
use super::super::{Exit, Screen};
use super::{WhichArgs, many};

/// Arguments of `dlq redrive` and `dlq discard`.
#[derive(Clone, Debug, Args)]
pub struct ChangeArgs {
    /// Record uuids, or the events' own ids
    #[arg(value_name = "ID", value_parser = event_id,
          conflicts_with_all = ["all", "dry_run", "rate", "detach", "status", "no_handler", "group", GROUP])]
    pub ids: Vec<String>,
    /// All dead letters
    #[arg(long, conflicts_with_all = ["status", "no_handler", "group", GROUP])]
    pub all: bool,
    /// Which dead letters.
    #[command(flatten)]
    pub which: WhichArgs,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How many records a second at most [default: as fast as it can]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: Option<u32>,
    /// Do not wait for the end
    #[arg(long, conflicts_with = "dry_run")]
    pub detach: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Only show what matches; nothing is changed
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Redrive,
    Discard,
}

impl Verb {
    /// As it stands in a path.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
        }
    }

    /// As it stands in an answer.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Redrive => "redriven",
            Self::Discard => "discarded",
        }
    }

    fn question(self, what: &str) -> String {
        match self {
            Self::Redrive => format!("Redrive {what}?"),
            Self::Discard => format!("Discard {what}? Nothing handles them after that."),
        }
    }
}

pub(super) async fn run(verb: Verb, args: &ChangeArgs, screen: &mut Screen<'_>, pace: &Pace) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let filter = args.which.pairs(screen.now());
    if !args.ids.is_empty() {
        return one_by_one(verb, args, &client, screen).await;
    }
    if filter.is_empty() && !args.all {
        screen.note(format_args!(
            "error: which dead letters to {} is not said: name their ids, choose them by a filter such as --handler \
             billing, or say --all. `evenkeel dlq ls` lists them.",
            verb.word()
        ));
        return Ok(Exit::Usage);
    }
    many::run(verb, args, filter, &client, screen, pace).await
}

/// Changes these, and goes on after one that cannot be.
async fn one_by_one(verb: Verb, args: &ChangeArgs, client: &Client, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    if verb == Verb::Discard
        && let Some(exit) = not_confirmed(verb, args, screen, &args.which.counted(args.ids.len() as u64))?
    {
        return Ok(exit);
    }
    let body: Map<String, Value> = args.reason.iter().map(|reason| ("reason".to_owned(), json!(reason))).collect();
    let (mut done, mut results) = (0, Vec::new());
    for id in &args.ids {
        let answer: Result<Value, Failure> = client.post(&client.url(&["dead-letters", id, verb.word()]), &body).await;
        let answer = answer.map_err(advise);
        done += u64::from(answer.is_ok());
        if args.client.output == Output::Text {
            tell(verb, id, &answer, screen)?;
        }
        results.push(match answer {
            Ok(record) => json!({ "id": id, "record": record }),
            Err(failure) => json!({ "id": id, "error": failure.into_problem() }),
        });
    }
    let failed = args.ids.len() as u64 - done;
    if args.client.output == Output::Json {
        screen.json(&json!({ verb.done(): done, "failed": failed, "results": results }))?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

fn tell(verb: Verb, id: &str, answer: &Result<Value, Failure>, screen: &mut Screen<'_>) -> std::io::Result<()> {
    match answer {
        Ok(record) => {
            let text = |member: &str| record.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
            screen.line(format_args!("{} {} ({}) {}", verb.done(), text("id"), text("type"), text("status")))
        }
        Err(failure) => {
            screen.note(format_args!("error: {id}: {failure}"));
            Ok(())
        }
    }
}

/// How the command ends if nobody says yes.
pub(super) fn not_confirmed(
    verb: Verb,
    args: &ChangeArgs,
    screen: &mut Screen<'_>,
    counted: &str,
) -> anyhow::Result<Option<Exit>> {
    if args.yes {
        return Ok(None);
    }
    match screen.confirm(verb.question(counted))? {
        Some(true) => Ok(None),
        Some(false) => {
            screen.note("Nothing was changed.");
            Ok(Some(Exit::Failed))
        }
        None => {
            screen.note(format_args!(
                "error: nobody is here to be asked whether to {} {counted}. Nothing was changed: say --yes if that is \
                 meant.",
                verb.word()
            ));
            Ok(Some(Exit::Usage))
        }
    }
}

fn advise(failure: Failure) -> Failure {
    let which = "Name the record by its own id (`evenkeel dlq ls` shows it), or choose it by --event-id and --source.";
    match failure {
        Failure::Refused { status, problem, retry_after } if problem.code() == Some("ambiguous") => {
            Failure::Refused { status, problem: problem.with_own_hint(which), retry_after }
        }
        other => other,
    }
}
