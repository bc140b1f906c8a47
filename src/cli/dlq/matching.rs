//! How many dead letters an operation is about, before it is done. It looks no further than it has to.

use serde::Deserialize;
use serde_json::Value;

use super::super::client::Client;
use super::super::problem::Failure;

/// From so many on it only says "more than".
const MOST: usize = 1_000;

/// The longest page that a node gives.
const PAGE: &str = "250";

/// What a filter finds.
pub(super) struct Matching {
    /// The newest of them.
    pub items: Vec<Value>,
    /// Whether there are more.
    pub more: bool,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

impl Matching {
    /// Looks, page by page.
    pub async fn of(client: &Client, filter: &[(&'static str, String)]) -> Result<Self, Failure> {
        let mut found = Self { items: Vec::new(), more: false };
        let mut cursor = None;
        loop {
            let mut url = client.url(&["dead-letters"]);
            let cursor_pair = cursor.iter().map(|cursor: &String| ("cursor", cursor.as_str()));
            let pairs = filter.iter().map(|(name, value)| (*name, value.as_str())).chain(cursor_pair);
            url.query_pairs_mut().extend_pairs(pairs).append_pair("limit", PAGE);
            let page: Page = client.get(&url).await?;
            found.items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() || found.items.len() >= MOST {
                found.more = cursor.is_some();
                return Ok(found);
            }
        }
    }
}
