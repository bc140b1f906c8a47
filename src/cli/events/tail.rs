//! `events tail`: new records as they come. What becomes of them later is for `events get`.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::client::{Client, ClientArgs, Output};
use super::super::filter::FilterArgs;
use super::super::listing;
use super::super::pace::Pace;
use super::super::problem::Failure;
use super::super::{Exit, Screen};
use crate::clock::Timestamp;
use crate::lifecycle::Status;

const HELP: &str = "\
Examples:
  evenkeel events tail
  evenkeel events tail --type order.paid --since 5m
  evenkeel events tail --status INVALID --output json | jq .error

It prints every record once, as it stands when it is first seen; with --status and --error, those
that stand like this then. A node that is away is waited for, and what came meanwhile is shown when
it is back. Ctrl-C ends it.";

/// How far back each look goes: ids are made before their records are written, so an older one may come later.
const OVERLAP: Duration = Duration::from_secs(10);

/// The longest page that a node gives.
const PAGE: &str = "250";

/// Arguments of `events tail`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct TailArgs {
    /// Only events that stand here
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(Status::ALL.iter().map(|status| status.as_str())))]
    pub status: Option<String>,
    /// Which events.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// As much of a record as is needed to know it again.
#[derive(Deserialize)]
struct Seen {
    id: String,
    created_at: chrono::DateTime<chrono::Utc>,
}

/// What was shown, and since when to look.
struct Tail {
    filter: Vec<(&'static str, String)>,
    since: Timestamp,
    shown: BTreeSet<(Timestamp, String)>,
}

pub(super) async fn run(args: &TailArgs, screen: &mut Screen<'_>, pace: &Pace) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let status = args.status.as_ref().map(|word| ("status", word.to_ascii_uppercase()));
    let mut filter: Vec<_> = status.into_iter().chain(args.filter.pairs(screen.now())).collect();
    let given = filter.iter().position(|(name, _)| *name == "since").map(|place| filter.remove(place).1);
    let since = given.and_then(|since| chrono::DateTime::parse_from_rfc3339(&since).ok()).map(Timestamp::from);
    let ends = filter.iter().any(|(name, _)| *name == "until");
    let mut tail = Tail { filter, since: since.unwrap_or_else(|| screen.now()), shown: BTreeSet::new() };
    let mut is_away = false;
    loop {
        match tail.look(&client).await {
            Ok(fresh) => {
                if std::mem::take(&mut is_away) {
                    screen.note("It answers again.");
                }
                show(&fresh, args.client.output, screen)?;
                if ends {
                    return Ok(Exit::Done);
                }
            }
            Err(failure) if failure.is_passing() => {
                if !std::mem::replace(&mut is_away, true) {
                    screen.note(format_args!("{failure}\nWaiting for it."));
                }
            }
            Err(failure) => return Err(failure.into()),
        }
        tokio::time::sleep(pace.poll_longest).await;
    }
}

impl Tail {
    /// What has come since the last look, oldest first.
    async fn look(&mut self, client: &Client) -> Result<Vec<Box<RawValue>>, Failure> {
        let from = self.shown.last().map_or(self.since, |(at, _)| self.since.max(at.before(OVERLAP)));
        let (mut fresh, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut url = client.url(&["events"]);
            url.query_pairs_mut()
                .extend_pairs(self.filter.iter().map(|(name, value)| (*name, value.as_str())))
                .append_pair("since", &from.to_rfc3339())
                .append_pair("limit", PAGE);
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page: Page = client.get(&url).await?;
            for item in page.items {
                let seen: Seen = serde_json::from_str(item.get()).map_err(|error| Failure::unreadable(&url, error))?;
                let key = (Timestamp::from(seen.created_at.fixed_offset()), seen.id);
                if !self.shown.contains(&key) {
                    fresh.push((key, item));
                }
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        // Only when all pages have come: after a failure between them nothing may be missing.
        fresh.reverse();
        self.shown.extend(fresh.iter().map(|(key, _)| key.clone()));
        if let Some((newest, _)) = self.shown.last() {
            let oldest = newest.before(OVERLAP);
            self.shown.retain(|(at, _)| *at >= oldest);
        }
        Ok(fresh.into_iter().map(|(_, item)| item).collect())
    }
}

fn show(fresh: &[Box<RawValue>], output: Output, screen: &mut Screen<'_>) -> anyhow::Result<()> {
    if output == Output::Json {
        return Ok(fresh.iter().try_for_each(|item| screen.raw_json(item))?);
    }
    let items: Vec<Value> = fresh.iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect();
    if !items.is_empty() {
        let shown = listing::table(&items, screen.now());
        screen.line(shown)?;
    }
    Ok(())
}
