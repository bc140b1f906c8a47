//! The first page: how the whole stands, and why.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;

use super::{Frame, page as answer};
use crate::api::{Answer, State};

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct Overview {
    frame: Frame,
}

/// Shows how the whole stands.
pub(super) async fn page(state: Data<State>, request: HttpRequest) -> Answer {
    answer(&Overview { frame: Frame::of(&state, &request, "Overview").await })
}
