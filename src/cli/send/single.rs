//! `send TYPE`: one event.

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::super::client::{Answer, Client, Output};
use super::super::pace::Pace;
use super::super::problem::{Failure, Problem};
use super::super::wait::{self, Record};
use super::super::{Exit, Screen, text};
use super::{SendArgs, outage};

/// The plain form of a submission.
#[derive(Serialize)]
struct Submission<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// What is told of an accepted event.
#[derive(Debug, Deserialize)]
struct Accepted {
    id: Uuid,
    #[serde(rename = "type")]
    event_type: String,
    status: String,
    #[serde(default)]
    duplicate: bool,
    /// All of it as it came, to pass on.
    #[serde(skip)]
    whole: Option<Box<RawValue>>,
}

/// The result as JSON.
#[derive(Default, Serialize)]
struct Summary<'a> {
    sent: u8,
    accepted: u8,
    duplicates: u8,
    invalid: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Problem>,
}

pub(super) async fn run(
    args: &SendArgs,
    event_type: &str,
    client: &Client,
    screen: &mut Screen<'_>,
    pace: &Pace,
) -> anyhow::Result<Exit> {
    let id = args.id.clone().unwrap_or_else(|| screen.clock().new_id().to_string());
    let submission = Submission {
        event_type,
        id: &id,
        source: args.source.as_deref(),
        subject: args.subject.as_deref(),
        deliver_at: args.at.map(|at| at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        data: args.data.as_deref(),
    };
    let body = serde_json::to_vec(&submission)?;
    let sent =
        client.submit("application/json", body.into(), pace, &mut |failure| screen.note(outage(failure, pace))).await?;
    let mut accepted = match read(sent)? {
        Ok(accepted) => accepted,
        Err(problem) => return refused(args, &problem, screen),
    };
    // Nobody else can have sent an id that was made here: an answer was lost and this is the one event.
    accepted.duplicate &= args.id.is_some();
    if args.client.output == Output::Text {
        let word = if accepted.duplicate { "duplicate of" } else { "accepted" };
        screen.line(format_args!("{word} {} ({}) {}", accepted.id, accepted.event_type, accepted.status))?;
    }
    let record = if args.wait { Some(ended(args, &accepted, client, pace).await?) } else { None };
    finish(args, &accepted, record, screen)
}

/// The event, or what is wrong with it; anything else is a failure.
fn read(answer: Answer) -> Result<Result<Accepted, Problem>, Failure> {
    match answer.status.as_u16() {
        202 => {
            let read = || {
                let accepted: Accepted = serde_json::from_slice(&answer.body)?;
                Ok(Accepted { whole: Some(serde_json::from_slice(&answer.body)?), ..accepted })
            };
            read().map(Ok).map_err(|error: serde_json::Error| answer.unreadable(error))
        }
        400 | 409 | 413 | 422 => Ok(Err(Problem::from_body(answer.status, &answer.body))),
        _ => Err(answer.into_failure()),
    }
}

fn refused(args: &SendArgs, problem: &Problem, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    if args.client.output == Output::Json {
        screen.json(&Summary { sent: 1, invalid: 1, problem: Some(problem), ..Summary::default() })?;
    }
    screen.note(format_args!("error: {problem}"));
    Ok(Exit::Failed)
}

async fn ended(args: &SendArgs, accepted: &Accepted, client: &Client, pace: &Pace) -> anyhow::Result<Record> {
    let mut end = None;
    let rest =
        wait::until_ended(client, vec![accepted.id], args.timeout, pace, &mut |record| end = Some(record)).await?;
    end.ok_or_else(|| {
        let why = rest.failure.map(|failure| format!(" ({failure})")).unwrap_or_default();
        let id = accepted.id;
        anyhow::anyhow!(
            "{id} has not ended within {}{why}. It is not lost: `evenkeel events get {id}` shows where it stands.",
            text::duration(args.timeout)
        )
    })
}

fn finish(
    args: &SendArgs,
    accepted: &Accepted,
    record: Option<Record>,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Exit> {
    let final_status = record.as_ref().and_then(|record| record.final_status.as_deref());
    // SKIPPED is a duplicate that was found out behind a broker.
    let good = matches!(final_status, None | Some("COMPLETED" | "SKIPPED"));
    if args.client.output == Output::Json {
        screen.json(&Summary {
            sent: 1,
            accepted: u8::from(!accepted.duplicate),
            duplicates: u8::from(accepted.duplicate),
            event: accepted.whole.as_deref(),
            record: record.as_ref().and_then(|record| record.whole.as_deref()),
            ..Summary::default()
        })?;
    } else if let Some(record) = record {
        screen.line(told(&record))?;
        if !good {
            screen.note(format_args!("See `evenkeel events get {}`.", accepted.id));
        }
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// `COMPLETED after 12 ms, 1 attempt`.
fn told(record: &Record) -> String {
    let mut line = record.final_status.clone().unwrap_or_default();
    if line != "COMPLETED" && line != record.status {
        line = format!("{line} ({})", record.status);
    }
    if let Some(took) = record.took() {
        line = format!("{line} after {}", text::duration(took));
    }
    line = format!("{line}, {}", text::plural(record.attempts(), "attempt"));
    match &record.error {
        Some(error) => format!("{line}: {error}"),
        None => line,
    }
}
