//! A refusal as a page: who asked for a page gets one, with the way on.

use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{Frame, html_answer};
use crate::api::State;
use crate::api::problem::Problem;

#[derive(Template)]
#[template(path = "admin/refusal.html")]
struct Refusal<'a> {
    frame: Frame,
    problem: &'a Problem,
    request_id: &'a str,
}

/// The page, if the request was for one: else a problem document is the answer.
pub(crate) async fn refused(
    state: &State,
    request: &HttpRequest,
    problem: &Problem,
    request_id: &str,
) -> Option<HttpResponse> {
    if !wants_a_page(request) {
        return None;
    }
    let frame = Frame::of(state, request, problem.code().title()).await;
    let html = Refusal { frame, problem, request_id }.render().ok()?;
    let document = problem.answer(request, request_id);
    let mut answer = html_answer(HttpResponse::build(document.status()));
    for (name, value) in document.headers().iter().filter(|(name, _)| *name != CONTENT_TYPE) {
        answer.insert_header((name, value));
    }
    Some(answer.body(html))
}

/// A page of ours, or a path that nobody knows, in a browser.
fn wants_a_page(request: &HttpRequest) -> bool {
    let accepts_html = || {
        let accepted = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        accepted.contains("text/html")
    };
    match request.match_pattern() {
        Some(pattern) => accepts_html() && super::routes().iter().any(|at| at.path == pattern),
        None => accepts_html(),
    }
}
