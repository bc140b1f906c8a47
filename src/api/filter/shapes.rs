//! The filters as the document shows them: parameters of a list, or members of an operation's body.

use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::{DEAD, NAMES};
use crate::api::operations::{ACTIONS, MOST_A_SECOND};
use crate::api::operator::reason;
use crate::api::parameters as parameter;
use crate::lifecycle::{FinalStatus, Status};

/// The filters of a list as the document shows them.
pub(in crate::api) fn parameters(ends: &[FinalStatus]) -> Vec<Parameter> {
    let all = NAMES.into_iter().map(|name| {
        // An empty parameter counts as absent.
        let shape = match name {
            "status" => words(Status::ALL.iter().map(|status| status.as_str()).chain([""])),
            "final_status" => words(ends.iter().map(|end| end.as_str()).chain([""])),
            "since" | "until" => moment_or_nothing(),
            _ => parameter::text().into(),
        };
        parameter::query(name, shape, meaning(name))
    });
    all.collect()
}

/// The filters of an operation on many records as the document shows them.
pub(in crate::api) struct Filters;

impl PartialSchema for Filters {
    fn schema() -> RefOr<Schema> {
        members(ObjectBuilder::new().property("reason", reason())).into()
    }
}

/// The names and values of the filters, as an object.
fn members(filters: ObjectBuilder) -> ObjectBuilder {
    let filters = NAMES.into_iter().fold(filters.schema_type(Type::Object), |filters, name| {
        let shape = match name {
            "status" => words(Status::ALL.iter().map(|status| status.as_str())),
            "final_status" => words(DEAD.iter().map(|end| end.as_str())),
            "since" | "until" => moment().into(),
            _ => ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).into(),
        };
        filters.property(name, shape)
    });
    filters
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .description(Some("Which dead letters are meant: those that have all that is said here; `{}` is all of them"))
}

/// What an operation is asked for with, as the document shows it.
pub(in crate::api) struct OperationAsked;

impl PartialSchema for OperationAsked {
    fn schema() -> RefOr<Schema> {
        let actions = words(ACTIONS.iter().map(|action| action.as_str()));
        let rate = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MOST_A_SECOND))
            .description(Some("How many records a second at most; nothing is as fast as it can"));
        let dry_run = ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .description(Some("Only says how many records match; nothing is changed"));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("action", actions)
            .property("filter", members(ObjectBuilder::new()))
            .property("dry_run", dry_run)
            .property("rate", rate)
            .property("reason", reason())
            .required("action")
            .required("filter")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for OperationAsked {}

impl ToSchema for Filters {}

fn words(words: impl Iterator<Item = &'static str>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}

/// A moment of a list; an empty parameter counts as absent.
pub(in crate::api) fn moment_or_nothing() -> Schema {
    let nothing = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
    AnyOfBuilder::new().item(moment()).item(nothing).into()
}

fn moment() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn meaning(name: &str) -> &'static str {
    match name {
        "status" => "Where it stands",
        "final_status" => "How it ended",
        "type" => "What happened, exactly",
        "handler" => "The name of its handler",
        "source" => "Who sent it",
        "event_id" => "The event's own id",
        "subject" => "What it is about",
        "error" => "A text that stands somewhere in its last error, in capitals or not",
        "since" => "Taken at this moment or later (RFC 3339)",
        "until" => "Taken before this moment (RFC 3339)",
        _ => "The group of its death, as the list of groups names it",
    }
}
