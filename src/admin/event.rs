//! One event: where it stands, its life as a line of time, its data, and what an operator may do with it.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload as Body};
use askama::Template;
use uuid::Uuid;

use super::content::{Content, Node};
use super::curl::curl;
use super::form::{back, fields};
use super::{Frame, page as answer, shown};
use crate::api::operator::{self, carry_out};
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::{Answer, State};
use crate::clock::Timestamp;
use crate::dead_letter;
use crate::lifecycle::Verb;
use crate::persist::{Act, AttemptRecord, Record, Resubmission};

#[derive(Template)]
#[template(path = "admin/event.html")]
struct EventPage {
    frame: Frame,
    record: Record,
    /// What may be done: the verb, how it looks, its word, the question.
    verbs: Vec<(&'static str, &'static str, &'static str, &'static str)>,
    steps: Vec<Step>,
    attributes: Vec<(String, String)>,
    relatives: Vec<(&'static str, String)>,
    namesakes: String,
    content: Content,
    curl: Option<String>,
}

/// Something that happened.
struct Step {
    at: Timestamp,
    state: Option<&'static str>,
    what: String,
    record: Option<Uuid>,
    detail: Option<String>,
}

impl EventPage {
    fn action(&self, verb: &str) -> String {
        format!("/admin/events/{}/{verb}", self.record.id)
    }

    fn place(&self) -> String {
        format!("/events/{}", self.record.id)
    }
}

/// Shows one event.
pub(super) async fn page(state: Data<State>, request: HttpRequest) -> Answer {
    let mut frame = Frame::of(&state, &request, "Event").await;
    Parameters::parse(&frame.query, &[])?;
    let (id, reads) = (record_id(&request)?, state.reads());
    let whole = reads.whole(id).await?.ok_or_else(|| missing(&id.to_string()))?;
    let (acts, made) = (reads.acts(id).await?, reads.resubmissions(id).await?);
    let record = whole.record;
    let origin = record.extensions.get(dead_letter::ORIGIN).and_then(|origin| origin.as_str()).map(ToOwned::to_owned);
    let duplicate_of = record.duplicate_of.map(|of| ("duplicates", of.to_string()));
    // Whoever sends an event can write anything there; only what may be a record is a link.
    let origin = origin.filter(|origin| Uuid::parse_str(origin).is_ok()).map(|origin| ("made from", origin));
    frame.title.clone_from(&record.event_type);
    let page = EventPage {
        verbs: verbs(&record),
        steps: steps(&record, &whole.attempts, &acts, &made),
        attributes: attributes(&record),
        relatives: duplicate_of.into_iter().chain(origin).collect(),
        namesakes: format!("/events?event_id={}", super::events::encoded(&record.event_id)),
        content: Content::of(&whole.payload),
        curl: curl(&request, &record.event(whole.payload)),
        frame,
        record,
    };
    answer(&page)
}

/// Cancels, redrives or discards an event, and goes back to it.
pub(super) async fn operate(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (id, verb) = (record_id(&request)?, request.match_info().query("verb").to_owned());
    let fields = fields(&state, &request, body, &["reason", "back"]).await?;
    let operator = operator::of_form(&request, &fields);
    let pool = state.pool.clone();
    let notice = match verb.as_str() {
        "cancel" => "event-cancelled",
        "redrive" => "event-redriven",
        "discard" => "event-discarded",
        _ => return Err(Problem::not_found("operation", &verb)),
    };
    carry_out(async move {
        match verb.as_str() {
            "cancel" => dead_letter::cancel(&pool, id, &operator).await,
            "redrive" => dead_letter::redrive(&pool, id, &operator).await,
            _ => dead_letter::discard(&pool, id, &operator).await,
        }
    })
    .await?;
    Ok(back(&fields, &format!("/events/{id}"), Some(notice)))
}

/// The record that a path names.
pub(super) fn record_id(request: &HttpRequest) -> Result<Uuid, Problem> {
    let id = request.match_info().query("id");
    Uuid::parse_str(id).map_err(|_| missing(id))
}

pub(super) fn missing(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no record `{id}`")).hint("Search for the event by its id.")
}

fn verbs(record: &Record) -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    let all = [
        (Verb::Cancel, ("cancel", "danger", "Cancel", "It will not be handled, and that is the end of it.")),
        (Verb::Redrive, ("redrive", "plain", "Redrive", "A new round of attempts begins, with all its retries.")),
        (
            Verb::Discard,
            ("discard", "danger", "Discard", "It will not be handled any more, and that is the end of it."),
        ),
    ];
    all.into_iter().filter(|(verb, _)| verb.from().contains(&record.status)).map(|(_, shown)| shown).collect()
}

/// What happened and what is to come, in order.
fn steps(record: &Record, attempts: &[AttemptRecord], acts: &[Act], made: &[Resubmission]) -> Vec<Step> {
    let step = |at, what: String| Step { at, state: None, what, record: None, detail: None };
    let mut steps = vec![step(record.created_at, format!("Accepted from {}", came_from(record)))];
    for attempt in attempts {
        let took = attempt.processing_time_ms.and_then(|ms| u64::try_from(ms).ok());
        let took = took.map(|ms| format!(", took {}", shown::span(std::time::Duration::from_millis(ms))));
        let (number, handler) = (attempt.attempt_number, &attempt.handler_name);
        let (node, took) = (shown::short(attempt.node), took.unwrap_or_default());
        let what = format!("Attempt {number} by {handler} on node {node}{took}");
        let detail = attempt.error_message.clone();
        steps.push(Step { state: Some(attempt.status.as_str()), detail, ..step(attempt.started_at, what) });
    }
    steps.extend(acts.iter().map(|act| {
        let why = act.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        step(act.at, format!("{} by {}{why}", in_the_past(&act.action), act.actor))
    }));
    steps.extend(
        made.iter().map(|made| Step { record: Some(made.record), ..step(made.at, "Resubmitted as".to_owned()) }),
    );
    if let Some(at) = record.completed_at {
        let detail = if attempts.is_empty() { record.error.clone() } else { None };
        steps.push(Step { state: Some(record.status.as_str()), detail, ..step(at, "Its end".to_owned()) });
    }
    if let Some(at) = record.next_attempt_at {
        let what = format!("Attempt {} is due", record.attempt_count + 1);
        steps.push(Step { state: Some(record.status.as_str()), ..step(at, what) });
    }
    steps.sort_by_key(|step| step.at);
    steps
}

/// What an operator did, as a line of time tells it.
fn in_the_past(action: &str) -> &str {
    match action {
        "cancel" => "Cancelled",
        "redrive" => "Redriven",
        "discard" => "Discarded",
        "resubmit" => "Resubmitted",
        "begin_redrive" => "Redriven with others",
        "begin_discard" => "Discarded with others",
        other => other,
    }
}

/// The bus, and the place there.
fn came_from(record: &Record) -> String {
    let origin = &record.origin;
    let topic = origin.topic.as_ref().map(|topic| format!(", {topic}")).unwrap_or_default();
    let partition = origin.partition.map(|partition| format!(", partition {partition}")).unwrap_or_default();
    let offset = origin.offset.map(|offset| format!(", offset {offset}")).unwrap_or_default();
    format!("{}{topic}{partition}{offset}", origin.bus)
}

fn attributes(record: &Record) -> Vec<(String, String)> {
    let given = [
        ("record", Some(record.id.to_string())),
        ("id", Some(record.event_id.clone())),
        ("source", Some(record.source.clone())),
        ("subject", record.subject.clone()),
        ("time", record.time.clone()),
        ("content type", record.datacontenttype.clone()),
        ("handler", record.handler_name.clone()),
        ("round", Some(record.round.to_string())),
        ("retries", Some(record.retry_count.to_string())),
        ("crashes", (record.crash_count > 0).then(|| record.crash_count.to_string())),
        ("came from", Some(came_from(record))),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let extensions = record.extensions.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        (name.clone(), value)
    });
    given.chain(extensions).collect()
}
