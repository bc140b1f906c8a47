//! `stats`: how many events stand where.

use std::time::Duration;

use clap::Args;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::client::{Client, ClientArgs, Output};
use super::problem::Failure;
use super::{Exit, Screen, text};
use crate::lifecycle::{FinalStatus, Status};

const HELP: &str = "\
Examples:
  evenkeel stats
  evenkeel stats --url http://10.0.0.5:8080
  evenkeel stats --output json";

/// Arguments of `stats`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct StatsArgs {
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

pub(super) async fn run(args: &StatsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let url = client.url(&["stats"]);
    let stats: Box<RawValue> = client.get(&url).await?;
    match args.client.output {
        Output::Json => screen.raw_json(&stats)?,
        Output::Text => {
            let stats = serde_json::from_str(stats.get()).map_err(|error| Failure::unreadable(&url, error))?;
            screen.line(shown(&stats))?;
        }
    }
    Ok(Exit::Done)
}

fn shown(stats: &Map<String, Value>) -> String {
    let order: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let final_order: Vec<&str> = FinalStatus::ALL.iter().map(|status| status.as_str()).collect();
    let parts = [
        counts("STATUS", stats.get("by_status"), &order),
        counts("FINAL STATUS", stats.get("by_final_status"), &final_order),
        text::table(&["", "#"], stats.iter().filter_map(|(name, value)| gauge(name, value))),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The counts in the order of the life cycle; a word that this version does not know comes last.
fn counts(title: &str, counts: Option<&Value>, order: &[&str]) -> String {
    let counts = counts.and_then(Value::as_object);
    let mut rows: Vec<(&String, u64)> =
        counts.into_iter().flatten().map(|(word, count)| (word, count.as_u64().unwrap_or_default())).collect();
    if rows.is_empty() {
        return format!("{title}\n(none)");
    }
    rows.sort_by_key(|(word, _)| order.iter().position(|known| known == word).unwrap_or(usize::MAX));
    let rows = rows.into_iter().map(|(word, number)| vec![word.clone(), text::count(number)]);
    text::table(&[title, "EVENTS#"], rows)
}

/// A single figure, whichever the node has: `oldest_pending_age_ms` reads `oldest pending age  1.2 s`.
fn gauge(name: &str, value: &Value) -> Option<Vec<String>> {
    let label = name.strip_suffix("_ms").unwrap_or(name).replace('_', " ");
    let shown = match value {
        Value::Number(number) if name.ends_with("_ms") => {
            text::duration(Duration::from_secs_f64((number.as_f64()? / 1_000.0).max(0.0)))
        }
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), text::count),
        Value::String(word) => word.clone(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null => "-".to_owned(),
        Value::Array(_) | Value::Object(_) => return None,
    };
    Some(vec![label, shown])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_come_in_the_order_of_an_events_life() {
        let stats = json!({
            "by_status": {"SUCCESS": 12_000, "PENDING": 3, "NEW_WORD": 1}, "by_final_status": {"COMPLETED": 12_000},
            "pending": 3, "in_flight": 0, "oldest_pending_age_ms": 1_200, "retries_due": 0,
        });
        insta::assert_snapshot!(shown(stats.as_object().unwrap()), @r"
        STATUS    EVENTS
        PENDING        3
        SUCCESS   12,000
        NEW_WORD       1

        FINAL STATUS  EVENTS
        COMPLETED     12,000

        in flight               0
        oldest pending age  1.2 s
        pending                 3
        retries due             0
        ");
    }
}
