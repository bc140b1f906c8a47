//! Operations on any number of dead letters: begun here, worked on in the background, and looked after here.

mod asked;

use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::filter::{OperationAsked, word};
use super::openapi::{OfAList, OfATurn, OfAnOperation, OfOneOperation};
use super::operator::{self, Reason, carry_out};
use super::parameters::{Asked, query};
use super::problem::Problem;
use super::query::{Parameters, bad};
use super::{Answer, State, page, path};
use crate::dead_letter;
use crate::lifecycle::{OperationState, OperationVerb};
use crate::persist::{OperationFailure, OperationRecord};
pub(crate) use asked::{ACTIONS, MOST_A_SECOND};

/// An operation with what it could not change.
#[derive(Serialize, ToSchema)]
#[schema(as = OperationWithFailures)]
struct View {
    #[serde(flatten)]
    operation: OperationRecord,
    /// The records that could not be changed, the first 100 of them.
    failures: Vec<OperationFailure>,
}

/// A page of operations.
#[derive(Serialize, ToSchema)]
#[schema(as = OperationPage)]
struct Items {
    /// The operations, newest first.
    items: Vec<OperationRecord>,
    /// Where the next page begins; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What an operation would be about.
#[derive(Serialize, ToSchema)]
struct DryRun {
    /// How many records match.
    matched: u64,
    /// Whether that is all of them; else there are so many at least.
    matched_is_exact: bool,
}

/// What the list may be asked for.
struct Which;

impl IntoParams for Which {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        // An empty parameter counts as absent.
        let words = OperationState::ALL.iter().map(|state| state.as_str()).chain([""]);
        let state = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build();
        [query("state", state, "Where it stands")].into_iter().chain(page::place()).collect()
    }
}

/// Which operation.
struct One;

impl IntoParams for One {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![super::parameters::path("id", "The id of the operation")]
    }
}

/// Begins to redrive or discard all dead letters that match, any number of them, in the background.
///
/// It is about what is dead at its beginning. What somebody else changes first is counted as skipped. It goes on through
/// restarts until it is done, paused or cancelled.
#[utoipa::path(
    post,
    path = "/api/v1/operations",
    operation_id = "begin_operation",
    tag = "operations",
    params(Asked),
    request_body = OperationAsked,
    responses(
        (status = 202, description = "The operation has begun", body = OperationRecord),
        (status = 200, description = "How many it would be about; nothing has begun", body = DryRun),
        OfAnOperation
    ),
)]
pub(super) async fn begin(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let parameters = Parameters::parse(request.query_string(), &["reason"])?;
    let object = operator::object(&request, body, state.config.body_limit).await?;
    let asked = asked::read(object)?;
    if asked.dry_run {
        let matched =
            dead_letter::would_be_about(&state.pool, &asked.for_all.filter, dead_letter::MOST_COUNTED).await?;
        let answer = DryRun { matched: matched.count, matched_is_exact: matched.is_exact };
        return Ok(HttpResponse::Ok().json(answer));
    }
    let operator = operator::with(&request, asked.reason.as_deref().or_else(|| parameters.get("reason")));
    let pool = state.pool.clone();
    let begun = carry_out(async move { dead_letter::begin(&pool, asked.for_all, &operator).await }).await?;
    Ok(HttpResponse::Accepted().json(begun))
}

/// Lists operations, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/operations",
    operation_id = "list_operations",
    tag = "operations",
    params(Which),
    responses((status = 200, description = "A page of them", body = Items), OfAList),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let parameters = Parameters::parse(request.query_string(), &["state", "limit", "cursor"])?;
    let (limit, before) = (page::limit(&parameters)?, page::before(&parameters)?);
    let wanted = parameters.get("state").map(|text| word("state", text, OperationState::ALL, OperationState::as_str));
    let wanted = wanted.transpose().map_err(|detail| bad("state", detail))?;
    // One more than is shown, to know whether there is a next page.
    let mut items = state.reads().operations(wanted, before, limit + 1).await?;
    let next_cursor = page::cut(&mut items, limit, |operation| operation.id);
    Ok(HttpResponse::Ok().json(Items { items, next_cursor }))
}

/// Shows how far an operation has come, and what it could not change.
#[utoipa::path(
    get,
    path = "/api/v1/operations/{id}",
    operation_id = "get_operation",
    tag = "operations",
    params(One),
    responses((status = 200, description = "The operation", body = View), OfOneOperation),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Answer {
    Parameters::parse(request.query_string(), &[])?;
    let id = named(&path::id(&request)?)?;
    let operation = state.reads().operation(id).await?.ok_or_else(|| missing(&id.to_string()))?;
    let failures = state.reads().operation_failures(id).await?;
    Ok(HttpResponse::Ok().json(View { operation, failures }))
}

/// Lets an operation wait.
#[utoipa::path(
    post,
    path = "/api/v1/operations/{id}/pause",
    operation_id = "pause_operation",
    tag = "operations",
    params(One, Asked),
    request_body = Option<Reason>,
    responses((status = 200, description = "The operation as it stands now", body = OperationRecord), OfATurn),
)]
pub(super) async fn pause(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    turn(&state, &request, body, OperationVerb::Pause).await
}

/// Lets an operation go on.
#[utoipa::path(
    post,
    path = "/api/v1/operations/{id}/resume",
    operation_id = "resume_operation",
    tag = "operations",
    params(One, Asked),
    request_body = Option<Reason>,
    responses((status = 200, description = "The operation as it stands now", body = OperationRecord), OfATurn),
)]
pub(super) async fn resume(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    turn(&state, &request, body, OperationVerb::Resume).await
}

/// Ends an operation; what it has changed stays changed.
#[utoipa::path(
    post,
    path = "/api/v1/operations/{id}/cancel",
    operation_id = "cancel_operation",
    tag = "operations",
    params(One, Asked),
    request_body = Option<Reason>,
    responses((status = 200, description = "The operation as it stands now", body = OperationRecord), OfATurn),
)]
pub(super) async fn cancel(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    turn(&state, &request, body, OperationVerb::Cancel).await
}

async fn turn(state: &State, request: &HttpRequest, body: Body, verb: OperationVerb) -> Answer {
    let parameters = Parameters::parse(request.query_string(), &["reason"])?;
    let id = named(&path::id_before_verb(request)?)?;
    let members = operator::members(request, body, state.config.body_limit, &["reason"]).await?;
    let operator = operator::of(request, &parameters, &members);
    let pool = state.pool.clone();
    let operation = carry_out(async move { dead_letter::turn(&pool, id, verb, &operator).await }).await?;
    Ok(HttpResponse::Ok().json(operation))
}

fn named(id: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(id).map_err(|_| missing(id))
}

fn missing(id: &str) -> Problem {
    Problem::not_found("operation", id).hint("`GET /api/v1/operations` lists them.")
}
