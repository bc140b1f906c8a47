//! `dlq redrive` and `dlq discard`: some dead letters by their ids, or all that match.
//!
//! What is chosen by a filter, and every discard, is asked about first. Nothing is sent twice: who does not hear the
//! answer looks with `dlq ls`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::client::{Client, ClientArgs, Output, event_id};
use super::super::filter::GROUP;
use super::super::problem::{Failure, Problem};
use super::super::{Exit, Screen, listing};
use super::WhichArgs;
use super::matching::Matching;

/// Arguments of `dlq redrive` and `dlq discard`.
#[derive(Clone, Debug, Args)]
pub struct ChangeArgs {
    /// Record uuids, or the events' own ids
    #[arg(value_name = "ID", value_parser = event_id,
          conflicts_with_all = ["all", "dry_run", "status", "no_handler", GROUP])]
    pub ids: Vec<String>,
    /// All dead letters
    #[arg(long, conflicts_with_all = ["status", "no_handler", GROUP])]
    pub all: bool,
    /// Which dead letters.
    #[command(flatten)]
    pub which: WhichArgs,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
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
    const fn word(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
        }
    }

    /// As it stands in an answer.
    const fn done(self) -> &'static str {
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

pub(super) async fn run(verb: Verb, args: &ChangeArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
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
    many(verb, args, filter, &client, screen).await
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

/// Changes all that match, in one call.
async fn many(
    verb: Verb,
    args: &ChangeArgs,
    filter: Vec<(&'static str, String)>,
    client: &Client,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Exit> {
    if !args.yes {
        let matching = Matching::of(client, &filter).await?;
        let counted = args.which.counted(matching.items.len() as u64);
        let counted = if matching.more { format!("more than {counted}") } else { counted };
        if args.dry_run {
            return shown(verb, args, &matching, &counted, screen);
        }
        if matching.items.is_empty() {
            return report(verb, args, 0, screen);
        }
        if let Some(exit) = not_confirmed(verb, args, screen, &counted)? {
            return Ok(exit);
        }
    }
    let url = client.url(&["dead-letters", verb.word()]);
    let reason = args.reason.as_ref().map(|reason| ("reason", reason.clone()));
    let body: Map<String, Value> =
        filter.into_iter().chain(reason).map(|(name, value)| (name.to_owned(), value.into())).collect();
    let answer: Map<String, Value> = client.post(&url, &body).await.map_err(advise)?;
    let changed = answer.get(verb.done()).and_then(Value::as_u64);
    report(verb, args, changed.ok_or_else(|| Failure::unreadable(&url, "it has no count"))?, screen)
}

fn report(verb: Verb, args: &ChangeArgs, changed: u64, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    match args.client.output {
        Output::Json => screen.json(&json!({ verb.done(): changed }))?,
        Output::Text => screen.line(format_args!("{} {}", verb.done(), args.which.counted(changed)))?,
    }
    if changed == 0 && verb == Verb::Redrive && args.which.no_handler {
        screen.note("What still has no handler is left as it is: `evenkeel handlers` shows what is bound.");
    }
    Ok(Exit::Done)
}

/// `--dry-run`: what was found, and nothing else.
fn shown(
    verb: Verb,
    args: &ChangeArgs,
    matching: &Matching,
    counted: &str,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Exit> {
    if args.client.output == Output::Json {
        let count = matching.items.len();
        screen.json(&json!({ "matching": count, "more": matching.more, "items": matching.items }))?;
        return Ok(Exit::Done);
    }
    if !matching.items.is_empty() {
        let now = screen.now();
        screen.line(listing::table(&matching.items, now))?;
    }
    screen.note(format_args!("{counted} would be {}; nothing was changed.", verb.done()));
    Ok(Exit::Done)
}

/// How the command ends if nobody says yes.
fn not_confirmed(
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
    let parts =
        "Take them in parts, the oldest first: --until 30d, then --until 7d and so on, or by --handler or --type.";
    let which = "Name the record by its own id (`evenkeel dlq ls` shows it), or choose it by --event-id and --source.";
    let advised = |problem: Problem| match problem.code() {
        Some("too_many") => problem.with_own_hint(parts),
        Some("ambiguous") => problem.with_own_hint(which),
        _ => problem,
    };
    match failure {
        Failure::Refused { status, problem, retry_after } => {
            Failure::Refused { status, problem: advised(problem), retry_after }
        }
        other => other,
    }
}
