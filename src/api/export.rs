//! Exports: everything that matches, a line each, as a stream that has a few records in memory at a time.
//!
//! A stream that cannot go on is broken off, never ended: what has arrived must not look like all of it.

use actix_web::http::Method;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use sea_orm::DbErr;
use serde::Serialize;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use uuid::Uuid;

use super::events::Content;
use super::openapi::OfAnExport;
use super::problem::{Code, Problem};
use super::query::{Parameters, bad};
use super::{Answer, State, filter, parameters};
use crate::event::{Payload, PayloadKind, to_structured};
use crate::lifecycle::FinalStatus;
use crate::persist::{Filter, Record};

/// How many records are in memory at a time.
const BATCH: u64 = 32;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The record with its data.
    Record,
    /// The event as it can be sent again.
    Event,
}

/// What is exported.
#[derive(Clone)]
pub(super) struct Export {
    filter: Filter,
    form: Form,
}

/// Why a stream is broken off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the server is stopping")]
    Draining,
    #[error("the ledger cannot be read at present: {0}")]
    Ledger(#[from] DbErr),
}

/// A line of an export.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    record: &'a Record,
    #[serde(flatten)]
    content: Content<'a>,
}

/// Exports all events that match, newest first, a line of JSON each.
///
/// A line is a record as `GET /api/v1/events/{id}` shows it, without its attempts. With `form=event` it is the event as
/// it can be sent again (`evenkeel send --file`), and DUPLICATE records are left out: their originals are these events.
/// It goes through the whole ledger if it has to. An answer that breaks off has not got to its end.
#[utoipa::path(
    get,
    path = "/api/v1/events.ndjson",
    operation_id = "export_events",
    tag = "events",
    params(Export),
    responses(
        (
            status = 200,
            description = "A line each",
            body = String,
            content_type = "application/x-ndjson",
            headers(("content-disposition" = String, description = "A name for the file")),
        ),
        OfAnExport,
    ),
)]
pub(super) async fn export(state: Data<State>, request: HttpRequest) -> Answer {
    let export = Export::parse(request.query_string())?;
    let mut answer = HttpResponse::Ok();
    answer.content_type("application/x-ndjson");
    answer.insert_header((CONTENT_DISPOSITION, "attachment; filename=\"events.ndjson\""));
    if request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    // The first lines come before the answer, so that a ledger that is away is a refusal.
    let first = export.batch(&state, None).await.map_err(|broken| match broken {
        Broken::Draining => Problem::new(Code::Draining, broken.to_string()).retry_after(5),
        Broken::Ledger(error) => error.into(),
    })?;
    let (lines, next) = first;
    let rest = stream::try_unfold(next, move |next| {
        let (state, export) = (state.clone(), export.clone());
        async move {
            match next {
                Some(before) => export.batch(&state, Some(before)).await.map(Some),
                None => Ok(None),
            }
        }
    });
    Ok(answer.streaming(stream::iter([Ok(lines)]).chain(rest)))
}

impl Export {
    fn parse(query: &str) -> Result<Self, Problem> {
        let known: Vec<&str> = filter::NAMES.into_iter().chain(["form"]).collect();
        let parameters = Parameters::parse(query, &known)?;
        let form = match parameters.get("form") {
            None | Some("record") => Form::Record,
            Some("event") => Form::Event,
            Some(other) => return Err(bad("form", format!("`form` is `record` or `event`, not `{other}`"))),
        };
        let filter = filter::read(parameters.pairs()).map_err(|wrong| Problem::of(Code::BadParameter, wrong))?;
        Ok(Self { filter, form })
    }

    /// Some lines, and what they are followed by, if anything.
    async fn batch(&self, state: &State, before: Option<Uuid>) -> Result<(Bytes, Option<Uuid>), Broken> {
        if state.pool.is_draining() {
            return Err(Broken::Draining);
        }
        let found = state.reads().search(&self.filter, before, BATCH).await?;
        let ids: Vec<Uuid> = found.records.iter().map(|record| record.id).collect();
        let mut payloads = state.reads().payloads(&ids).await?;
        let mut lines = BytesMut::new();
        for record in &found.records {
            let payload = payloads.remove(&record.id).unwrap_or_default();
            if let Some(line) = self.line(record, payload) {
                let start = lines.len();
                lines.extend_from_slice(&line);
                // Line ends in JSON stand between its tokens, never in a text.
                lines[start..].iter_mut().filter(|byte| is_line_end(byte)).for_each(|byte| *byte = b' ');
                lines.extend_from_slice(b"\n");
            }
        }
        Ok((lines.freeze(), found.next))
    }

    fn line(&self, record: &Record, payload: Payload) -> Option<Vec<u8>> {
        match self.form {
            // Texts, numbers and JSON that has been read: they cannot fail to be JSON.
            Form::Record => serde_json::to_vec(&Line { record, content: Content::of(&payload) }).ok(),
            Form::Event if record.final_status == Some(FinalStatus::Skipped) => None,
            Form::Event => Some(event_line(record, payload)),
        }
    }
}

/// The event as it can be sent again. JSON that has line ends of its own goes as base64: with other bytes it would be
/// another content of the same id.
fn event_line(record: &Record, payload: Payload) -> Vec<u8> {
    let bytes = payload.bytes.as_deref().unwrap_or_default();
    if payload.kind() != PayloadKind::Json || !bytes.iter().any(is_line_end) {
        return to_structured(&record.event(payload));
    }
    let encoded = STANDARD.encode(bytes);
    let mut line = to_structured(&record.event(Payload { bytes: None, ..payload }));
    // There are members before it: at least the required ones.
    line.pop();
    line.extend_from_slice(format!(",\"data_base64\":\"{encoded}\"}}").as_bytes());
    line
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

impl IntoParams for Export {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = filter::parameters(FinalStatus::ALL);
        let form = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["record", "event", ""]));
        parameters.push(parameters::query("form", Schema::from(form), "What a line is: the record, unless it is said"));
        parameters
    }
}
