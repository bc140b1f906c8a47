//! The dashboard: the operator's window on the engine, for people.
//!
//! It reads through the same reads and calls the same rooms as `api`. No SQL is written here, nothing is decided here,
//! and whatever comes from an event is text: templates escape it, scripts set it as text. Every page can be read without
//! scripts, and what changes something is a plain form: POST, then 303 back with a notice.
//!
//! A page is: a file here with a struct that has a [`Frame`] and derives `Template`, its template in `templates/admin/`
//! that extends `layout.html`, and a line in [`routes`]. A page of the navigation has a line in `frame.rs`, a form's
//! answer one in `notice.rs`. `templates/admin/parts.html` has what pages are made of, each with an example: the status,
//! the moment, the number that lives, the empty state, the links between pages, the question before something is done.
//! Elements with `data-live` follow the stream `/live`, regions with `data-refresh` are loaded again when something
//! has changed; what is in the style sheet is listed at its head.

mod actors;
mod alerts;
mod assets;
mod audit;
mod chart;
mod config;
mod content;
mod curl;
mod dead_letters;
mod edit;
mod event;
mod events;
pub(crate) mod form;
mod frame;
mod handlers;
mod health;
mod history;
mod live;
mod nodes;
mod notice;
mod operations;
mod overview;
mod qualifiers;
mod refusal;
mod send;
mod shown;
mod standing;
mod theme;

#[cfg(test)]
mod tests;

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use askama::Template;

pub use config::{Colour, Config};
pub(crate) use frame::Frame;
pub(crate) use live::Live;
pub(crate) use refusal::refused;

use crate::api::problem::{Code, Problem};
use crate::api::{Answer, At, at, get, post};

/// Every page, and what belongs to them. They are for people, so the contract for programs does not list them.
pub(crate) fn routes() -> Vec<At> {
    vec![
        at("/", "GET, HEAD", [get(overview::page)]),
        at("/events", "GET, HEAD", [get(events::page)]),
        at("/events/{id}", "GET, HEAD", [get(event::page)]),
        at("/events/{id}/edit", "GET, HEAD", [get(edit::page)]),
        at("/admin/events/{id}/resubmit", "POST", [post(edit::resubmit)]),
        at("/admin/events/{id}/{verb}", "POST", [post(event::operate)]),
        at("/actors", "GET, HEAD", [get(actors::page)]),
        at("/handlers", "GET, HEAD", [get(handlers::page)]),
        at("/nodes", "GET, HEAD", [get(nodes::page)]),
        at("/admin/handlers/{name:.+}/pause", "POST", [post(handlers::pause)]),
        at("/admin/handlers/{name:.+}/resume", "POST", [post(handlers::resume)]),
        at("/admin/handlers/{name:.+}/restart", "POST", [post(handlers::restart)]),
        at("/live", "GET", [get(live::stream)]),
        at("/dead-letters", "GET, HEAD", [get(dead_letters::list)]),
        at("/dead-letters/all", "GET, HEAD", [get(dead_letters::ask)]),
        at("/admin/dead-letters/all", "POST", [post(dead_letters::begin)]),
        at("/admin/dead-letters/chosen", "POST", [post(dead_letters::change)]),
        at("/operations", "GET, HEAD", [get(operations::list)]),
        at("/operations/{id}", "GET, HEAD", [get(operations::one)]),
        at("/admin/operations/{id}/{verb}", "POST", [post(operations::turn)]),
        at("/send", "GET, HEAD, POST", [get(send::page), post(send::send)]),
        at("/audit", "GET, HEAD", [get(audit::list)]),
        at("/admin/theme", "POST", [post(theme::choose)]),
        at("/assets/{set}/{file}", "GET, HEAD", [get(assets::file)]),
    ]
}

/// Where the style sheet is served.
pub(crate) fn style() -> String {
    assets::url("app.css")
}

/// Nothing but what comes from this server, and nothing inline.
pub(crate) const ONLY_OURS: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                                    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page as it is answered.
pub(crate) fn page(template: &impl Template) -> Answer {
    let html = template.render();
    let html = html.map_err(|error| Problem::new(Code::Internal, "the page could not be made").caused_by(error))?;
    Ok(html_answer(HttpResponse::Ok()).body(html))
}

/// The headers that every page has.
pub(crate) fn html_answer(mut answer: actix_web::HttpResponseBuilder) -> actix_web::HttpResponseBuilder {
    answer
        .content_type(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, ONLY_OURS))
        .insert_header((CACHE_CONTROL, "private, no-store"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "same-origin"));
    answer
}
