//! Dead letters: the list, and redriving or discarding one or many of them.

use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::events::{asked, standing};
use super::operator::{self, carry_out};
use super::page::Page;
use super::problem::{Code, Problem};
use super::query::Parameters;
use super::{Answer, State, filter};
use crate::dead_letter::{self, Operator};
use crate::event::Violation;
use crate::lifecycle::FinalStatus;
use crate::persist::Filter;

/// `GET /api/v1/dead-letters`
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let mut page = Page::parse(request.query_string())?;
    confine(&mut page.filter, Code::BadParameter)?;
    page.answer(state.reads()).await
}

/// `POST /api/v1/dead-letters/{id}/redrive`
pub(super) async fn redrive(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (record, operator) = asked(&state, &request, body).await?;
    let pool = state.pool.clone();
    carry_out(async move { dead_letter::redrive(&pool, record, &operator).await }).await?;
    standing(&state, record).await
}

/// `POST /api/v1/dead-letters/{id}/discard`
pub(super) async fn discard(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (record, operator) = asked(&state, &request, body).await?;
    let pool = state.pool.clone();
    carry_out(async move { dead_letter::discard(&pool, record, &operator).await }).await?;
    standing(&state, record).await
}

/// `POST /api/v1/dead-letters/redrive`
pub(super) async fn redrive_all(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (filter, operator) = asked_of_many(&state, &request, body).await?;
    let pool = state.pool.clone();
    let redriven = carry_out(async move { dead_letter::redrive_all(&pool, filter, &operator).await }).await?;
    Ok(HttpResponse::Accepted().json(json!({ "redriven": redriven })))
}

/// `POST /api/v1/dead-letters/discard`
pub(super) async fn discard_all(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (filter, operator) = asked_of_many(&state, &request, body).await?;
    let pool = state.pool.clone();
    let discarded = carry_out(async move { dead_letter::discard_all(&pool, filter, &operator).await }).await?;
    Ok(HttpResponse::Accepted().json(json!({ "discarded": discarded })))
}

/// Which records are meant, who asks, and why. The filter stands in the body only: one in the query that was
/// overlooked would mean all of them.
async fn asked_of_many(state: &State, request: &HttpRequest, body: Body) -> Result<(Filter, Operator), Problem> {
    let parameters = Parameters::parse(request.query_string(), &["reason"])?;
    let known: Vec<&str> = filter::NAMES.into_iter().chain(["reason"]).collect();
    let members = operator::members(request, body, state.config.body_limit, &known).await?;
    let operator = operator::of(request, &parameters, &members);
    let members = members.ok_or_else(|| Problem::new(Code::MissingBody, "which dead letters are meant is not said"))?;
    let pairs = members.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut filter = filter::read(pairs).map_err(|wrong| Problem::of(Code::BadBody, wrong))?;
    confine(&mut filter, Code::BadBody)?;
    Ok((filter, operator))
}

/// Dead letters; events without a handler only if they are asked for.
fn confine(filter: &mut Filter, code: Code) -> Result<(), Problem> {
    match filter.final_status.get_or_insert(FinalStatus::DeadLetter) {
        FinalStatus::DeadLetter | FinalStatus::NoHandler => Ok(()),
        other => {
            let detail = format!("`final_status` is `DEAD_LETTER` or `NO_HANDLER` here, not `{other}`");
            Err(Problem::of(code, vec![Violation::new("final_status", "bad_value", detail)]))
        }
    }
}
