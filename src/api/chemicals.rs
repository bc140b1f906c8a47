//! Chemicals: where each compound stands, and how it came there, as the handler `chemical_status` keeps it.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use super::openapi::{OfAChemical, OfAList};
use super::parameters::{query, text};
use super::problem::{Code, Problem};
use super::query::Parameters;
use super::{Answer, State, cursor, page, path};
use crate::persist::{Chemical, PastChange};

/// No more of a history is shown.
const LONGEST: usize = 1_000;

/// A compound with its history.
#[derive(Serialize, ToSchema)]
#[schema(as = ChemicalWithHistory)]
struct View {
    #[serde(flatten)]
    chemical: Chemical,
    /// Its changes, oldest first; of more than 1,000 the newest.
    history: Vec<PastChange>,
    /// Whether there are older changes, which are not shown.
    history_truncated: bool,
}

/// A page of compounds.
#[derive(Serialize, ToSchema)]
#[schema(as = ChemicalPage)]
struct Items {
    /// The compounds, by CAS number as a text.
    items: Vec<Chemical>,
    /// Where the next page begins; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What a list may be asked for.
struct Asked;

impl IntoParams for Asked {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = vec![query("status", text(), "Where it stands")];
        parameters.extend(page::place());
        parameters
    }
}

/// Shows where a compound stands, and how it came there.
#[utoipa::path(
    get,
    path = "/api/v1/chemicals/{cas}",
    operation_id = "get_chemical",
    tag = "chemicals",
    params(("cas" = String, Path, description = "Its CAS number, such as 58-08-2", min_length = 1)),
    responses((status = 200, description = "The compound with its history", body = View), OfAChemical),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Answer {
    Parameters::parse(request.query_string(), &[])?;
    let (cas, reads) = (path::id(&request)?, state.reads());
    let chemical = reads.chemical(&cas).await?.ok_or_else(|| missing(&cas))?;
    // One more than is shown, to know whether there are more.
    let mut history = reads.chemical_history(&cas, LONGEST as u64 + 1).await?;
    let older = history.len().saturating_sub(LONGEST);
    history.drain(..older);
    Ok(HttpResponse::Ok().json(View { chemical, history, history_truncated: older > 0 }))
}

/// Lists compounds, by CAS number as a text.
#[utoipa::path(
    get,
    path = "/api/v1/chemicals",
    operation_id = "list_chemicals",
    tag = "chemicals",
    params(Asked),
    responses((status = 200, description = "A page of them", body = Items), OfAList),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let parameters = Parameters::parse(request.query_string(), &["status", "limit", "cursor"])?;
    let limit = page::limit(&parameters)?;
    let after = parameters.get("cursor").map(|text| {
        cursor::decode_text(text).ok_or_else(|| Problem::new(Code::BadCursor, format!("`{text}` is no cursor")))
    });
    let after = after.transpose()?;
    // One more than is shown, to know whether there is a next page.
    let mut items = state.reads().chemicals(parameters.get("status"), after.as_deref(), limit + 1).await?;
    let more = items.len() as u64 > limit;
    if more {
        items.pop();
    }
    let next_cursor = items.last().filter(|_| more).map(|last| cursor::encode_text(&last.cas));
    Ok(HttpResponse::Ok().json(Items { items, next_cursor }))
}

fn missing(cas: &str) -> Problem {
    Problem::not_found("chemical", cas).hint(
        "A compound is known by its CAS number, such as 58-08-2, once a handler of kind `chemical_status` has handled \
         a change of its status.",
    )
}
