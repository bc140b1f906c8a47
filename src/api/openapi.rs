//! `/openapi.json`: the contract for programs, put together from what stands beside the code that answers.
//!
//! Nothing is described here but what all operations have in common: an operation is described at its function, a
//! shape at its type, a refusal in the table of codes. The tests hold every answer of theirs against this document.

mod refusals;

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, Ref, RefOr, Schema};
use utoipa::{Modify, OpenApi};

pub(super) use refusals::{
    MemberProblem, OfACancellation, OfAChemical, OfADiscard, OfAFile, OfALedgerRead, OfAList, OfAName, OfAPause,
    OfARecord, OfARedrive, OfAResubmission, OfASubmission, OfATest, OfATextOfOurs, OfATurn, OfAnExport, OfAnOperation,
    OfMany, OfOneOperation,
};

use super::problem::{Code, Document};
use super::{
    actors, alerts, audit, chemicals, dead_letters, docs, events, export, groups, handlers, health, metrics, nodes,
    operations, pages, resubmission, schemas, stats, submission,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Evenkeel",
        description = "An actor-based event processing engine: an accepted event is never lost and always reaches a \
                       final status.\n\n\
                       Refusals are problem documents (RFC 9457) with a `code` that never changes its meaning. Beside \
                       the ones of each operation, any path may answer `405` with `method_not_allowed`, a path that \
                       is not here answers `404` with `unknown_path`, what a web page of another origin asks for, or asks \
                       under a name that is not the server's, answers `403` with `foreign_origin` or `unknown_host`, \
                       and what is refused before a path is looked at \
                       answers `400` with `bad_request`: see the responses among the components. (What is no request \
                       at all gets a bare `400`, and one whose head takes too long a bare `408`.) Every path that \
                       takes GET takes HEAD. Every answer has an `x-request-id`: the request's own, if it is one of up to 128 \
                       letters, digits and `-_.:/+=@`.\n\n\
                       The dashboard at `/` is for people, and not described here.\n\n\
                       Times are RFC 3339, in UTC. Members may be added to answers; those that are here stay.",
        license(name = "MIT", identifier = "MIT")
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "events", description = "Submitting events, and what became of them"),
        (name = "dead letters", description = "What was given up, and events without a handler"),
        (name = "operations", description = "What is done to any number of dead letters, and who did what"),
        (name = "chemicals", description = "What the handler `chemical_status` keeps"),
        (name = "handlers", description = "How handlers fare, pausing and restarting them"),
        (name = "state", description = "The engine in numbers: actors, counts, metrics, health"),
        (name = "pages", description = "For people: where things are, and what a refusal means"),
    ),
    paths(
        submission::submit,
        events::list,
        export::export,
        events::get,
        events::cancel,
        resubmission::resubmit,
        dead_letters::list,
        dead_letters::redrive,
        dead_letters::discard,
        dead_letters::redrive_all,
        dead_letters::discard_all,
        groups::list,
        operations::begin,
        operations::list,
        operations::get,
        operations::pause,
        operations::resume,
        operations::cancel,
        audit::list,
        chemicals::list,
        chemicals::get,
        handlers::list,
        handlers::pause,
        handlers::resume,
        handlers::restart,
        schemas::list,
        actors::tree,
        nodes::list,
        alerts::list,
        alerts::test,
        stats::stats,
        metrics::text,
        health::live,
        health::ready,
        document,
        docs::entrance,
        docs::index,
        docs::file,
        pages::problem,
    ),
    components(schemas(Document, Code)),
    modifiers(&Common),
)]
struct Api;

/// What every operation has, and what no operation has by itself.
struct Common;

impl Modify for Common {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        components.headers.insert("RequestId".to_owned(), refusals::request_id().into());
        for code in
            [Code::BadRequest, Code::ForeignOrigin, Code::UnknownHost, Code::UnknownPath, Code::MethodNotAllowed]
        {
            components.responses.insert(code.as_str().to_owned(), refusals::response(&[code]).into());
        }
        let mut operations: Vec<&mut Operation> =
            api.paths.paths.values_mut().flat_map(|item| [&mut item.get, &mut item.post]).flatten().collect();
        operations.iter_mut().for_each(|operation| say_what_is_optional(operation));
        let responses = operations.into_iter().flat_map(|operation| operation.responses.responses.values_mut());
        for response in responses.chain(components.responses.values_mut()) {
            if let RefOr::T(response) = response {
                let header = RefOr::Ref(Ref::new("#/components/headers/RequestId"));
                response.headers.insert("x-request-id".to_owned(), header);
            }
        }
    }
}

/// A body may be left out, and still is not `null` then: utoipa says both of an `Option`.
fn say_what_is_optional(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        let RefOr::T(Content { schema: Some(schema), .. }) = content else { continue };
        let RefOr::T(Schema::OneOf(forms)) = schema else { continue };
        if let Some(form) = forms.items.iter().find(|form| matches!(form, RefOr::Ref(_))) {
            *schema = form.clone();
        }
    }
}

/// The document, and the tag that changes with it.
struct Rendered {
    text: String,
    tag: String,
}

static RENDERED: LazyLock<Rendered> = LazyLock::new(|| {
    // Texts and numbers only: they cannot fail to be JSON.
    let text = Api::openapi().to_json().unwrap_or_default();
    let tag = Sha256::digest(&text).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
    Rendered { tag: format!("\"{tag}\""), text }
});

/// The document.
pub(super) fn text() -> &'static str {
    &RENDERED.text
}

/// The contract of this server, for programs.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "pages",
    params(("if-none-match" = Option<String>, Header, description = "The `etag` of the document that is known")),
    responses(
        (
            status = 200,
            description = "The contract of this server, as OpenAPI 3.1",
            content_type = "application/json",
            body = serde_json::Value,
            headers(("etag" = String, description = "Changes with the document"), ("cache-control" = String)),
        ),
        (status = 304, description = "It is the one that is known", headers(("etag" = String), ("cache-control" = String))),
    ),
)]
pub(super) async fn document(request: HttpRequest) -> HttpResponse {
    let tag = &RENDERED.tag;
    let known = request.headers().get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((ETAG, tag.as_str())).insert_header((CACHE_CONTROL, "no-cache"));
    if is_known { answer.finish() } else { answer.insert_header((CONTENT_TYPE, "application/json")).body(text()) }
}
