//! Chemicals: where a compound stands, and how it came there, as the handler `chemical_status` keeps it.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::problem::Problem;
use super::query::Parameters;
use super::{Answer, State, path};

/// `GET /api/v1/chemicals/{cas}`
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Answer {
    Parameters::parse(request.query_string(), &[])?;
    let cas = path::id(&request)?;
    let chemical = state.reads().chemical(&cas).await?.ok_or_else(|| missing(&cas))?;
    Ok(HttpResponse::Ok().json(chemical))
}

fn missing(cas: &str) -> Problem {
    Problem::not_found("chemical", cas).hint(
        "A compound is known by its CAS number, such as 58-08-2, once a handler of kind `chemical_status` has handled a \
         change of its status.",
    )
}
