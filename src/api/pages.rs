//! What a refusal means, for people. All other pages are the dashboard's.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;

use super::openapi::OfAName;
use super::problem::{Code, Problem};
use super::{Answer, State};
use crate::admin::{self, Frame};

#[derive(Template)]
#[template(path = "admin/problem.html")]
struct Explained {
    frame: Frame,
    code: Code,
}

/// Explains a code of a refusal.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    operation_id = "get_problem",
    tag = "pages",
    params(("code" = Code, Path, description = "The code")),
    responses(
        (
            status = 200,
            description = "A page for people",
            body = String,
            content_type = "text/html; charset=utf-8",
            headers(
                ("cache-control" = String),
                ("content-security-policy" = String),
                ("referrer-policy" = String),
                ("x-content-type-options" = String),
            ),
        ),
        OfAName,
    ),
)]
pub(super) async fn problem(state: Data<State>, request: HttpRequest) -> Answer {
    let word = request.match_info().query("code");
    let code = Code::from_word(word).ok_or_else(|| Problem::not_found("problem", word))?;
    admin::page(&Explained { frame: Frame::of(&state, &request, code.title()).await, code })
}
