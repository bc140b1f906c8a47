//! All dead letters that match: counted, asked about, and changed by an operation of the server, which is followed.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::client::{Client, Output};
use super::super::operations::follow::{Followed, Progress, follow};
use super::super::pace::Pace;
use super::super::{Exit, Screen, listing, text};
use super::change::{ChangeArgs, Verb, not_confirmed};
use crate::lifecycle::OperationState;

/// So many of what would be changed are shown.
const SHOWN: &str = "20";

/// Filters that were given, with the names of the API.
type Pairs = Vec<(&'static str, String)>;

/// How many match.
#[derive(Deserialize)]
struct Matched {
    matched: u64,
    matched_is_exact: bool,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
}

pub(super) async fn run(
    verb: Verb,
    args: &ChangeArgs,
    filter: Pairs,
    client: &Client,
    screen: &mut Screen<'_>,
    pace: &Pace,
) -> anyhow::Result<Exit> {
    let url = client.url(&["operations"]);
    let pairs = filter.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
    let mut body = json!({ "action": verb.word(), "filter": Value::Object(pairs.collect()) });
    if !args.yes {
        body["dry_run"] = true.into();
        let found: Matched = client.post(&url, &body).await?;
        let counted = args.which.counted(found.matched);
        let counted = if found.matched_is_exact { counted } else { format!("more than {counted}") };
        if args.dry_run {
            return shown(verb, args, (&found, &counted), &filter, client, screen).await;
        }
        if found.matched == 0 && found.matched_is_exact {
            return report(verb, args, None, screen);
        }
        if let Some(exit) = not_confirmed(verb, args, screen, &counted)? {
            return Ok(exit);
        }
        body["dry_run"] = false.into();
    }
    for (name, value) in [("reason", args.reason.clone().map(Value::from)), ("rate", args.rate.map(Value::from))] {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    let begun: Progress = client.post(&url, &body).await?;
    if args.detach {
        return detached(args, &begun, screen);
    }
    let id = begun.id.clone();
    match follow(client, begun, pace, screen).await? {
        Followed::Stands(ended) => report(verb, args, Some(&ended), screen),
        Followed::Left => {
            screen.note(format_args!(
                "It goes on in the server. `evenkeel operations get {id}` shows how far it is, `evenkeel operations \
                 cancel {id}` ends it."
            ));
            Ok(Exit::Failed)
        }
    }
}

/// `--dry-run`: how many there are and the newest of them, and nothing else.
async fn shown(
    verb: Verb,
    args: &ChangeArgs,
    (found, counted): (&Matched, &str),
    filter: &Pairs,
    client: &Client,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Exit> {
    let mut url = client.url(&["dead-letters"]);
    let pairs = filter.iter().map(|(name, value)| (*name, value.as_str()));
    url.query_pairs_mut().extend_pairs(pairs).append_pair("limit", SHOWN);
    let page: Page = client.get(&url).await?;
    if args.client.output == Output::Json {
        screen.json(&json!({ "matching": found.matched, "more": !found.matched_is_exact, "items": page.items }))?;
        return Ok(Exit::Done);
    }
    if !page.items.is_empty() {
        let now = screen.now();
        screen.line(listing::table(&page.items, now))?;
    }
    screen.note(format_args!("{counted} would be {}; nothing was changed.", verb.done()));
    Ok(Exit::Done)
}

fn detached(args: &ChangeArgs, begun: &Progress, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    match args.client.output {
        Output::Json => screen.json(&json!({ "operation": begun.id, "matched": begun.matched }))?,
        Output::Text => screen.line(format_args!(
            "operation {} has begun. `evenkeel operations get {0}` shows how far it is.",
            begun.id
        ))?,
    }
    Ok(Exit::Done)
}

/// What became of it; nothing was begun if nothing matches.
fn report(verb: Verb, args: &ChangeArgs, ended: Option<&Progress>, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let counts = ended.map_or((0, 0, 0), |ended| (ended.done, ended.skipped, ended.failed));
    let (done, skipped, failed) = counts;
    match args.client.output {
        Output::Json => {
            let operation = ended.map(|ended| json!({ "id": ended.id, "state": ended.state }));
            screen.json(&json!({ verb.done(): done, "skipped": skipped, "failed": failed, "operation": operation }))?;
        }
        Output::Text => screen.line(format_args!("{} {}", verb.done(), args.which.counted(done)))?,
    }
    if skipped > 0 {
        screen.note(format_args!("{} had been changed by somebody else before.", text::plural(skipped, "record")));
    }
    let Some(ended) = ended else { return Ok(Exit::Done) };
    if failed > 0 {
        let records = text::plural(failed, "record");
        screen.note(format_args!("{records} could not be changed: `evenkeel operations get {}` says why.", ended.id));
    }
    match (ended.state, &ended.error) {
        (OperationState::Done, _) if failed == 0 => Ok(Exit::Done),
        (OperationState::Done, _) => Ok(Exit::Failed),
        (state, error) => {
            let why = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            screen.note(format_args!("operation {} is {state}{why}", ended.id));
            Ok(Exit::Failed)
        }
    }
}
