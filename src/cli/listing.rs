//! A page of records, newest first: how it is asked for, and how it looks.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::{Client, Output};
use super::problem::Failure;
use super::{Exit, Screen, answer, text};
use crate::clock::Timestamp;

/// How many records a page has unless it is said.
const DEFAULT_LIMIT: u32 = 50;

/// Which part of a list.
#[derive(Clone, Debug, Default, Args)]
pub struct PageArgs {
    /// How many at most, up to 250 [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=250))]
    pub limit: Option<u32>,
    /// Go on where another page ended
    #[arg(long)]
    pub cursor: Option<String>,
}

impl PageArgs {
    /// What was given, with the names of the API.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let part = [("limit", self.limit.map(|limit| limit.to_string())), ("cursor", self.cursor.clone())];
        part.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// A list that is shown.
pub(super) struct List<'a> {
    /// Its path below `/api/v1`.
    pub path: &'a [&'a str],
    /// What its records are called, such as `events`.
    pub what: &'a str,
    /// Its filters, with the names of the API.
    pub filter: Vec<(&'static str, String)>,
}

/// A page of them, each as it came.
#[derive(Deserialize, Serialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
    /// How far the node has looked, if it stopped before it had found enough.
    #[serde(default)]
    searched_until: Option<String>,
}

impl List<'_> {
    /// Asks for a page and prints it. A node looks at so many records for one answer and no more: it is asked to go on
    /// until there are enough.
    pub async fn show(
        self,
        client: &Client,
        page: &PageArgs,
        output: Output,
        screen: &mut Screen<'_>,
    ) -> anyhow::Result<Exit> {
        let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
        let (mut answer, mut found) = self.ask(client, page.limit, page.cursor.as_deref()).await?;
        let bar = screen.bar(None, "{spinner} {msg}");
        while let (Some(cursor), Some(until)) = (&found.next_cursor, &found.searched_until) {
            let left = limit.saturating_sub(u32::try_from(found.items.len()).unwrap_or(u32::MAX));
            if left == 0 {
                break;
            }
            bar.set_message(format!("searched back to {until}, found {}", text::count(found.items.len() as u64)));
            let (_, next) = self.ask(client, Some(left), Some(cursor)).await?;
            found.items.extend(next.items);
            found = Page { items: found.items, ..next };
            answer = serde_json::value::to_raw_value(&found)?;
        }
        bar.finish_and_clear();
        self.print(&answer, &found, output, screen)
    }

    /// The answer as it came, and what is in it.
    async fn ask(
        &self,
        client: &Client,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<(Box<RawValue>, Page), Failure> {
        let mut url = client.url(self.path);
        let part = [("limit", limit.map(|limit| limit.to_string())), ("cursor", cursor.map(ToOwned::to_owned))];
        let part = part.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let query: Vec<_> = self.filter.iter().cloned().chain(part).collect();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let answer: Box<RawValue> = client.get(&url).await?;
        let page = serde_json::from_str(answer.get()).map_err(|error| Failure::unreadable(&url, error))?;
        Ok((answer, page))
    }

    fn print(&self, answer: &RawValue, page: &Page, output: Output, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
        if output == Output::Json {
            screen.raw_json(answer)?;
            return Ok(Exit::Done);
        }
        if page.items.is_empty() {
            screen.note(format_args!("No {} match.", self.what));
            return Ok(Exit::Done);
        }
        let items: Vec<Value> = page.items.iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect();
        let shown = table(&items, screen.now());
        screen.line(shown)?;
        answer::note_next(page.next_cursor.as_deref(), screen);
        Ok(Exit::Done)
    }
}

/// Records as a table.
pub(super) fn table(items: &[Value], now: Timestamp) -> String {
    let header = ["ID", "EVENT ID", "TYPE", "STATUS", "HANDLER", "ATTEMPTS#", "ACCEPTED"];
    text::table(&header, items.iter().map(|item| row(item, now)))
}

fn row(item: &Value, now: Timestamp) -> Vec<String> {
    let text = |member: &str| item.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let attempts = item.get("attempt_count").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), text::count);
    let accepted = text::moment(&text("created_at"), now);
    vec![text("id"), text("event_id"), text("type"), text("status"), text("handler_name"), attempts, accepted]
}
