//! What operators ask for: who they are and why goes into the audit log.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Payload as Body;
use bytes::Bytes;
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::body;
use super::problem::{Code, Problem};
use super::query::{Parameters, unknown};
use crate::dead_letter::Operator;
use crate::event::{Payload, PayloadKind, Violation};

/// The longest name and reason that are kept, in characters.
const LONGEST: usize = 1_000;

/// The members of a body, or nothing if there is no body.
pub(crate) type Members = Option<BTreeMap<String, String>>;

/// Who asks, and why.
pub(crate) fn of(request: &HttpRequest, parameters: &Parameters, members: &Members) -> Operator {
    let reason = members.as_ref().and_then(|members| members.get("reason").map(String::as_str));
    with(request, reason.or_else(|| parameters.get("reason")))
}

/// Who asks, and this is why.
pub(super) fn with(request: &HttpRequest, reason: Option<&str>) -> Operator {
    Operator { name: name(request, "api"), reason: reason.map(shortened) }
}

/// Who asks by a form of the dashboard, and why.
pub(crate) fn of_form(request: &HttpRequest, fields: &Parameters) -> Operator {
    Operator { name: name(request, "dashboard"), reason: fields.get("reason").map(shortened) }
}

/// Who asks, as far as is known: nothing here proves it. Who does not say so is a place and an address.
fn name(request: &HttpRequest, place: &str) -> String {
    let given = request.headers().get("x-operator").map(|name| String::from_utf8_lossy(name.as_bytes()));
    match given.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => shortened(name),
        None => request.peer_addr().map_or_else(|| place.to_owned(), |peer| format!("{place}@{}", peer.ip())),
    }
}

/// Reads a body of texts by name. A filter's text is never empty: "everything" has to be said by leaving the name
/// out, not by a variable that happened to be empty.
pub(crate) async fn members(
    request: &HttpRequest,
    body: Body,
    limit: usize,
    known: &[&str],
) -> Result<Members, Problem> {
    match object(request, body, limit).await? {
        Some(members) => texts(members, known).map(Some),
        None => Ok(None),
    }
}

/// Reads a body that is a JSON object; nothing if there is no body.
pub(super) async fn object(
    request: &HttpRequest,
    body: Body,
    limit: usize,
) -> Result<Option<Map<String, Value>>, Problem> {
    let Some(bytes) = json(request, body, limit).await? else { return Ok(None) };
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::new(Code::MalformedJson, format!("this is not well-formed JSON: {error}")))?;
    let Value::Object(members) = value else {
        return Err(Problem::new(Code::NotAnObject, "the body has to be a JSON object"));
    };
    Ok(Some(members))
}

/// Reads a body that says to be JSON, or nothing if there is no body.
pub(super) async fn json(request: &HttpRequest, body: Body, limit: usize) -> Result<Option<Bytes>, Problem> {
    let bytes = body::read(request, body, limit).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("text/plain");
    if (Payload { content_type: Some(content_type.to_owned()), bytes: None }).kind() != PayloadKind::Json {
        let detail = format!("`{content_type}` is not read here; send JSON as `application/json`");
        return Err(Problem::new(Code::UnsupportedContentType, detail).hint("Set `content-type: application/json`."));
    }
    Ok(Some(bytes))
}

/// The body of an operation on one record, as the document shows it.
pub(crate) struct Reason;

impl PartialSchema for Reason {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("reason", reason())
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for Reason {}

/// The member that every body of an operation may have.
pub(crate) fn reason() -> Object {
    let text = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    text.description(Some("Why, for the audit log")).build()
}

/// The members of an object of texts.
pub(super) fn texts(members: Map<String, Value>, known: &[&str]) -> Result<BTreeMap<String, String>, Problem> {
    let unknown: Vec<Violation> = members
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| unknown(name, "member", known))
        .collect();
    if !unknown.is_empty() {
        return Err(Problem::of(Code::UnknownMember, unknown));
    }
    let (mut texts, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, value) in members {
        match value {
            Value::String(text) if !text.is_empty() => drop(texts.insert(name, text)),
            Value::Null | Value::String(_) if name == "reason" => {}
            _ => {
                let detail = format!("`{name}` has to be a text that is not empty; leave it out for all");
                wrong.push(Violation::new(&name, "bad_value", detail));
            }
        }
    }
    if wrong.is_empty() { Ok(texts) } else { Err(Problem::of(Code::BadBody, wrong)) }
}

/// Carries an operation to its end even if the caller goes: half of it would be in the ledger and half not in memory.
pub(crate) async fn carry_out<T, E>(operation: impl Future<Output = Result<T, E>> + 'static) -> Result<T, Problem>
where
    T: 'static,
    E: Into<Problem> + 'static,
{
    let ended = actix_web::rt::spawn(operation).await;
    let ended = ended.map_err(|error| Problem::new(Code::Internal, "the operation broke off").caused_by(error))?;
    ended.map_err(Into::into)
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn an_operator_is_who_they_say_or_where_they_come_from() {
        let peer = "192.0.2.7:4000".parse().unwrap();
        let named = TestRequest::default().insert_header(("x-operator", " ada ")).peer_addr(peer).to_http_request();
        assert_eq!(name(&named, "api"), "ada");
        let unnamed = TestRequest::default().insert_header(("x-operator", " ")).peer_addr(peer).to_http_request();
        assert_eq!(name(&unnamed, "dashboard"), "dashboard@192.0.2.7");
    }
}
