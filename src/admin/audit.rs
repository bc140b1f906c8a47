//! The audit log, for people: who did what, when, to how many, and why.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use uuid::Uuid;

use super::dead_letters::address;
use super::{Frame, page as answer};
use crate::api::query::Parameters;
use crate::api::{Answer, State, page};
use crate::persist::{AuditFilter, AuditLine};

/// So many lines are on a page.
const MOST: u64 = 100;

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct Log {
    frame: Frame,
    lines: Vec<AuditLine>,
    filter: AuditFilter,
    first: String,
    next: String,
}

/// Shows the newest lines that match.
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Audit log").await;
    let names = ["actor", "action", "target"];
    let parameters = Parameters::parse(&frame.query, &["actor", "action", "target", "cursor"])?;
    let text = |name: &str| parameters.get(name).map(str::to_owned);
    let filter =
        AuditFilter { actor: text("actor"), action: text("action"), target: text("target"), ..AuditFilter::default() };
    let mut lines = state.reads().audit(&filter, page::before(&parameters)?, MOST + 1).await?;
    let next = page::cut(&mut lines, MOST, |line| line.id);
    let given: Vec<(&str, &str)> = parameters.pairs().filter(|(name, _)| names.contains(name)).collect();
    let with = |more: &[(&str, &str)]| address("/audit", given.iter().chain(more).copied());
    let next = next.map(|cursor| with(&[("cursor", &cursor)]));
    let first = parameters.get("cursor").map(|_| with(&[]));
    answer(&Log { frame, lines, filter, first: first.unwrap_or_default(), next: next.unwrap_or_default() })
}

impl Log {
    /// The page that shows what a line is about, or nothing.
    fn page_of(&self, line: &AuditLine) -> String {
        let is_operation = line.action.ends_with("_operation") || line.action.starts_with("begin_");
        match Uuid::parse_str(&line.target) {
            Ok(id) if is_operation => format!("/operations/{id}"),
            Ok(id) => format!("/events/{id}"),
            Err(_) => String::new(),
        }
    }
}
