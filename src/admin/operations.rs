//! Operations: the list, and one with its progress, its buttons and what it could not change.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload as Body};
use askama::Template;
use uuid::Uuid;

use super::dead_letters::address;
use super::{Frame, form, page as answer};
use crate::api::operator::{carry_out, of_form};
use crate::api::problem::Problem;
use crate::api::query::Parameters;
use crate::api::{Answer, State, page};
use crate::dead_letter;
use crate::lifecycle::{OperationState, OperationVerb};
use crate::persist::{OperationFailure, OperationRecord};

/// So many are on a page.
const MOST: u64 = 50;

#[derive(Template)]
#[template(path = "admin/operations.html")]
struct List {
    frame: Frame,
    operations: Vec<OperationRecord>,
    first: String,
    next: String,
}

#[derive(Template)]
#[template(path = "admin/operation.html")]
struct One {
    frame: Frame,
    operation: OperationRecord,
    filter: Vec<(String, String)>,
    failures: Vec<OperationFailure>,
    /// Those that had their turn.
    seen: i64,
}

/// Shows the newest of them.
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Operations").await;
    let parameters = Parameters::parse(&frame.query, &["cursor"])?;
    let mut operations = state.reads().operations(None, page::before(&parameters)?, MOST + 1).await?;
    let next = page::cut(&mut operations, MOST, |operation| operation.id);
    let next = next.map(|cursor| address("/operations", [("cursor", cursor.as_str())].into_iter()));
    let first = parameters.get("cursor").map(|_| "/operations".to_owned());
    answer(&List { frame, operations, first: first.unwrap_or_default(), next: next.unwrap_or_default() })
}

/// Shows one of them.
pub(super) async fn one(state: Data<State>, request: HttpRequest) -> Answer {
    let id = named(request.match_info().query("id"))?;
    let operation = state.reads().operation(id).await?.ok_or_else(|| missing(&id.to_string()))?;
    let failures = state.reads().operation_failures(id).await?;
    let frame = Frame::of(&state, &request, format!("Operation: {}", operation.action)).await;
    let pairs = operation.filter.as_object().into_iter().flatten();
    let filter = pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let seen = operation.done + operation.skipped + operation.failed;
    answer(&One { frame, operation, filter, failures, seen })
}

/// Pauses, resumes or cancels one of them.
pub(super) async fn turn(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let id = named(request.match_info().query("id"))?;
    let (verb, notice) = match request.match_info().query("verb") {
        "pause" => (OperationVerb::Pause, "operation-paused"),
        "resume" => (OperationVerb::Resume, "operation-resumed"),
        "cancel" => (OperationVerb::Cancel, "operation-cancelled"),
        other => return Err(missing(other)),
    };
    let fields = form::fields(&state, &request, body, &["reason", "back"]).await?;
    let (pool, operator) = (state.pool.clone(), of_form(&request, &fields));
    carry_out(async move { dead_letter::turn(&pool, id, verb, &operator).await }).await?;
    Ok(form::back(&fields, &format!("/operations/{id}"), Some(notice)))
}

fn named(id: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(id).map_err(|_| missing(id))
}

fn missing(id: &str) -> Problem {
    Problem::not_found("operation", id).hint("The page of operations lists them.")
}

impl One {
    fn runs(&self) -> bool {
        self.operation.state == OperationState::Running
    }

    fn waits(&self) -> bool {
        self.operation.state == OperationState::Paused
    }

    fn share(&self) -> i64 {
        self.operation.progress.map_or(0, percent)
    }
}

/// A share from 0 to 1 in percent.
fn percent(share: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "from 0 to 100")]
    let percent = (share * 100.0) as i64;
    percent
}
