//! Alerts: the incidents of this node, and a test of the way to the webhook.

use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::OfATest;
use super::operator::{self, Reason, carry_out};
use super::parameters::Asked;
use super::query::Parameters;
use super::{Answer, State};
use crate::alert::View;

/// The incidents.
#[derive(Serialize, ToSchema)]
struct Alerts {
    /// Newest first: all that go on, and the last that are over; a hundred of each and some that sum up others.
    items: Vec<View>,
    /// How the webhook fares; `null` if there is none, and alerts are in the log only.
    #[schema(required)]
    webhook: Option<Webhook>,
}

/// How the webhook fares.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertWebhook)]
struct Webhook {
    /// How many incidents wait to be posted.
    waiting: usize,
    /// Why the last try failed, if it did.
    #[schema(required)]
    last_error: Option<String>,
}

/// What became of a test.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertTest)]
struct Tested {
    webhook: Outcome,
    /// Why it failed, if it did.
    #[schema(required)]
    error: Option<String>,
}

/// What the webhook did.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertTestOutcome)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It took the test.
    Delivered,
    /// It did not.
    Failed,
    /// There is none: the test is in the log only.
    NotConfigured,
}

/// Lists the incidents that this node has alerted operators of, also while the ledger is away.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    operation_id = "list_alerts",
    tag = "state",
    responses((status = 200, description = "The incidents", body = Alerts)),
)]
pub(super) async fn list(state: Data<State>) -> Answer {
    let alerts = &state.pool.alerts;
    let webhook = alerts.posting().map(|posting| Webhook { waiting: posting.waiting, last_error: posting.last_error });
    Ok(HttpResponse::Ok().json(Alerts { items: alerts.incidents(), webhook }))
}

/// Sends a test to wherever alerts go: the log, and the webhook if there is one. Says what became of it.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/test",
    operation_id = "test_alerts",
    tag = "operations",
    params(Asked),
    request_body = Option<Reason>,
    responses((status = 200, description = "What became of it", body = Tested), OfATest),
)]
pub(super) async fn test(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let parameters = Parameters::parse(request.query_string(), &["reason"])?;
    let members = operator::members(&request, body, state.config.body_limit, &["reason"]).await?;
    let operator = operator::of(&request, &parameters, &members);
    let pool = state.pool.clone();
    let tested = carry_out(async move { pool.test_alerts(&operator).await }).await?;
    let (webhook, error) = match tested {
        Ok(true) => (Outcome::Delivered, None),
        Ok(false) => (Outcome::NotConfigured, None),
        Err(error) => (Outcome::Failed, Some(error.to_string())),
    };
    Ok(HttpResponse::Ok().json(Tested { webhook, error }))
}
