//! Resubmissions: a record as a new event, with what is edited in the body.
//!
//! The members are those that `GET /api/v1/events/{id}` shows. JSON data is passed on unread, so that numbers keep all
//! their digits.

use std::collections::BTreeMap;

use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, FixedOffset};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::events::meant;
use super::openapi::OfAResubmission;
use super::operator::{self, carry_out, reason};
use super::parameters::{Asked, OneRecord};
use super::problem::{Code, Problem};
use super::query::{Parameters, unknown};
use super::{Answer, State};
use crate::dead_letter::{self, Edit};
use crate::event::{MAX_ID_BYTES, MAX_SOURCE_BYTES, Payload, PayloadKind, Violation};
use crate::ingest::Accepted;

/// The members of the body.
const MEMBERS: [&str; 10] =
    ["type", "id", "source", "subject", "datacontenttype", "data", "data_base64", "deliver_at", "discard", "reason"];

/// The new event, as a submission is answered.
#[derive(Serialize, ToSchema)]
struct Resubmitted {
    #[serde(flatten)]
    accepted: Accepted,
    /// The record that it was made from; its extension `evenkeelorigin` says the same.
    original: Uuid,
    /// Whether the original was discarded.
    discarded: bool,
}

/// Submits a new event that is made from a record, with what is edited in the body.
///
/// What the body leaves out stays as it was, but for the id: a new one is made. The record may stand anywhere, and
/// stays as it is; with `discard` it is laid to rest, if it is a dead letter or had no handler. The new event names it
/// in its extension `evenkeelorigin`.
#[utoipa::path(
    post,
    path = "/api/v1/events/{id}/resubmit",
    operation_id = "resubmit_event",
    tag = "events",
    params(OneRecord, Asked),
    request_body = Option<Edited>,
    responses(
        (
            status = 202,
            description = "The new event is in the ledger",
            body = Resubmitted,
            headers(("location" = String, description = "Where its record is shown")),
        ),
        OfAResubmission,
    ),
)]
pub(super) async fn resubmit(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let parameters = Parameters::parse(request.query_string(), &["source", "reason"])?;
    let body = operator::json(&request, body, state.config.body_limit).await?;
    let original = meant(&state, &request, &parameters).await?;
    let content_type = state.reads().record(original).await?.and_then(|record| record.datacontenttype);
    let asked = Asking::read(body.as_deref().unwrap_or(b"{}"), content_type)?;
    let operator = operator::with(&request, asked.reason.as_deref().or_else(|| parameters.get("reason")));
    let (intake, pool) = (state.intake.clone(), state.pool.clone());
    let resubmitted = carry_out(async move {
        dead_letter::resubmit(&intake, &pool, original, asked.edit, asked.discards, &operator).await
    });
    let dead_letter::Resubmitted { accepted, discarded } = resubmitted.await?;
    let location = format!("/api/v1/events/{}", accepted.id);
    let answer = Resubmitted { accepted, original, discarded };
    Ok(HttpResponse::Accepted().insert_header((LOCATION, location)).json(answer))
}

/// What a body asks for.
#[derive(Debug)]
struct Asking {
    edit: Edit,
    discards: bool,
    reason: Option<String>,
}

impl Asking {
    /// Reads a body; `content_type` is the original's.
    fn read(body: &[u8], content_type: Option<String>) -> Result<Self, Problem> {
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_slice(body).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => {
                    Problem::new(Code::NotAnObject, "the body has to be a JSON object")
                }
                _ => Problem::new(Code::MalformedJson, format!("this is not well-formed JSON: {error}")),
            })?;
        let strange: Vec<Violation> = members
            .keys()
            .filter(|name| !MEMBERS.contains(&name.as_str()))
            .map(|name| unknown(name, "member", &MEMBERS))
            .collect();
        if !strange.is_empty() {
            return Err(Problem::of(Code::UnknownMember, strange));
        }
        let mut members = Members { members, wrong: Vec::new() };
        let asking = members.asking(content_type);
        if members.wrong.is_empty() { Ok(asking) } else { Err(Problem::of(Code::BadBody, members.wrong)) }
    }
}

/// The members of a body, and what is wrong with them.
struct Members<'a> {
    members: BTreeMap<String, &'a RawValue>,
    wrong: Vec<Violation>,
}

impl Members<'_> {
    fn asking(&mut self, content_type: Option<String>) -> Asking {
        let changed = self.value("datacontenttype", "a text");
        let content_type = changed.clone().unwrap_or(content_type);
        let edit = Edit {
            id: self.value("id", "a text").flatten(),
            source: self.value("source", "a text").flatten(),
            event_type: self.value("type", "a text").flatten(),
            subject: self.value("subject", "a text"),
            content_type: changed,
            data: self.data(content_type),
            deliver_at: self.value::<DateTime<FixedOffset>>("deliver_at", "a time (RFC 3339)").flatten(),
        };
        let discards = self.value("discard", "`true` or `false`").flatten().unwrap_or(false);
        Asking { edit, discards, reason: self.value("reason", "a text").flatten() }
    }

    /// A member that is there, or `null`.
    fn value<T: DeserializeOwned>(&mut self, name: &str, what: &str) -> Option<Option<T>> {
        let raw = self.members.get(name)?;
        match serde_json::from_str(raw.get()) {
            Ok(value) => Some(value),
            Err(_) => {
                self.wrong.push(Violation::new(name, "bad_value", format!("`{name}` has to be {what}")));
                None
            }
        }
    }

    /// The data, as what its content type says: `null` is JSON, too.
    fn data(&mut self, content_type: Option<String>) -> Option<Option<Bytes>> {
        if let Some(encoded) = self.value::<String>("data_base64", "base64").flatten() {
            if self.members.contains_key("data") {
                let detail = "`data` and `data_base64` are two ways to say the same: send one of them";
                self.wrong.push(Violation::new("data_base64", "bad_value", detail));
            }
            let decoded = STANDARD.decode(encoded);
            if decoded.is_err() {
                self.wrong.push(Violation::new("data_base64", "bad_value", "`data_base64` has to be base64"));
            }
            return decoded.ok().map(|bytes| Some(bytes.into()));
        }
        match (Payload { content_type, bytes: None }).kind() {
            PayloadKind::Json => self.members.get("data").map(|raw| Some(Bytes::copy_from_slice(raw.get().as_bytes()))),
            _ => self.value::<String>("data", "a text, or `data_base64`").map(|text| text.map(Bytes::from)),
        }
    }
}

/// The body as the document shows it.
pub(super) struct Edited;

impl PartialSchema for Edited {
    fn schema() -> RefOr<Schema> {
        let text = |meaning: &str| nullable(Type::String).description(Some(meaning));
        let moment = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("What is edited; what is left out stays as it was"))
            .property("type", text("What happened").max_length(Some(MAX_ID_BYTES)))
            .property(
                "id",
                text("Unique within the source; a new one is made if there is none").max_length(Some(MAX_ID_BYTES)),
            )
            .property("source", text("Who sends it").max_length(Some(MAX_SOURCE_BYTES)))
            .property("subject", text("What it is about; `null` is nothing").max_length(Some(MAX_SOURCE_BYTES)))
            .property("datacontenttype", text("What the data is; `null` is JSON").max_length(Some(MAX_ID_BYTES)))
            .property(
                "data",
                ObjectBuilder::new()
                    .schema_type(SchemaType::AnyValue)
                    .description(Some("The data: any JSON, or a string if it is text")),
            )
            .property("data_base64", text("The data, if it is neither").content_encoding("base64"))
            .property("deliver_at", text("Not to be handled before this moment").format(Some(moment)))
            .property(
                "discard",
                nullable(Type::Boolean).description(Some("Whether the original is laid to rest as well")),
            )
            .property("reason", reason())
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for Edited {}

fn nullable(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null]))
}
