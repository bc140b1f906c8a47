//! What an event asks for: its data, read and judged before anything is written. Pure.

use std::collections::HashSet;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Deserializer;

use super::ledger::{Question, columns_of};
use super::name::Name;
use super::options::{Format, are_formats};
use super::rows::{Row, Table};
use crate::clock::Timestamp;
use crate::event::{Payload, PayloadKind};
use crate::lifecycle::{FinalStatus, Status};
use crate::persist::Filter;

/// A report that can be made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    /// What its files are called.
    pub name: Name,
    /// What stands above the page.
    pub title: Option<String>,
    /// What it is to be written as; as in the options if absent.
    pub formats: Option<Vec<Format>>,
    /// What is in it.
    pub content: Content,
}

/// What a report shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// The rows that came with the request.
    Rows(Table),
    /// What the ledger answers.
    Ledger(Question),
}

/// What is wrong with a request: a member, and what about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{member}` {what}")]
pub(super) struct Wrong {
    member: String,
    what: String,
}

impl Wrong {
    pub fn new(member: impl Into<String>, what: impl Into<String>) -> Self {
        Self { member: member.into(), what: what.into() }
    }
}

/// The members of the data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: String,
    title: Option<String>,
    since: Option<String>,
    until: Option<String>,
    filter: Option<Narrowing>,
    columns: Option<Vec<String>>,
    rows: Option<Vec<Row>>,
    formats: Option<Vec<Format>>,
}

/// The member `filter`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Narrowing {
    #[serde(rename = "type")]
    event_type: Option<String>,
    handler: Option<String>,
    status: Option<Status>,
    final_status: Option<FinalStatus>,
    source: Option<String>,
}

impl Request {
    /// Reads the data of an event.
    pub fn read(payload: &Payload) -> Result<Self, Wrong> {
        let body = decode(payload)?;
        let name = Name::parse(&body.name).map_err(|what| Wrong::new("name", what))?;
        if body.formats.as_deref().is_some_and(|formats| !are_formats(formats)) {
            return Err(Wrong::new("formats", "must name `csv`, `html` or both, each once"));
        }
        if let Some(at) = body.columns.as_deref().and_then(repeated) {
            return Err(Wrong::new(format!("columns[{at}]"), "is there twice"));
        }
        let (title, formats) = (body.title.clone(), body.formats.clone());
        Ok(Self { name, title, formats, content: content(body)? })
    }
}

fn decode(payload: &Payload) -> Result<Body, Wrong> {
    let bytes = payload.bytes.as_deref().filter(|_| payload.kind() == PayloadKind::Json);
    let bytes = bytes.ok_or_else(|| Wrong::new("data", "must be a JSON object with the report's `name`"))?;
    let unreadable = |member: String, error: serde_json::Error| {
        // A question mark stands for a name that could not be read.
        let member = if matches!(member.as_str(), "." | "?") { "data".to_owned() } else { member };
        Wrong::new(member, format!("cannot be read: {error}"))
    };
    let mut deserializer = Deserializer::from_slice(bytes);
    let body = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| unreadable(error.path().to_string(), error.into_inner()))?;
    deserializer.end().map_err(|error| unreadable(".".to_owned(), error))?;
    Ok(body)
}

/// Where a name stands that has stood there before.
fn repeated(names: &[String]) -> Option<usize> {
    let mut seen = HashSet::new();
    names.iter().position(|name| !seen.insert(name))
}

fn content(body: Body) -> Result<Content, Wrong> {
    if let Some(rows) = body.rows {
        let questions =
            [("since", body.since.is_some()), ("until", body.until.is_some()), ("filter", body.filter.is_some())];
        if let Some((member, _)) = questions.into_iter().find(|(_, is_there)| *is_there) {
            return Err(Wrong::new(member, "is a question to the ledger, and with `rows` nothing is read there"));
        }
        return Table::new(body.columns, rows).map(Content::Rows);
    }
    let moment = |member, text: Option<String>| text.map(|text| moment(member, &text)).transpose();
    let (since, until) = (moment("since", body.since)?, moment("until", body.until)?);
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(Wrong::new("until", format!("is {until}, which is not after `since`, {since}")));
    }
    let Narrowing { event_type, handler, status, final_status, source } = body.filter.unwrap_or_default();
    let filter = Filter { status, final_status, event_type, handler, source, since, until, ..Filter::default() };
    Ok(Content::Ledger(Question { columns: columns_of(body.columns)?, filter }))
}

fn moment(member: &str, text: &str) -> Result<Timestamp, Wrong> {
    let time = DateTime::parse_from_rfc3339(text).map(Timestamp::from);
    time.map_err(|_| Wrong::new(member, format!("is {text:?}, and no time such as `2026-01-05T08:02:20Z` (RFC 3339)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> Result<Request, String> {
        Request::read(&Payload::json(data.to_owned())).map_err(|wrong| wrong.to_string())
    }

    fn question(data: &str) -> Question {
        match read(data).unwrap().content {
            Content::Ledger(question) => question,
            Content::Rows(table) => panic!("{table:?}"),
        }
    }

    #[test]
    fn a_name_is_enough_for_a_report_of_the_whole_ledger() {
        assert_eq!(question(r#"{"name":"all"}"#).filter, Filter::default());
    }

    #[test]
    fn the_examples_of_the_docs_can_be_read() {
        let docs = include_str!("../../../docs/handlers.md").split_once("\n## report\n").unwrap().1;
        let section = docs.split("\n## ").next().unwrap();
        let examples: Vec<&str> =
            section.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert_eq!(examples.len(), 2);
        for example in examples {
            read(example).unwrap();
        }
    }

    #[test]
    fn a_period_and_a_filter_narrow_it() {
        let question = question(
            r#"{"name":"a","since":"2026-01-05T00:00:00+01:00","until":"2026-01-06T00:00:00Z",
                "filter":{"type":"order.paid","handler":"billing","status":"SUCCESS","final_status":"COMPLETED","source":"/s"}}"#,
        );
        let filter = Filter {
            event_type: Some("order.paid".into()),
            handler: Some("billing".into()),
            status: Some(Status::Success),
            final_status: Some(FinalStatus::Completed),
            source: Some("/s".into()),
            since: Some(Timestamp(1_767_567_600_000_000)),
            until: Some(Timestamp(1_767_657_600_000_000)),
            ..Filter::default()
        };
        assert_eq!(question.filter, filter);
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for (data, says) in [
            ("[]", "`data` cannot be read: invalid length 0, expected struct Body"),
            ("{}", "`data` cannot be read: missing field `name`"),
            (r#"{"name":"a","#, "`data` cannot be read: EOF while parsing"),
            (r#"{"name":"../../x"}"#, "`name` is \"../../x\", and only "),
            (r#"{"name":"a","nmae":1}"#, "`nmae` cannot be read: unknown field `nmae`, expected one of `name`, "),
            (r#"{"name":"a","since":"yesterday"}"#, "`since` is \"yesterday\", and no time such as "),
            (r#"{"name":"a","until":"2026-01-05"}"#, "`until` is \"2026-01-05\", and no time such as "),
            (r#"{"name":"a","filter":{"status":"DONE"}}"#, "`filter.status` cannot be read: unknown variant `DONE`, "),
            (r#"{"name":"a","filter":{"id":"1"}}"#, "`filter.id` cannot be read: unknown field `id`, "),
            (r#"{"name":"a","formats":[]}"#, "`formats` must name "),
            (r#"{"name":"a","formats":["pdf"]}"#, "`formats[0]` cannot be read: unknown variant `pdf`, "),
            (r#"{"name":"a","columns":["statsu"]}"#, "`columns[0]` is \"statsu\", and "),
            (r#"{"name":"a","columns":["id","type","id"]}"#, "`columns[2]` is there twice"),
            (r#"{"name":"a","columns":[]}"#, "`columns` names no column"),
            (r#"{"name":"a","rows":[{},7]}"#, "`rows[1]` cannot be read: invalid type: integer `7`, "),
            (r#"{"name":"a","rows":[],"until":"x"}"#, "`until` is a question to the ledger, "),
            (r#"{"name":"a","rows":[],"filter":{}}"#, "`filter` is a question to the ledger, "),
        ] {
            let wrong = read(data).unwrap_err();
            assert!(wrong.starts_with(says), "{data}: {wrong}");
        }
        let backwards = read(r#"{"name":"a","since":"2026-01-05T00:00:00Z","until":"2026-01-05T01:00:00+01:00"}"#);
        assert_eq!(
            backwards.unwrap_err(),
            "`until` is 2026-01-05T00:00:00.000000Z, which is not after `since`, 2026-01-05T00:00:00.000000Z"
        );
    }

    #[test]
    fn data_that_is_no_json_is_refused() {
        let text = Payload { content_type: Some("text/csv".into()), bytes: Some("a,b".into()) };
        for payload in [text, Payload::default()] {
            let wrong = Request::read(&payload).unwrap_err().to_string();
            assert_eq!(wrong, "`data` must be a JSON object with the report's `name`");
        }
        assert!(read(r#"{"name":"a"} x"#).is_err());
    }
}
