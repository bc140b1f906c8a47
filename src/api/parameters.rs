//! Parameters as the document shows them, for the operations that share them.
//!
//! They are read elsewhere: queries in `query.rs`, paths in `path.rs`, operators in `operator.rs`.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};

/// A record, by its own id or by its event's.
pub(crate) struct OneRecord;

/// Who asks for an operation, and why.
pub(crate) struct Asked;

/// A handler.
pub(crate) struct OneHandler;

impl IntoParams for OneRecord {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            path(
                "id",
                "The id of the record, or that of the event: then the record that holds it is meant. Percent-encoded as \
                 UTF-8; it may hold `/`.",
            ),
            query("source", text(), "Which event is meant, if several sources use the id"),
        ]
    }
}

impl IntoParams for Asked {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![query("reason", text(), "Why, for the audit log; one in the body comes before it"), operator()]
    }
}

impl IntoParams for OneHandler {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![path("name", "The name of the handler, percent-encoded as UTF-8; it may hold `/`.")]
    }
}

fn operator() -> Parameter {
    header("x-operator", text(), "Who asks, for the audit log")
}

/// A part of the path.
pub(super) fn path(name: &str, description: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build();
    parameter(name, ParameterIn::Path, schema, description).required(Required::True).build()
}

/// A parameter of the query, which may be left out.
pub(crate) fn query(name: &str, schema: impl Into<RefOr<Schema>>, description: &str) -> Parameter {
    parameter(name, ParameterIn::Query, schema, description).build()
}

/// A header, which may be left out.
pub(crate) fn header(name: &str, schema: impl Into<RefOr<Schema>>, description: &str) -> Parameter {
    parameter(name, ParameterIn::Header, schema, description).build()
}

fn parameter(name: &str, place: ParameterIn, schema: impl Into<RefOr<Schema>>, description: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .schema(Some(schema))
        .description(Some(description))
}

/// Any text.
pub(crate) fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}
