//! Dead letters: the list, and redriving or discarding one or many of them.

use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::events::{asked, standing};
use super::filter::{Filters, confine};
use super::openapi::{OfADiscard, OfAList, OfARedrive, OfMany};
use super::operator::{self, Reason, carry_out};
use super::page::{DeadPage, Items, Page};
use super::parameters::{Asked, OneRecord};
use super::problem::{Code, Problem};
use super::query::Parameters;
use super::{Answer, State, filter};
use crate::dead_letter::{self, Operator};
use crate::persist::{Filter, Record};

#[derive(Serialize, ToSchema)]
struct Redriven {
    /// How many records there were.
    redriven: u64,
}

#[derive(Serialize, ToSchema)]
struct Discarded {
    /// How many records there were.
    discarded: u64,
}

/// Lists dead letters, newest first; events without a handler if `final_status` says so.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    operation_id = "list_dead_letters",
    tag = "dead letters",
    params(DeadPage),
    responses((status = 200, description = "A page of them", body = Items), OfAList),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let mut page = Page::parse(request.query_string())?;
    confine(&mut page.filter, Code::BadParameter)?;
    page.answer(state.reads()).await
}

/// Starts a new round for a dead letter, or for an event that had no handler.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/{id}/redrive",
    operation_id = "redrive_dead_letter",
    tag = "dead letters",
    params(OneRecord, Asked),
    request_body = Option<Reason>,
    responses((status = 202, description = "The record as it stands now", body = Record), OfARedrive),
)]
pub(super) async fn redrive(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (record, operator) = asked(&state, &request, body).await?;
    let pool = state.pool.clone();
    carry_out(async move { dead_letter::redrive(&pool, record, &operator).await }).await?;
    standing(&state, record).await
}

/// Lays a dead letter to rest, or an event that had no handler.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/{id}/discard",
    operation_id = "discard_dead_letter",
    tag = "dead letters",
    params(OneRecord, Asked),
    request_body = Option<Reason>,
    responses((status = 202, description = "The record as it stands now", body = Record), OfADiscard),
)]
pub(super) async fn discard(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (record, operator) = asked(&state, &request, body).await?;
    let pool = state.pool.clone();
    carry_out(async move { dead_letter::discard(&pool, record, &operator).await }).await?;
    standing(&state, record).await
}

/// Starts a new round for all dead letters that match, at most 10,000.
///
/// Events without a handler are meant only if `final_status` says so; those that still have none are left alone.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/redrive",
    operation_id = "redrive_dead_letters",
    tag = "dead letters",
    params(Asked),
    request_body = Filters,
    responses((status = 202, description = "It is done", body = Redriven), OfMany),
)]
pub(super) async fn redrive_all(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (filter, operator) = asked_of_many(&state, &request, body).await?;
    let pool = state.pool.clone();
    let redriven = carry_out(async move { dead_letter::redrive_all(&pool, filter, &operator).await }).await?;
    Ok(HttpResponse::Accepted().json(Redriven { redriven }))
}

/// Lays all dead letters that match to rest, at most 10,000.
///
/// Events without a handler are meant only if `final_status` says so.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/discard",
    operation_id = "discard_dead_letters",
    tag = "dead letters",
    params(Asked),
    request_body = Filters,
    responses((status = 202, description = "It is done", body = Discarded), OfMany),
)]
pub(super) async fn discard_all(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let (filter, operator) = asked_of_many(&state, &request, body).await?;
    let pool = state.pool.clone();
    let discarded = carry_out(async move { dead_letter::discard_all(&pool, filter, &operator).await }).await?;
    Ok(HttpResponse::Accepted().json(Discarded { discarded }))
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
