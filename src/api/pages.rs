//! Pages for people: where things are, and what a refusal means.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse};

use super::Answer;
use super::openapi::OfAName;
use super::problem::{Code, Problem};

const INDEX: &str = "<p>An actor-based event processing engine.</p><table>\
<tr><td>POST<td><code>/api/v1/events</code><td>submit an event, or an array of them\
<tr><td>GET<td><a href=/api/v1/events>/api/v1/events</a><td>events, newest first\
<tr><td>GET<td><a href=/api/v1/dead-letters>/api/v1/dead-letters</a><td>what was given up\
<tr><td>GET<td><a href=/api/v1/chemicals>/api/v1/chemicals</a><td>chemicals and where they stand\
<tr><td>GET<td><a href=/api/v1/handlers>/api/v1/handlers</a><td>handlers and how they fare\
<tr><td>GET<td><a href=/api/v1/schemas>/api/v1/schemas</a><td>what data is checked against\
<tr><td>GET<td><a href=/api/v1/actors>/api/v1/actors</a><td>the tree of actors\
<tr><td>GET<td><a href=/api/v1/stats>/api/v1/stats</a><td>counts\
<tr><td>GET<td><a href=/docs/>/docs</a>, <a href=/openapi.json>/openapi.json</a><td>all of it in detail\
<tr><td>GET<td><a href=/metrics>/metrics</a><td>metrics for Prometheus\
<tr><td>GET<td><a href=/livez>/livez</a>, <a href=/readyz>/readyz</a><td>health</table>";

/// Says where things are.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "get_index",
    tag = "pages",
    responses((status = 200, description = "A page for people", body = String, content_type = "text/html; charset=utf-8")),
)]
pub(super) async fn index() -> HttpResponse {
    page("Evenkeel", INDEX)
}

/// Explains a code of a refusal.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    operation_id = "get_problem",
    tag = "pages",
    params(("code" = Code, Path, description = "The code")),
    responses(
        (status = 200, description = "A page for people", body = String, content_type = "text/html; charset=utf-8"),
        OfAName,
    ),
)]
pub(super) async fn problem(request: HttpRequest) -> Answer {
    let word = request.match_info().query("code");
    let code = Code::from_word(word).ok_or_else(|| Problem::not_found("problem", word))?;
    let (status, word, advice) = (code.status().as_u16(), code.as_str(), code.advice());
    // All of it comes from one table in this program; nothing needs to be escaped.
    Ok(page(code.title(), &format!("<p>HTTP {status}, code <code>{word}</code></p><p>{advice}</p>")))
}

fn page(title: &str, body: &str) -> HttpResponse {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>body{{font:1rem/1.5 system-ui;margin:2rem auto;max-width:50rem}}\
         td{{padding:.2rem 1rem .2rem 0}}</style><h1>{title}</h1>{body}\n"
    );
    HttpResponse::Ok().content_type(ContentType::html()).body(html)
}
