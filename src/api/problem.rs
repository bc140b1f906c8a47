//! Refusals: every answer that says no is an RFC 9457 problem document, and is made here.
//!
//! A [`Problem`] knows nothing of the request; which request it was about is filled in when it is answered. What went
//! wrong inside is for the log alone.

mod causes;
mod code;

use std::fmt;

use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(crate) use code::Code;

use crate::event::Violation;

/// The media type of problem documents.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request is refused. Boxed, because answers are moved about far more often than they are refusals.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: Code,
    detail: String,
    errors: Vec<Violation>,
    hint: Option<String>,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

/// Why a request was refused (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// Where the code is explained.
    #[schema(example = "/problems/bad_parameter")]
    r#type: String,
    /// What it is, in a few words; the same for each code.
    #[schema(example = "A query parameter cannot be read")]
    title: &'static str,
    /// The status of the answer, or of this event if it is one of a batch.
    #[schema(example = 400)]
    status: u16,
    /// What was wrong with this request.
    #[schema(example = "`limit` is a number from 1 to 250, and `0` is none of them")]
    detail: &'a str,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "/api/v1/events")]
    instance: Option<&'a str>,
    #[schema(value_type = Code, example = "bad_parameter")]
    code: &'static str,
    /// The id of the request, for the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<&'a str>,
    /// The members or parameters that are wrong, where it is about them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [Violation],
    /// What to do about it.
    #[schema(example = "Mend the parameter that `errors` names.")]
    hint: &'a str,
    #[serde(flatten)]
    #[schema(ignore)]
    more: &'a Map<String, Value>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            hint: None,
            more: Map::new(),
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// One that is about members or parameters.
    pub fn of(code: Code, errors: Vec<Violation>) -> Self {
        let details: Vec<&str> = errors.iter().map(|error| error.detail.as_str()).collect();
        Self::new(code, details.join("; ")).errors(errors)
    }

    pub fn not_found(what: &str, name: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} `{name}`"))
    }

    /// A path that takes other methods.
    pub fn method_not_allowed(method: &str, allow: &'static str) -> Self {
        let detail = format!("{method} is not taken here, only {allow}");
        Self::new(Code::MethodNotAllowed, detail).header(ALLOW, HeaderValue::from_static(allow))
    }

    /// The same request may work in so many seconds.
    pub fn retry_after(self, seconds: u16) -> Self {
        self.header(RETRY_AFTER, seconds.into())
    }

    pub fn errors(mut self, errors: Vec<Violation>) -> Self {
        self.0.errors = errors;
        self
    }

    /// The same problem, of a part of the body: what is wrong is named with its place in the whole.
    pub fn inside(mut self, place: &str) -> Self {
        for error in &mut self.0.errors {
            error.pointer = format!("{place}{}", error.pointer);
        }
        self
    }

    /// What to do, if there is better advice than the code's.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// One more member of the document.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(member.to_owned(), value.into());
        self
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// What went wrong inside: told to the log, never to the caller.
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// What went wrong inside.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// What it is.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What was wrong with this request.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The members or parameters that are wrong.
    pub fn violations(&self) -> &[Violation] {
        &self.0.errors
    }

    /// What to do about it.
    pub fn hint_or_advice(&self) -> &str {
        self.0.hint.as_deref().unwrap_or_else(|| self.0.code.advice())
    }

    /// The document as a part of another answer.
    pub fn to_value(&self) -> Value {
        // Strings and numbers only: they cannot fail to be JSON.
        serde_json::to_value(self.document(None, None)).unwrap_or_default()
    }

    /// The answer to this request.
    pub fn answer(&self, request: &HttpRequest, request_id: &str) -> HttpResponse {
        self.response(Some(request.uri().path()), Some(request_id))
    }

    /// The problem in an error, whoever made it.
    pub fn in_error(error: &actix_web::Error) -> Self {
        if let Some(problem) = error.as_error::<Self>() {
            return problem.clone();
        }
        let status = error.as_response_error().status_code();
        if status.is_client_error() {
            let code = Code::ALL.iter().copied().find(|code| code.status() == status);
            return Self::new(code.unwrap_or(Code::BadRequest), error.to_string());
        }
        Self::new(Code::Internal, "the request could not be answered").caused_by(error)
    }

    fn document<'a>(&'a self, instance: Option<&'a str>, request_id: Option<&'a str>) -> Document<'a> {
        let Parts { code, detail, errors, more, .. } = &*self.0;
        Document {
            r#type: code.url(),
            title: code.title(),
            status: code.status().as_u16(),
            detail,
            instance,
            code: code.as_str(),
            request_id,
            errors,
            hint: self.hint_or_advice(),
            more,
        }
    }

    fn response(&self, instance: Option<&str>, request_id: Option<&str>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, MEDIA_TYPE));
        for (name, value) in &self.0.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        let body = serde_json::to_string(&self.document(instance, request_id));
        response.body(body.unwrap_or_default())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> actix_web::http::StatusCode {
        self.0.code.status()
    }

    // What knows the request answers again, see the middleware.
    fn error_response(&self) -> HttpResponse {
        self.response(None, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_members_of_the_rfc_and_ours() {
        let error = Violation::new("limit", "bad_value", "`limit` is no number");
        let problem = Problem::of(Code::BadParameter, vec![error]).with("given", "x").caused_by("a secret");
        insta::assert_snapshot!(serde_json::to_string_pretty(&problem.document(Some("/api"), Some("r1"))).unwrap(), @r#"
        {
          "type": "/problems/bad_parameter",
          "title": "A query parameter cannot be read",
          "status": 400,
          "detail": "`limit` is no number",
          "instance": "/api",
          "code": "bad_parameter",
          "request_id": "r1",
          "errors": [
            {
              "pointer": "/limit",
              "detail": "`limit` is no number",
              "code": "bad_value"
            }
          ],
          "hint": "Mend the parameter that `errors` names.",
          "given": "x"
        }
        "#);
    }

    #[test]
    fn errors_of_the_framework_become_problems_too() {
        let large = actix_web::error::ErrorPayloadTooLarge("too much");
        assert_eq!(Problem::in_error(&large).0.code, Code::BodyTooLarge);
        let inside = actix_web::error::ErrorInternalServerError("the password is 1234");
        assert!(!Problem::in_error(&inside).to_value().to_string().contains("1234"));
    }
}
