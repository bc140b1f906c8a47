//! A page of records, newest first: how it is asked for, and how it looks.

use clap::Args;
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::{Client, Output};
use super::problem::Failure;
use super::{Exit, Screen, text};
use crate::clock::Timestamp;

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

/// A list that is shown.
pub(super) struct List<'a> {
    /// Its path below `/api/v1`.
    pub path: &'a [&'a str],
    /// What its records are called, such as `events`.
    pub what: &'a str,
    /// Its filters, with the names of the API.
    pub filter: Vec<(&'static str, String)>,
}

impl List<'_> {
    /// Asks for a page and prints it.
    pub async fn show(
        self,
        client: &Client,
        page: &PageArgs,
        output: Output,
        screen: &mut Screen<'_>,
    ) -> anyhow::Result<Exit> {
        let mut url = client.url(self.path);
        let part = [("limit", page.limit.map(|limit| limit.to_string())), ("cursor", page.cursor.clone())];
        let part = part.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let query: Vec<_> = self.filter.into_iter().chain(part).collect();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let page: Box<RawValue> = client.get(&url).await?;
        if output == Output::Json {
            screen.raw_json(&page)?;
            return Ok(Exit::Done);
        }
        let page: Value = serde_json::from_str(page.get()).map_err(|error| Failure::unreadable(&url, error))?;
        let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            screen.note(format_args!("No {} match.", self.what));
            return Ok(Exit::Done);
        }
        let shown = table(items, screen.now());
        screen.line(shown)?;
        if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) {
            screen.note(format_args!("There are more: ask again with --cursor {cursor}"));
        }
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
