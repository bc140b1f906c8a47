//! What may be submitted, as the document shows it: plain events, CloudEvents and batches of them.
//!
//! Nothing is read by these: that is what `ingest/decode` is for. Lengths are the decoder's; it counts bytes, of which
//! a character of JSON Schema may have up to four.

use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr, SchemaFormat};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::api::parameters;
use crate::event::{DEFAULT_SOURCE, MAX_ID_BYTES, MAX_SOURCE_BYTES};

/// An event of plain JSON.
pub(in crate::api) struct PlainEvent;

/// A structured CloudEvent.
pub(in crate::api) struct CloudEvent;

/// A batch of CloudEvents.
pub(in crate::api) struct CloudEventBatch;

/// Whatever may be sent as `application/json`.
pub(in crate::api) struct Submitted;

/// The headers that are read: the attributes of a CloudEvent in binary mode, and the trace of the request.
pub(in crate::api) struct Headers;

impl PartialSchema for PlainEvent {
    fn schema() -> RefOr<Schema> {
        let example = json!({ "type": "order.paid", "id": "order-7", "source": "/shop", "data": { "total": 12 } });
        attributes(object("An event of plain JSON. A member that is `null` counts as absent, but for `data`.", example))
            .property("type", of_type())
            .required("type")
            .property("id", text(MAX_ID_BYTES, "Unique within the source; one is made if there is none"))
            .property("source", text(MAX_SOURCE_BYTES, &format!("Who sends it; `{DEFAULT_SOURCE}` if it is not said")))
            .property("deliver_at", moment("Not to be handled before this moment"))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for PlainEvent {}

impl PartialSchema for CloudEvent {
    fn schema() -> RefOr<Schema> {
        let example = json!({
            "specversion": "1.0", "id": "order-7", "source": "/shop", "type": "order.paid", "data": { "total": 12 },
        });
        let meaning = "A CloudEvent 1.0 in its JSON form. Other members are extensions, named by a-z and 0-9. An \
                       attribute that is `null` counts as absent.";
        let version = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["1.0"]));
        let base64 = nullable(Type::String).content_encoding("base64").description(Some("The data, if it is no JSON"));
        attributes(object(meaning, example))
            .property("specversion", version)
            .property("type", of_type())
            .property("id", required(MAX_ID_BYTES, "Unique within the source"))
            .property("source", required(MAX_SOURCE_BYTES, "Who sends it, a URI reference"))
            .property("datacontenttype", media_type())
            .property("dataschema", nullable(Type::String).min_length(Some(1)).description(Some("Kept as it is")))
            .property("deliverat", moment("Not to be handled before this moment; an extension"))
            .property("data_base64", base64)
            .required("specversion")
            .required("type")
            .required("id")
            .required("source")
            .additional_properties(Some(RefOr::from(extension())))
            .property_names(Some(names()))
            .into()
    }
}

impl ToSchema for CloudEvent {}

impl PartialSchema for CloudEventBatch {
    fn schema() -> RefOr<Schema> {
        batch(Ref::from_schema_name(CloudEvent::name()))
    }
}

impl ToSchema for CloudEventBatch {}

impl PartialSchema for Submitted {
    fn schema() -> RefOr<Schema> {
        let plain = || Ref::from_schema_name(PlainEvent::name());
        let cloud = || Ref::from_schema_name(CloudEvent::name());
        OneOfBuilder::new()
            .item(plain())
            .item(cloud())
            .item(batch(Schema::from(OneOfBuilder::new().item(plain()).item(cloud()))))
            .into()
    }
}

impl ToSchema for Submitted {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PlainEvent::name().into(), PlainEvent::schema()));
        schemas.push((CloudEvent::name().into(), CloudEvent::schema()));
    }
}

impl IntoParams for Headers {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let version = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["1.0"]));
        let time = || moment("").schema_type(Type::String).description(None::<String>);
        let attribute =
            |longest| ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(longest);
        let any = || ObjectBuilder::new().schema_type(Type::String);
        let headers = [
            ("ce-specversion", version, "Makes this a CloudEvent in binary mode, whatever its content type is"),
            ("ce-id", attribute(Some(MAX_ID_BYTES)), "Unique within the source; required in binary mode"),
            ("ce-source", attribute(Some(MAX_SOURCE_BYTES)), "Who sends it, a URI reference; required in binary mode"),
            ("ce-type", attribute(Some(MAX_ID_BYTES)), "What happened; required in binary mode"),
            ("ce-subject", attribute(Some(MAX_SOURCE_BYTES)), "What it is about, within the source"),
            ("ce-time", time(), "When it happened"),
            ("ce-dataschema", attribute(None), "Kept as it is"),
            ("ce-deliverat", time(), "Not to be handled before this moment"),
            ("traceparent", any(), "The trace that events without one of their own join (W3C trace context)"),
            ("tracestate", any(), "What goes with it"),
        ];
        headers.map(|(name, shape, meaning)| parameters::header(name, shape, meaning)).into()
    }
}

fn object(meaning: &str, example: Value) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object).description(Some(meaning)).examples([example])
}

/// What plain events and CloudEvents have in common.
fn attributes(object: ObjectBuilder) -> ObjectBuilder {
    let data = ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some("The data: any JSON"));
    object
        .property("subject", text(MAX_SOURCE_BYTES, "What it is about, within the source"))
        .property("time", moment("When it happened"))
        .property("data", data)
}

fn nullable(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null]))
}

fn text(longest: usize, meaning: &str) -> ObjectBuilder {
    nullable(Type::String).min_length(Some(1)).max_length(Some(longest)).description(Some(meaning))
}

fn required(longest: usize, meaning: &str) -> ObjectBuilder {
    text(longest, meaning).schema_type(Type::String)
}

fn of_type() -> ObjectBuilder {
    required(MAX_ID_BYTES, "What happened, such as `order.paid`; it decides which handler gets it")
}

fn moment(meaning: &str) -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    nullable(Type::String).format(Some(format)).description(Some(meaning))
}

fn media_type() -> ObjectBuilder {
    text(MAX_ID_BYTES, "What the data is; JSON if it is not said").pattern(Some("^[^/; ]+/[^/; ]+ *(;.*)?$"))
}

/// The names of attributes, and the one member with a name that no attribute may have.
fn names() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^([a-z0-9]{1,255}|data_base64)$")).into()
}

fn extension() -> Schema {
    let kinds = [Type::String, Type::Integer, Type::Boolean, Type::Null];
    ObjectBuilder::new().schema_type(SchemaType::from_iter(kinds)).into()
}

fn batch(member: impl Into<RefOr<Schema>>) -> RefOr<Schema> {
    let meaning = "In one commit, each with a result of its own; at most `server.batch_limit` of them";
    RefOr::T(ArrayBuilder::new().items(member.into()).min_items(Some(1)).description(Some(meaning)).into())
}
