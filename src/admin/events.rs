//! The list of events: filters in the address, newest first, a page at a time.

use actix_web::http::header::LOCATION;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::shown::Moment;
use super::{Frame, page as answer, qualifiers};
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::{Answer, State, cursor, filter};
use crate::lifecycle::Status;
use crate::persist::Record;

/// How many records a page has.
const LIMIT: u64 = 50;

/// What is left as it is in a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b':');

#[derive(Template)]
#[template(path = "admin/events.html")]
struct Events {
    frame: Frame,
    /// The filters as they are typed.
    typed: String,
    /// The filters by name, for the plain fields.
    fields: Vec<(&'static str, &'static str, String)>,
    suggestions: Vec<String>,
    statuses: Vec<(&'static str, bool)>,
    records: Vec<Record>,
    /// How far back was looked, if the page ended there.
    searched_until: Option<Moment>,
    newest: String,
    older: String,
    export: String,
    is_filtered: bool,
}

/// Shows a page of the list.
pub(super) async fn page(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Events").await;
    let known: Vec<&str> = filter::NAMES.into_iter().chain(["q", "cursor"]).collect();
    let parameters = Parameters::parse(&frame.query, &known)?;
    if let Some(record) = named(&state, &parameters).await? {
        return Ok(HttpResponse::SeeOther().insert_header((LOCATION, format!("/events/{record}"))).finish());
    }
    let filters = filters(&parameters);
    let exact: Vec<(String, String)> = filters
        .iter()
        .map(|(name, value)| match name.as_str() {
            "since" | "until" => (name.clone(), qualifiers::moment(value, frame.now)),
            _ => (name.clone(), value.clone()),
        })
        .collect();
    let wanted = filter::read(exact.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let wanted = wanted.map_err(|wrong| Problem::of(Code::BadParameter, wrong))?;
    let cursor = parameters.get("cursor");
    let before = cursor.map(|text| {
        cursor::decode(text).ok_or_else(|| Problem::new(Code::BadCursor, format!("`{text}` is no cursor")))
    });
    let found = state.reads().search(&wanted, before.transpose()?, LIMIT).await?;
    let asked = query(&filters);
    let to = |query: String| if query.is_empty() { "/events".to_owned() } else { format!("/events?{query}") };
    let next = |next| to(query(&[&filters[..], &[("cursor".to_owned(), cursor::encode(next))]].concat()));
    let value = |name: &str| filters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let status = value("status").unwrap_or_default();
    let page = Events {
        typed: qualifiers::written(&filters),
        fields: FIELDS.map(|(name, label)| (name, label, value(name).unwrap_or_default())).into(),
        suggestions: suggestions(&state),
        statuses: Status::ALL.iter().map(|word| (word.as_str(), word.as_str() == status)).collect(),
        records: found.records,
        searched_until: found.searched_until.map(|at| frame.moment(&at)),
        newest: if cursor.is_some() { to(asked) } else { String::new() },
        older: found.next.map(next).unwrap_or_default(),
        export: ["/api/v1/events.ndjson", &query(&exact)].join("?"),
        is_filtered: !filters.is_empty(),
        frame,
    };
    answer(&page)
}

/// The plain fields, in their order.
const FIELDS: [(&str, &str); 8] = [
    ("type", "Type"),
    ("handler", "Handler"),
    ("source", "Source"),
    ("event_id", "Event id"),
    ("subject", "Subject"),
    ("error", "Error holds"),
    ("since", "Since"),
    ("until", "Until"),
];

/// The record whose own id was all that was typed.
async fn named(state: &State, parameters: &Parameters) -> Result<Option<Uuid>, Problem> {
    let Some(id) = parameters.get("q").and_then(|typed| Uuid::parse_str(typed.trim()).ok()) else { return Ok(None) };
    Ok(state.reads().record(id).await?.map(|record| record.id))
}

/// The filters in an address; what is typed comes before what stands beside it.
fn filters(parameters: &Parameters) -> Vec<(String, String)> {
    let mut filters = parameters.get("q").map(qualifiers::read).unwrap_or_default();
    for (name, value) in parameters.pairs().filter(|(name, _)| filter::NAMES.contains(name)) {
        if !filters.iter().any(|(known, _)| known == name) {
            filters.push((name.to_owned(), value.to_owned()));
        }
    }
    filters
}

fn query(pairs: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| format!("{name}={}", encoded(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// A text as a value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// What may be typed: the words of the ledger and the handlers of this node.
fn suggestions(state: &State) -> Vec<String> {
    let statuses = Status::ALL.iter().map(|status| format!("status:{status}"));
    let handlers = state.pool.lanes().map(|lane| format!("handler:{}", lane.name));
    let others = ["type:", "source:", "id:", "subject:", "error:", "since:15m", "since:1h"];
    statuses.chain(handlers).chain(others.map(ToOwned::to_owned)).collect()
}
