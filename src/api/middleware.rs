//! What every request goes through: an id, a line in the log, a metric; and refusals get their final form.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpRequest};
use tokio::time::Instant;

use super::problem::Problem;
use super::{State, plain};
use crate::admin;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken from a caller.
const LONGEST_ID: usize = 128;

/// Around every request.
pub(super) async fn around(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = request_id(request.headers().get(REQUEST_ID)).unwrap_or_else(|| state.pool.clock.new_id().to_string());
    let answered = next.call(request).await?.map_into_boxed_body();
    let problem = answered.response().error().map(Problem::in_error);
    let mut answered = match &problem {
        None => answered,
        Some(problem) => {
            let (request, _) = answered.into_parts();
            let page = admin::refused(&state, &request, problem, &id).await;
            let response = page.unwrap_or_else(|| problem.answer(&request, &id));
            ServiceResponse::new(request, response)
        }
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        answered.headers_mut().insert(REQUEST_ID, value);
    }
    if state.pool.is_draining() {
        // The connection goes with the server.
        answered.response_mut().head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    tell(&state, &answered, &id, problem.as_ref(), started.elapsed());
    Ok(answered)
}

/// A caller's own id, if it can be put into logs and headers as it is.
fn request_id(given: Option<&HeaderValue>) -> Option<String> {
    let id = given?.to_str().ok()?;
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    (!id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(sane)).then(|| id.to_owned())
}

fn tell(state: &State, answered: &ServiceResponse, request_id: &str, problem: Option<&Problem>, took: Duration) {
    let (request, status) = (answered.request(), answered.status());
    let (method, route) = (method(request.method()), route(request));
    state.pool.metrics.http_requests.with_label_values(&[route.as_str(), method, status.as_str()]).inc();
    state.pool.metrics.http_seconds.with_label_values(&[&route]).observe(took.as_secs_f64());
    let (status, path, duration_ms) = (status.as_u16(), request.uri().path(), took.as_millis());
    if status >= 500 && problem.is_some() {
        let (problem, cause) = (problem.map(tracing::field::display), problem.and_then(Problem::cause));
        tracing::warn!(request_id, method, path, status, duration_ms, problem, cause, "a request failed");
    } else {
        tracing::debug!(request_id, method, path, status, duration_ms, "request");
    }
}

/// Metrics' labels come from closed sets: anybody can send any method.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// The pattern of the route.
fn route(request: &HttpRequest) -> String {
    request.match_pattern().map_or_else(|| "unmatched".to_owned(), |pattern| plain(&pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_request_id_is_taken_if_it_is_sane() {
        let taken = |id: &str| request_id(Some(&HeaderValue::from_str(id).unwrap()));
        assert_eq!(taken("req-1.a:b").as_deref(), Some("req-1.a:b"));
        assert_eq!(taken(&"a".repeat(128)).unwrap().len(), 128);
        for insane in ["", "a b", "a\tb", "<script>", &"a".repeat(129)] {
            assert_eq!(taken(insane), None, "{insane}");
        }
    }
}
