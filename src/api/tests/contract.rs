//! The contract, held against every answer that a test of the API gets.

use std::sync::LazyLock;

use actix_web::http::Method;
use serde_json::{Map, Value};

use super::Answered;
use crate::admin;
use crate::api::openapi;
use crate::api::plain;

/// The document as it is served.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(openapi::text()).unwrap());

/// Its shapes, without room for members that they do not name.
static CLOSED: LazyLock<Value> = LazyLock::new(|| {
    let mut components = DOCUMENT["components"].clone();
    for schema in components["schemas"].as_object_mut().unwrap().values_mut() {
        close(schema, true);
    }
    components
});

/// Fails unless the document says that a request may be answered like this.
pub fn hold(method: &Method, pattern: Option<&str>, answered: &Answered) {
    if answered.header("content-type") == Some("text/html; charset=utf-8") {
        hold_page(answered);
    }
    if pattern.is_some_and(|pattern| admin::routes().iter().any(|at| at.path == pattern))
        || is_page_not_found(pattern, answered)
    {
        return;
    }
    let promised = promised(method, pattern, answered);
    for (name, _) in &answered.headers {
        let named = promised["headers"].get(name).is_some() || name == "content-type";
        assert!(named, "the header {name} is not in the document: {method} {pattern:?} {answered:?}");
    }
    let Some(content_type) = answered.header("content-type") else {
        assert!(promised.get("content").is_none(), "content was promised: {method} {pattern:?} {answered:?}");
        return;
    };
    let content = &promised["content"][content_type];
    assert!(content.is_object(), "{content_type} is not in the document: {method} {pattern:?} {answered:?}");
    if (content_type.ends_with("/json") || content_type.ends_with("+json")) && method != Method::HEAD {
        let mut schema = content["schema"].clone();
        close(&mut schema, false);
        let wrong = violations(&schema, &answered.json());
        assert!(wrong.is_empty(), "{wrong:#?}: {method} {pattern:?} {answered:?}");
    }
}

/// The contract of a page: it may be kept by nobody, load from nowhere else, and has nothing inline.
fn hold_page(page: &Answered) {
    assert_eq!(page.header("content-security-policy"), Some(admin::ONLY_OURS), "{page:?}");
    assert_eq!(page.header("cache-control"), Some("private, no-store"), "{page:?}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{page:?}");
    assert_eq!(page.header("referrer-policy"), Some("same-origin"), "{page:?}");
    for inline in ["<style", " style=", "<script>", " onclick=", "javascript:"] {
        assert!(!page.text.contains(inline), "{inline} in {}", page.text);
    }
}

/// Who asks for HTML and is nowhere gets a page.
fn is_page_not_found(pattern: Option<&str>, answered: &Answered) -> bool {
    pattern.is_none() && answered.header("content-type") == Some("text/html; charset=utf-8")
}

/// What the document says about such an answer.
fn promised(method: &Method, pattern: Option<&str>, answered: &Answered) -> &'static Value {
    let Some(pattern) = pattern else { return &DOCUMENT["components"]["responses"]["unknown_path"] };
    let verb = if method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
    let path = &DOCUMENT["paths"][plain(pattern)];
    assert!(path.is_object(), "{pattern} is not in the document");
    match path.get(&verb) {
        None => &DOCUMENT["components"]["responses"]["method_not_allowed"],
        Some(operation) => {
            let promised = &operation["responses"][answered.status.as_str()];
            assert!(
                promised.is_object(),
                "{} is not in the document: {method} {pattern} {answered:?}",
                answered.status
            );
            promised
        }
    }
}

/// What is wrong with a value by this schema of the document.
pub fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut whole = schema.clone();
    whole["components"] = CLOSED.clone();
    let schema = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
    schema.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Takes the room for other members out of every object. Parts of an `allOf` keep theirs: each knows only its own.
fn close(schema: &mut Value, is_part: bool) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(|schema| close(schema, is_part)),
        Value::Object(members) => {
            for (name, schema) in members.iter_mut() {
                close(schema, name == "allOf");
            }
            if !is_part && is_object(members) {
                members.insert("unevaluatedProperties".to_owned(), false.into());
            }
        }
        _ => {}
    }
}

fn is_object(schema: &Map<String, Value>) -> bool {
    ["$ref", "allOf", "properties"].iter().any(|keyword| schema.contains_key(*keyword))
}
