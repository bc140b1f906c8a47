//! What a node has answered: printed as it came, or read so that a command can lay it out.

use serde_json::Value;
use serde_json::value::RawValue;

use super::Screen;
use super::client::{Client, Output};
use super::problem::Failure;

/// Asks for what is at this address. There is nothing to lay out if it was to be printed as JSON: that is done.
pub(super) async fn ask(
    client: &Client,
    url: &reqwest::Url,
    output: Output,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Option<Value>> {
    let answer: Box<RawValue> = client.get(url).await?;
    read(url, &answer, output, screen)
}

/// The same for an answer that is there.
pub(super) fn read(
    url: &reqwest::Url,
    answer: &RawValue,
    output: Output,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Option<Value>> {
    if output == Output::Json {
        screen.raw_json(answer)?;
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(answer.get()).map_err(|error| Failure::unreadable(url, error))?))
}

/// What a list holds.
pub(super) fn items(list: &Value) -> &[Value] {
    list.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Says how to go on, if a list has another page.
pub(super) fn note_next(cursor: Option<&str>, screen: &mut Screen<'_>) {
    if let Some(cursor) = cursor {
        screen.note(format_args!("There are more: ask again with --cursor {cursor}"));
    }
}
