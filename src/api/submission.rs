//! placeholder
use super::{Answer, State};
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
pub(super) async fn submit(_: Data<State>, _: HttpRequest, _: Payload) -> Answer {
    Err(super::Problem::new(super::Code::Internal, "x"))
}
