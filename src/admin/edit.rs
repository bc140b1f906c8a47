//! An event as a form: what is edited is submitted as a new event that names its original.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::event::{missing, record_id};
use super::{Frame, form, html_answer, page as answer};
use crate::api::operator::{self, carry_out};
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::{Answer, State};
use crate::dead_letter::{self, Edit, Resubmitted};
use crate::event::{Payload, PayloadKind};
use crate::lifecycle::Verb;
use crate::persist::{Record, Whole};

/// The fields of the form.
const NAMES: [&str; 6] = ["type", "subject", "source", "data", "reason", "discard"];

#[derive(Template)]
#[template(path = "admin/edit.html")]
struct EditPage {
    frame: Frame,
    record: Record,
    fields: Fields,
    can_discard: bool,
    problem: Option<Problem>,
}

/// What stands in the fields.
struct Fields {
    event_type: String,
    subject: String,
    source: String,
    /// Nothing if it is no text.
    data: Option<String>,
    reason: String,
    discards: bool,
}

impl Fields {
    /// The event as it is.
    fn of(record: &Record, payload: &Payload) -> Self {
        let bytes = payload.bytes.as_deref().unwrap_or_default();
        let data = if payload.kind() == PayloadKind::Binary { None } else { std::str::from_utf8(bytes).ok() };
        Self {
            event_type: record.event_type.clone(),
            subject: record.subject.clone().unwrap_or_default(),
            source: record.source.clone(),
            data: data.map(ToOwned::to_owned),
            reason: String::new(),
            discards: false,
        }
    }

    /// As they were filled in; browsers send line ends as two characters.
    fn given(given: &Parameters, has_data: bool) -> Self {
        let text = |name| given.get(name).unwrap_or_default().to_owned();
        Self {
            event_type: text("type"),
            subject: text("subject"),
            source: text("source"),
            data: has_data.then(|| text("data").replace("\r\n", "\n")),
            reason: text("reason"),
            discards: given.get("discard").is_some(),
        }
    }

    fn edit(&self) -> Edit {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Edit {
            event_type: Some(self.event_type.clone()),
            source: some(&self.source),
            subject: Some(some(&self.subject)),
            data: self.data.as_ref().map(|data| some(data).map(Into::into)),
            ..Edit::default()
        }
    }
}

/// Shows an event to be edited.
pub(super) async fn page(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Edit and resubmit").await;
    Parameters::parse(&frame.query, &[])?;
    let Whole { record, payload, .. } = whole(&state, &request).await?;
    let (fields, can_discard) = (Fields::of(&record, &payload), can_discard(&record));
    answer(&EditPage { frame, record, fields, can_discard, problem: None })
}

/// Submits the new event, and goes to it. What is refused comes back in its fields, with the reason.
pub(super) async fn resubmit(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let given = form::fields(&state, &request, body, &NAMES).await?;
    let Whole { record, payload, .. } = whole(&state, &request).await?;
    let fields = Fields::given(&given, Fields::of(&record, &payload).data.is_some());
    let submitted = submit(&state, &request, &record, &payload, &given, &fields).await;
    match submitted {
        Ok(Resubmitted { accepted, discarded }) => {
            let notice = match (accepted.duplicate, discarded) {
                (true, _) => "event-known",
                (false, true) => "event-resubmitted-discarded",
                (false, false) => "event-resubmitted",
            };
            let place = format!("/events/{}?notice={notice}", accepted.id);
            Ok(HttpResponse::SeeOther().insert_header((LOCATION, place)).finish())
        }
        Err(problem) => {
            let frame = Frame::of(&state, &request, "Edit and resubmit").await;
            let (status, can_discard) = (problem.code().status(), can_discard(&record));
            let page = EditPage { frame, record, fields, can_discard, problem: Some(problem) };
            let html = page.render();
            let html =
                html.map_err(|error| Problem::new(Code::Internal, "the page could not be made").caused_by(error))?;
            Ok(html_answer(HttpResponse::build(status)).body(html))
        }
    }
}

async fn submit(
    state: &State,
    request: &HttpRequest,
    record: &Record,
    payload: &Payload,
    given: &Parameters,
    fields: &Fields,
) -> Result<Resubmitted, Problem> {
    if payload.kind() == PayloadKind::Json
        && let Some(data) = fields.data.as_ref().filter(|data| !data.is_empty())
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(data)
    {
        // Whoever types it wants to hear of it now, not from a handler.
        return Err(Problem::new(Code::MalformedJson, format!("the data is not well-formed JSON: {error}")));
    }
    let (intake, pool, original) = (state.intake.clone(), state.pool.clone(), record.id);
    let (edit, discards, operator) = (fields.edit(), fields.discards, operator::of_form(request, given));
    carry_out(async move { dead_letter::resubmit(&intake, &pool, original, edit, discards, &operator).await }).await
}

/// The record of a path; a duplicate with the data of its original.
async fn whole(state: &State, request: &HttpRequest) -> Result<Whole, Problem> {
    let id = record_id(request)?;
    let mut whole = state.reads().whole(id).await?.ok_or_else(|| missing(&id.to_string()))?;
    if let (Some(of), None) = (whole.record.duplicate_of, &whole.payload.bytes)
        && let Some(original) = state.reads().whole(of).await?
    {
        whole.payload.bytes = original.payload.bytes;
    }
    Ok(whole)
}

fn can_discard(record: &Record) -> bool {
    Verb::Discard.from().contains(&record.status)
}
