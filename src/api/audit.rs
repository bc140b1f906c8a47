//! The audit log: who did what, when, to how many, and why.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use super::filter::{moment, moment_or_nothing, text_of_the_ledger};
use super::openapi::OfAList;
use super::parameters::{query, text};
use super::problem::Problem;
use super::query::{Parameters, bad};
use super::{Answer, State, page};
use crate::clock::Timestamp;
use crate::persist::{AuditFilter, AuditLine};

/// A page of the log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditPage)]
struct Items {
    /// The lines, newest first.
    items: Vec<AuditLine>,
    /// Where the next page begins; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What the log may be asked for.
struct Asked;

impl IntoParams for Asked {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let meanings = [
            ("actor", "Who did it"),
            ("action", "What was done"),
            ("target", "To what: the id of a record or of an operation, the name of a handler"),
        ];
        let moments = [
            query("since", moment_or_nothing(), "Done at this moment or later (RFC 3339)"),
            query("until", moment_or_nothing(), "Done before this moment (RFC 3339)"),
        ];
        let texts = meanings.into_iter().map(|(name, meaning)| query(name, text(), meaning));
        texts.chain(moments).chain(page::place()).collect()
    }
}

/// Lists what operators did, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    operation_id = "list_audit",
    tag = "operations",
    params(Asked),
    responses((status = 200, description = "A page of the log", body = Items), OfAList),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let known = ["actor", "action", "target", "since", "until", "limit", "cursor"];
    let parameters = Parameters::parse(request.query_string(), &known)?;
    let (limit, before) = (page::limit(&parameters)?, page::before(&parameters)?);
    let text = |name: &str| {
        let given = parameters.get(name).map(|text| text_of_the_ledger(name, text).map(|()| text.to_owned()));
        given.transpose().map_err(|detail| bad(name, detail))
    };
    let filter = AuditFilter {
        actor: text("actor")?,
        action: text("action")?,
        target: text("target")?,
        since: time(&parameters, "since")?,
        until: time(&parameters, "until")?,
    };
    // One more than is shown, to know whether there is a next page.
    let mut items = state.reads().audit(&filter, before, limit + 1).await?;
    let next_cursor = page::cut(&mut items, limit, |line| line.id);
    Ok(HttpResponse::Ok().json(Items { items, next_cursor }))
}

fn time(parameters: &Parameters, name: &str) -> Result<Option<Timestamp>, Problem> {
    let given = parameters.get(name).map(|text| moment(name, text));
    given.transpose().map_err(|detail| bad(name, detail))
}
