//! `/docs`: a viewer of the contract, from files that are in this program.
//!
//! Nothing may be fetched from another host: the viewer's badge of an outside validator is off, and the page says so to
//! the browser, too.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::Config;

use super::Answer;
use super::openapi::{OfAFile, OfATextOfOurs};
use super::problem::{Code, Problem};

static VIEWER: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("/openapi.json").validator_url("none").use_base_layout();
    Arc::new(config.doc_expansion("list").display_operation_id(true).default_models_expand_depth(0))
});

/// The viewer styles what it shows from within its script, and has its pictures in its style sheet.
const ONLY_OURS: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

/// Leads to `/docs/`: what the viewer loads is beside it.
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "find_docs",
    tag = "pages",
    responses((status = 308, description = "It is at `/docs/`", headers(("location" = String)))),
)]
pub(super) async fn entrance() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

/// The contract of this server, for people.
#[utoipa::path(
    get,
    path = "/docs/",
    operation_id = "get_docs",
    tag = "pages",
    responses(
        (
            status = 200,
            description = "A page for people",
            body = String,
            content_type = "text/html",
            headers(("content-security-policy" = String), ("cache-control" = String)),
        ),
        OfATextOfOurs,
    ),
)]
pub(super) async fn index() -> Answer {
    served("index.html")
}

/// A file of the viewer.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    operation_id = "get_docs_file",
    tag = "pages",
    params(("file" = String, Path, description = "Its name")),
    responses(
        (
            status = 200,
            description = "The file",
            content((String = "text/html"), (String = "text/css"), (String = "text/javascript"), (String = "image/png")),
            headers(("content-security-policy" = String), ("cache-control" = String)),
        ),
        OfAFile,
    ),
)]
pub(super) async fn file(request: HttpRequest) -> Answer {
    served(request.match_info().query("file"))
}

fn served(name: &str) -> Answer {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&VIEWER))
        .map_err(|error| Problem::new(Code::Internal, "the file could not be read").caused_by(error))?
        .ok_or_else(|| Problem::not_found("file", name))?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, file.content_type)).insert_header((CONTENT_SECURITY_POLICY, ONLY_OURS));
    // A day: they change only with the program.
    Ok(answer.insert_header((CACHE_CONTROL, "max-age=86400")).body(file.bytes.into_owned()))
}
