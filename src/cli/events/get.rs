//! `events get`: one event with everything that is known of it.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::client::{Client, ClientArgs, Output, event_id};
use super::super::problem::Failure;
use super::super::{Exit, Screen, text};
use crate::clock::Timestamp;

const HELP: &str = "\
Examples:
  evenkeel events get 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11
  evenkeel events get order-4711 --source /shop
  evenkeel events get order-4711 --output json | jq .attempts";

/// What is shown first, in this order; the rest follows by name.
const FIRST: [&str; 12] = [
    "id",
    "event_id",
    "source",
    "type",
    "subject",
    "time",
    "status",
    "final_status",
    "handler_name",
    "error",
    "created_at",
    "completed_at",
];

/// Arguments of `events get`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct GetArgs {
    /// The record's uuid, or the event's own id
    #[arg(value_parser = event_id)]
    pub id: String,
    /// The source, if several have used that event id
    #[arg(long)]
    pub source: Option<String>,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

pub(super) async fn run(args: &GetArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let mut url = client.url(&["events", &args.id]);
    if let Some(source) = &args.source {
        url.query_pairs_mut().append_pair("source", source);
    }
    let record: Box<RawValue> = client.get(&url).await.map_err(advise)?;
    match args.client.output {
        Output::Json => screen.raw_json(&record)?,
        Output::Text => {
            let text = shown(&record, screen.now()).map_err(|error| Failure::unreadable(&url, error))?;
            screen.line(text)?;
        }
    }
    Ok(Exit::Done)
}

fn advise(failure: Failure) -> Failure {
    let Failure::Refused { status, problem, retry_after } = failure else { return failure };
    let problem = match status.as_u16() {
        404 => problem.with_hint("`evenkeel events ls` lists what there is."),
        409 => problem.with_hint("Say which one you mean with --source."),
        _ => problem,
    };
    Failure::Refused { status, problem, retry_after }
}

/// The data as it was received: it may hold numbers and letters that no type of ours can.
struct Data<'a> {
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
}

fn shown(record: &RawValue, now: Timestamp) -> Result<String, serde_json::Error> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(record.get())?;
    let encoded = members.remove("data_base64").map(|text| serde_json::from_str(text.get())).transpose()?;
    let data = members.remove("data").filter(|data| data.get() != "null");
    let data = Data { data, data_base64: encoded };
    let member = |(name, value): (String, &RawValue)| Ok((name, serde_json::from_str(value.get())?));
    let record = members.into_iter().map(member).collect::<Result<Map<String, Value>, serde_json::Error>>()?;
    let mut parts = vec![text::table(&["", ""], attributes(&record, now))];
    parts.extend(data.shown());
    let attempts = record.get("attempts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if attempts.is_empty() {
        parts.push("No attempts.".to_owned());
    } else {
        let header = ["ATTEMPT#", "STATUS", "HANDLER", "STARTED", "TOOK#", "ERROR"];
        parts.push(text::table(&header, attempts.iter().map(|attempt| attempt_row(attempt, now))));
    }
    Ok(parts.join("\n\n"))
}

fn attributes(record: &Map<String, Value>, now: Timestamp) -> Vec<Vec<String>> {
    let first = FIRST.iter().filter_map(|name| record.get_key_value(*name));
    let rest = record.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()) && name.as_str() != "attempts");
    let mut rows = Vec::new();
    for (name, value) in first.chain(rest) {
        push(&mut rows, &name.replace('_', " "), value, now);
    }
    rows
}

/// A row for a value, or one for each member of an object; what is null is left out.
fn push(rows: &mut Vec<Vec<String>>, label: &str, value: &Value, now: Timestamp) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| push(rows, &format!("{label} {name}"), member, now));
        }
        Value::String(text) if label == "time" || label.ends_with(" at") => {
            rows.push(vec![label.to_owned(), text::moment(text, now)]);
        }
        Value::String(text) => rows.push(vec![label.to_owned(), text.clone()]),
        other => rows.push(vec![label.to_owned(), other.to_string()]),
    }
}

impl Data<'_> {
    fn shown(&self) -> Option<String> {
        if let Some(encoded) = &self.data_base64 {
            // Four letters stand for three bytes, but for the padding.
            let bytes = encoded.trim_end_matches('=').len() * 3 / 4;
            return Some(format!("data ({}, base64)\n{encoded}", text::size(bytes)));
        }
        let data = self.data?.get();
        match serde_json::from_str::<String>(data) {
            Ok(text) => Some(format!("data ({})\n{text}", text::size(text.len()))),
            Err(_) => Some(format!("data ({})\n{}", text::size(data.len()), text::indented(data))),
        }
    }
}

fn attempt_row(attempt: &Value, now: Timestamp) -> Vec<String> {
    let text = |member: &str| attempt.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let number = |member: &str| attempt.get(member).and_then(Value::as_u64);
    vec![
        number("attempt_number").map_or_else(|| "-".to_owned(), text::count),
        text("status"),
        text("handler_name"),
        text::moment(&text("started_at"), now),
        number("processing_time_ms").map_or_else(|| "-".to_owned(), |ms| text::duration(Duration::from_millis(ms))),
        text("error_message"),
    ]
}
