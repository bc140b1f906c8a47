//! Schemas: what the data of events is checked against.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Answer, State};
use crate::ingest::Schema;

/// All schemas, by type.
#[derive(Serialize, ToSchema)]
#[schema(as = Schemas)]
struct List<'a> {
    items: Vec<View<'a>>,
}

/// The schema of one event type.
#[derive(Serialize, ToSchema)]
#[schema(as = Schema)]
struct View<'a> {
    /// The type of the events whose data is checked.
    #[serde(rename = "type")]
    event_type: &'a str,
    /// The file as the configuration names it.
    file: &'a str,
    /// The JSON Schema as it stands in the file.
    #[schema(value_type = serde_json::Value)]
    schema: &'a RawValue,
}

impl<'a> View<'a> {
    fn of(schema: &'a Schema) -> Self {
        Self { event_type: &schema.event_type, file: &schema.file, schema: schema.document() }
    }
}

/// Lists the JSON Schemas that the data of events is checked against.
#[utoipa::path(
    get,
    path = "/api/v1/schemas",
    operation_id = "list_schemas",
    tag = "events",
    responses((status = 200, description = "All of them", body = List)),
)]
pub(super) async fn list(state: Data<State>) -> Answer {
    let items = state.intake.schemas().iter().map(View::of).collect();
    Ok(HttpResponse::Ok().json(List { items }))
}
