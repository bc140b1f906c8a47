//! Ids in paths: percent-encoded as UTF-8, and they may hold `/`.
//!
//! The router decodes some of what is encoded and leaves the rest, so an id is read from the path as it was sent.

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

use super::problem::{Code, Problem};

/// The id in `/api/v1/events/{id}`.
pub(crate) fn id(request: &HttpRequest) -> Result<String, Problem> {
    decode(tail(request.uri().path()))
}

/// The id in `/api/v1/events/{id}/cancel` and its like.
pub(crate) fn id_before_verb(request: &HttpRequest) -> Result<String, Problem> {
    let tail = tail(request.uri().path());
    decode(tail.rsplit_once('/').map_or(tail, |(id, _)| id))
}

/// The name in `/admin/handlers/{name}/pause` and its like.
pub(crate) fn name_before_verb(request: &HttpRequest) -> Result<String, Problem> {
    let tail = request.uri().path().splitn(4, '/').nth(3).unwrap_or_default();
    decode(tail.rsplit_once('/').map_or(tail, |(name, _)| name))
}

/// What follows `/api/v1/events/`.
fn tail(path: &str) -> &str {
    path.splitn(5, '/').nth(4).unwrap_or_default()
}

fn decode(encoded: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(encoded).decode_utf8();
    decoded.map(Into::into).map_err(|_| Problem::new(Code::BadPath, format!("`{encoded}` is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn an_id_is_decoded_once() {
        let id = |path: &str| id(&TestRequest::with_uri(path).to_http_request()).map_err(|problem| problem.to_string());
        assert_eq!(id("/api/v1/events/a%2Fb%20c%25d%2Be+f").unwrap(), "a/b c%d+e+f");
        assert_eq!(id("/api/v1/events/a/b").unwrap(), "a/b");
        assert_eq!(id("/api/v1/events/%E2%82%AC").unwrap(), "€");
        assert_eq!(id("/api/v1/events/%252F").unwrap(), "%2F");
        assert_eq!(id("/api/v1/events/100%").unwrap(), "100%");
        assert!(id("/api/v1/events/%ff").unwrap_err().starts_with("bad_path"));
    }

    #[test]
    fn a_verb_follows_the_last_slash() {
        let id = |path: &str| id_before_verb(&TestRequest::with_uri(path).to_http_request()).unwrap();
        assert_eq!(id("/api/v1/events/a/cancel/cancel"), "a/cancel");
        assert_eq!(id("/api/v1/events/a%2Fcancel/cancel"), "a/cancel");
    }
}
