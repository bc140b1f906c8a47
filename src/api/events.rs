//! Events: the list, one with everything that is known of it, and stopping one that has not started.

use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::openapi::{OfACancellation, OfAList, OfARecord};
use super::operator::{self, Reason, carry_out};
use super::page::{Items, Page};
use super::parameters::{Asked, OneRecord};
use super::problem::{Code, Problem};
use super::query::Parameters;
use super::{Answer, State, path};
use crate::dead_letter::{self, Operator};
use crate::event::{Payload, PayloadKind};
use crate::persist::{AttemptRecord, Reads, Record, Whole};

/// Lists events, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "list_events",
    tag = "events",
    params(Page),
    responses((status = 200, description = "A page of them", body = Items), OfAList),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    Page::parse(request.query_string())?.answer(state.reads()).await
}

/// Shows one event with its data and all its attempts.
///
/// Events that are INVALID or DUPLICATE do not hold their event id: they are found by the id of their record.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}",
    operation_id = "get_event",
    tag = "events",
    params(OneRecord),
    responses((status = 200, description = "All that is known of it", body = View), OfARecord),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Answer {
    let parameters = Parameters::parse(request.query_string(), &["source"])?;
    let (id, reads) = (path::id(&request)?, state.reads());
    let by_record = match Uuid::parse_str(&id) {
        Ok(record) => reads.whole(record).await?,
        Err(_) => None,
    };
    let whole = match by_record {
        Some(whole) => whole,
        None => {
            let record = holder(reads, &id, parameters.get("source")).await?;
            reads.whole(record).await?.ok_or_else(|| missing(&id))?
        }
    };
    Ok(HttpResponse::Ok().json(View::of(&whole)))
}

/// Cancels an event that has not started.
///
/// It has to be SCHEDULED, PENDING or RETRY_SCHEDULED, and is DISCARDED then.
#[utoipa::path(
    post,
    path = "/api/v1/events/{id}/cancel",
    operation_id = "cancel_event",
    tag = "events",
    params(OneRecord, Asked),
    request_body = Option<Reason>,
    responses((status = 202, description = "The record as it stands now", body = Record), OfACancellation),
)]
pub(super) async fn cancel(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (record, operator) = asked(&state, &request, body).await?;
    let pool = state.pool.clone();
    carry_out(async move { dead_letter::cancel(&pool, record, &operator).await }).await?;
    standing(&state, record).await
}

/// Which record an operation is about, who asks for it, and why.
pub(super) async fn asked(state: &State, request: &HttpRequest, body: Body) -> Result<(Uuid, Operator), Problem> {
    let parameters = Parameters::parse(request.query_string(), &["source", "reason"])?;
    let members = operator::members(request, body, state.config.body_limit, &["reason"]).await?;
    let operator = operator::of(request, &parameters, &members);
    Ok((meant(state, request, &parameters).await?, operator))
}

/// Which record an operation is about.
pub(super) async fn meant(state: &State, request: &HttpRequest, parameters: &Parameters) -> Result<Uuid, Problem> {
    let id = path::id_before_verb(request)?;
    if let Ok(record) = Uuid::parse_str(&id)
        && state.reads().record(record).await?.is_some()
    {
        return Ok(record);
    }
    holder(state.reads(), &id, parameters.get("source")).await
}

/// The answer to an operation: the record as it stands now.
pub(super) async fn standing(state: &State, record: Uuid) -> Answer {
    let record = state.reads().record(record).await?.ok_or_else(|| missing(&record.to_string()))?;
    Ok(HttpResponse::Accepted().json(record))
}

/// The record that holds the key of this event id.
async fn holder(reads: &Reads, event_id: &str, source: Option<&str>) -> Result<Uuid, Problem> {
    let holders = reads.holders(event_id, source).await?;
    match holders.as_slice() {
        [] => Err(missing(event_id)),
        [(_, record)] => Ok(*record),
        several => {
            let sources: Vec<String> = several.iter().map(|(source, _)| source.clone()).collect();
            let detail = format!("the event id `{event_id}` was used by several sources");
            Err(Problem::new(Code::Ambiguous, detail).with("sources", sources))
        }
    }
}

fn missing(id: &str) -> Problem {
    Problem::not_found("event", id).hint(
        "Records that are INVALID or DUPLICATE hold no event id: find them by `GET /api/v1/events?event_id=`, and open \
         them by the id of the record.",
    )
}

/// A record with data and attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
struct View<'a> {
    #[serde(flatten)]
    record: &'a Record,
    #[serde(flatten)]
    content: Content<'a>,
    /// All its attempts, in order; the one that runs is the last.
    attempts: &'a [AttemptRecord],
}

/// The data of an event.
#[derive(Serialize, ToSchema)]
pub(super) struct Content<'a> {
    /// The data, if it is JSON, or a string, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<Readable<'a>>,
    /// The data, if it is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    data_base64: Option<String>,
}

/// Data that fits into JSON as it is.
#[derive(Serialize)]
#[serde(untagged)]
enum Readable<'a> {
    /// Unread: numbers keep all their digits, and members their order.
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> View<'a> {
    fn of(whole: &'a Whole) -> Self {
        Self { record: &whole.record, content: Content::of(&whole.payload), attempts: &whole.attempts }
    }
}

impl<'a> Content<'a> {
    pub(super) fn of(payload: &'a Payload) -> Self {
        let data = Readable::of(payload);
        let bytes = payload.bytes.as_ref().filter(|_| data.is_none());
        Self { data, data_base64: bytes.map(|bytes| STANDARD.encode(bytes)) }
    }
}

impl<'a> Readable<'a> {
    /// Nothing if there is no data, or if it is not what its content type says.
    fn of(payload: &'a Payload) -> Option<Self> {
        let bytes = payload.bytes.as_deref()?;
        match payload.kind() {
            PayloadKind::Json => serde_json::from_slice(bytes).ok().map(Self::Json),
            PayloadKind::Text => std::str::from_utf8(bytes).ok().map(Self::Text),
            PayloadKind::Binary => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content_type: Option<&str>, bytes: &'static [u8]) -> Option<String> {
        let payload = Payload { content_type: content_type.map(ToOwned::to_owned), bytes: Some(bytes.into()) };
        Readable::of(&payload).map(|data| serde_json::to_string(&data).unwrap())
    }

    #[test]
    fn json_is_shown_as_it_was_sent() {
        let sent = b"{\"b\": 1.10, \"a\":123456789012345678901234567890}";
        assert_eq!(shown(None, sent).unwrap().as_bytes(), sent);
        assert_eq!(shown(Some("application/vnd.x+json"), b"null").unwrap(), "null");
    }

    #[test]
    fn text_is_a_string_and_what_cannot_be_read_is_not_shown_as_it_is() {
        assert_eq!(shown(Some("text/plain"), b"a\"b").unwrap(), r#""a\"b""#);
        for (content_type, bytes) in
            [(None, &b"{"[..]), (None, b""), (Some("text/plain"), b"\xff"), (Some("image/png"), b"x")]
        {
            assert_eq!(shown(content_type, bytes), None);
        }
    }
}
