//! Taking events in: one, or a batch in one commit. 202 is said only after they are in the ledger.

mod forms;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::openapi::{MemberProblem, OfASubmission};
use super::problem::{Code, Problem};
use super::{Answer, State, body};
use crate::event::{NewEvent, TraceContext};
use crate::ingest::decode::{DecodeError, Limits, Submission, decode};
use crate::ingest::{Accepted, SubmitError};
use forms::{CloudEvent, CloudEventBatch, Headers, Submitted};

/// Submits an event, or a batch of events in one commit.
///
/// `202` is said once they are in the ledger. An event without an id gets one. The same source, id and content again is
/// a duplicate and answered as such; with other content it is a conflict, and an INVALID record is kept.
///
/// The forms are told apart in this order: the content types of CloudEvents; a `ce-specversion` header, which makes it
/// binary mode: the attributes are `ce-` headers, percent-encoded as the CloudEvents HTTP binding says, and the body is
/// the data, whatever its content type; and `application/json`, where an array is a batch, and a `specversion` makes an
/// object a CloudEvent. Data may be nested 100 levels deep.
#[utoipa::path(
    post,
    path = "/api/v1/events",
    operation_id = "submit_events",
    tag = "events",
    params(Headers),
    request_body(
        content(
            (Option<Submitted> = "application/json"),
            (Option<CloudEvent> = "application/cloudevents+json"),
            (Option<CloudEventBatch> = "application/cloudevents-batch+json"),
            (Option<serde_json::Value> = "*/*"),
        ),
        description = "An event or a batch; in binary mode the data, whatever it is, and no body is no data",
    ),
    responses(
        (
            status = 202,
            description = "All of it is in the ledger",
            body = Taken,
            headers(("location" = Option<String>, description = "Where the record is shown, for one event")),
        ),
        (status = 207, description = "Some events of the batch are in the ledger, the others are not", body = Outcome),
        OfASubmission,
    ),
)]
pub(super) async fn submit(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    if state.pool.is_draining() {
        return Err(SubmitError::Draining.into());
    }
    let body = body::read(&request, body, state.config.body_limit).await?;
    let content_type = request.headers().get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mut submission = decode(content_type.as_deref(), headers, body, Limits { batch: state.config.batch_limit })?;
    join_trace(&request, &mut submission);
    match submission {
        Submission::One(event) => one(&state, event).await,
        Submission::Batch(members) => batch(&state, members).await,
    }
}

/// Events that name no trace belong to the trace of their request, if that names one.
fn join_trace(request: &HttpRequest, submission: &mut Submission) {
    let values = |name| request.headers().get_all(name).map(HeaderValue::as_bytes);
    let Some(trace) = TraceContext::of_headers(values("traceparent"), values("tracestate")) else { return };
    match submission {
        Submission::One(event) => trace.join(event),
        Submission::Batch(members) => members.iter_mut().flatten().for_each(|event| trace.join(event)),
    }
}

async fn one(state: &State, event: NewEvent) -> Answer {
    let accepted = state.intake.submit_one(event).await?;
    let location = format!("/api/v1/events/{}", accepted.id);
    Ok(HttpResponse::Accepted().insert_header((LOCATION, location)).json(Taken::One(accepted)))
}

/// What was taken: one event, or a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Taken {
    One(Accepted),
    Batch(Outcome),
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchOutcome)]
pub(super) struct Outcome {
    /// How many are in the ledger now.
    accepted: usize,
    /// How many were there before.
    duplicates: usize,
    /// How many were refused.
    invalid: usize,
    /// What became of each, in the order in which they were sent.
    results: Vec<Member>,
}

/// What became of one event of a batch.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchResult)]
#[serde(untagged)]
enum Member {
    /// It is in the ledger.
    Accepted(Accepted),
    /// It was refused.
    Invalid {
        /// Why.
        #[schema(value_type = MemberProblem)]
        error: Value,
    },
}

impl Outcome {
    fn of(members: impl Iterator<Item = Result<Accepted, Problem>>) -> Self {
        let mut outcome = Self { accepted: 0, duplicates: 0, invalid: 0, results: Vec::new() };
        for member in members {
            outcome.results.push(match member {
                Ok(accepted) => {
                    let count = if accepted.duplicate { &mut outcome.duplicates } else { &mut outcome.accepted };
                    *count += 1;
                    Member::Accepted(accepted)
                }
                Err(problem) => {
                    outcome.invalid += 1;
                    Member::Invalid { error: problem.to_value() }
                }
            });
        }
        outcome
    }
}

async fn batch(state: &State, members: Vec<Result<NewEvent, DecodeError>>) -> Answer {
    let (mut events, mut errors) = (Vec::with_capacity(members.len()), Vec::with_capacity(members.len()));
    for member in members {
        match member {
            Ok(event) => {
                events.push(event);
                errors.push(None);
            }
            Err(error) => errors.push(Some(error)),
        }
    }
    // One call, so one commit: all that is valid is taken, or nothing.
    let taken = if events.is_empty() { Vec::new() } else { state.intake.submit(events).await? };
    let mut taken = taken.into_iter();
    let outcome = Outcome::of(errors.into_iter().filter_map(|error| match error {
        Some(error) => Some(Err(error.into())),
        None => taken.next().map(|result| result.map_err(Into::into)),
    }));
    if outcome.accepted + outcome.duplicates == 0 {
        return Err(none(outcome));
    }
    Ok(match outcome.invalid {
        0 => HttpResponse::Accepted().json(Taken::Batch(outcome)),
        _ => HttpResponse::MultiStatus().json(outcome),
    })
}

fn none(outcome: Outcome) -> Problem {
    let detail = format!("none of the {} events is valid", outcome.invalid);
    let problem = Problem::new(Code::NoEventAccepted, detail).with("accepted", 0).with("duplicates", 0);
    // Texts and numbers only: they cannot fail to be JSON.
    let results = serde_json::to_value(outcome.results).unwrap_or_default();
    problem.with("invalid", outcome.invalid).with("results", results)
}
