//! The first page: how the whole stands, why, and what happened lately. Each number leads to the list behind it.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use tokio::time::timeout;

use super::alerts::{self, Alert};
use super::health::Health;
use super::history::{Drawing, RANGES, Range, drawings};
use super::standing::Standing;
use super::{Frame, page as answer};
use crate::api::query::Parameters;
use crate::api::{Answer, State};
use crate::persist::{Filter, Record};

/// How long the ledger may think before the page is shown without what only it knows.
const PATIENCE: Duration = Duration::from_millis(500);

/// So many of the newest events are shown.
const NEWEST: u64 = 8;

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct Overview {
    frame: Frame,
    standing: Standing,
    alerts: Vec<Alert>,
    /// How many more there are.
    more_alerts: usize,
    range: Range,
    /// None while the ledger is away.
    drawings: Option<[Drawing; 2]>,
    newest: Option<Vec<Record>>,
}

/// A number with where it leads: its name in the stream, its label, and the list behind it.
type Figure = (&'static str, &'static str, &'static str);

impl Overview {
    fn health(&self) -> &Health {
        &self.standing.health
    }

    fn figures(&self) -> [Figure; 12] {
        [
            ("accepted_rate", "Accepted / s", "/events"),
            ("finished_rate", "Finished / s", "/events?status=SUCCESS"),
            ("failed_rate", "Failed / s", "/dead-letters"),
            ("pending", "Pending", "/events?status=PENDING"),
            ("oldest", "Oldest pending", "/events?status=PENDING"),
            ("in_flight", "In flight", "/events?status=PROCESSING"),
            ("retries", "Retries scheduled", "/events?status=RETRY_SCHEDULED"),
            ("dead_letters", "Dead letters", "/dead-letters"),
            ("succeeded", "Succeeded", "/events?status=SUCCESS"),
            ("p50", "To the end, p50", "/handlers"),
            ("p95", "To the end, p95", "/handlers"),
            ("p99", "To the end, p99", "/handlers"),
        ]
    }

    fn ranges(&self) -> [Range; 4] {
        RANGES
    }
}

/// Shows how the whole stands.
pub(super) async fn page(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Overview").await;
    let range = Range::named(Parameters::parse(&frame.query, &["range"])?.get("range"));
    let standing = Standing::of(&state).await;
    let drawings = timeout(PATIENCE, drawings(&state, range)).await.ok().and_then(Result::ok);
    let nothing = Filter::default();
    let newest = timeout(PATIENCE, state.reads().list(&nothing, None, NEWEST)).await.ok().and_then(Result::ok);
    let (alerts, more_alerts) = alerts::open(&state);
    answer(&Overview { frame, standing, alerts, more_alerts, range, drawings, newest })
}
