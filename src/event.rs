//! The event: CloudEvents attributes and data, with the limits that every way in has to keep.
//!
//! Pure words: no actix, no I/O, no clock. What arrives is a [`NewEvent`]; once it has an id and a source it is an
//! [`Event`] over its [`Payload`], whose bytes stay as they were received.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use serde::Serialize;
use serde::de::value::{BytesDeserializer, StrDeserializer, UnitDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

mod structured;
mod trace;

pub use structured::to_structured;
pub use trace::TraceContext;

/// Attributes beside the ones that CloudEvents names, `dataschema` among them, by name.
pub type Extensions = BTreeMap<String, serde_json::Value>;

/// The source of an event that was sent without one over HTTP or by the library.
pub const DEFAULT_SOURCE: &str = "/api/v1/events";

/// The longest `id` and `type`, in bytes.
pub const MAX_ID_BYTES: usize = 255;

/// The longest `source` and `subject`, in bytes.
pub const MAX_SOURCE_BYTES: usize = 1_024;

/// The deepest nesting of arrays and objects in JSON data.
pub const MAX_DEPTH: usize = 100;

/// An event as a handler sees it. `source` and `id` together identify it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<T> {
    /// Unique within the source.
    pub id: String,
    /// Who sent it, a URI reference.
    pub source: String,
    /// What happened, such as `order.paid`.
    pub event_type: String,
    /// What it is about, within the source.
    pub subject: Option<String>,
    /// When it happened, as the sender says.
    pub time: Option<DateTime<FixedOffset>>,
    /// The other attributes.
    pub extensions: Extensions,
    /// What the handler's type made of the data.
    pub data: T,
}

impl<T> Event<T> {
    /// The attributes of this event with other data.
    #[must_use]
    pub fn with<U>(&self, data: U) -> Event<U> {
        Event {
            id: self.id.clone(),
            source: self.source.clone(),
            event_type: self.event_type.clone(),
            subject: self.subject.clone(),
            time: self.time,
            extensions: self.extensions.clone(),
            data,
        }
    }
}

/// The data of an event: its bytes as received and what they are. No bytes at all is an event without data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// `datacontenttype`; absent means JSON.
    pub content_type: Option<String>,
    /// The bytes, unless the event has no data.
    pub bytes: Option<Bytes>,
}

/// What the bytes of a payload are, by their content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// `*/json`, `*+json`, or no content type.
    Json,
    /// `text/*`.
    Text,
    /// Everything else.
    Binary,
}

impl Payload {
    /// JSON data.
    #[must_use]
    pub fn json(bytes: impl Into<Bytes>) -> Self {
        Self { content_type: None, bytes: Some(bytes.into()) }
    }

    /// What the bytes are.
    #[must_use]
    pub fn kind(&self) -> PayloadKind {
        let Some(content_type) = &self.content_type else { return PayloadKind::Json };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence.ends_with("/json") || essence.ends_with("+json") {
            PayloadKind::Json
        } else if essence.starts_with("text/") {
            PayloadKind::Text
        } else {
            PayloadKind::Binary
        }
    }

    /// The data as a `T`: JSON is parsed, text becomes a string, other bytes stay bytes, and no data is a unit.
    ///
    /// # Errors
    /// The parser's, if the data is no `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let Some(bytes) = &self.bytes else { return T::deserialize(unit()) };
        match self.kind() {
            PayloadKind::Json => serde_json::from_slice(bytes),
            PayloadKind::Text => match std::str::from_utf8(bytes) {
                Ok(text) => T::deserialize(text_of(text)),
                Err(error) => Err(serde::de::Error::custom(error)),
            },
            PayloadKind::Binary => T::deserialize(BytesDeserializer::new(bytes)),
        }
    }
}

fn unit() -> UnitDeserializer<serde_json::Error> {
    ().into_deserializer()
}

fn text_of(text: &str) -> StrDeserializer<'_, serde_json::Error> {
    text.into_deserializer()
}

/// SHA-256 of type, content type and data: what tells a duplicate from an id that was used again.
#[must_use]
pub fn checksum(event_type: &str, payload: &Payload) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [event_type.as_bytes(), payload.content_type.as_deref().unwrap_or("application/json").as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    // One byte tells "no data" from empty data.
    hash.update([u8::from(payload.bytes.is_some())]);
    hash.update(payload.bytes.as_deref().unwrap_or_default());
    hash.finalize().into()
}

/// An event on its way in. Without an id one is made for it, without a source it is [`DEFAULT_SOURCE`].
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Unique within the source; one is made if there is none.
    pub id: Option<String>,
    /// Who sends it.
    pub source: Option<String>,
    /// What happened.
    pub event_type: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Option<DateTime<FixedOffset>>,
    /// Not before this moment.
    pub deliver_at: Option<DateTime<FixedOffset>>,
    /// The other attributes.
    pub extensions: Extensions,
    /// The data.
    pub payload: Payload,
}

impl NewEvent {
    /// An event of this type with this data, as JSON.
    ///
    /// # Errors
    /// The serializer's, if the data cannot be JSON.
    pub fn new<T: Serialize + ?Sized>(event_type: impl Into<String>, data: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::raw(event_type, Payload::json(serde_json::to_vec(data)?)))
    }

    /// An event of this type over bytes as they are.
    #[must_use]
    pub fn raw(event_type: impl Into<String>, payload: Payload) -> Self {
        Self {
            id: None,
            source: None,
            event_type: event_type.into(),
            subject: None,
            time: None,
            deliver_at: None,
            extensions: Extensions::new(),
            payload,
        }
    }

    /// The same event with this id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same event from this source.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same event about this subject.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The same event, not to be handled before this moment.
    #[must_use]
    pub fn deliver_at(mut self, at: DateTime<FixedOffset>) -> Self {
        self.deliver_at = Some(at);
        self
    }

    /// The same event with one more attribute.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// Everything that is wrong with the attributes, field by field; the data's form is the decoder's to check.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let id = self.id.as_deref();
        check_text(&mut found, "id", id, MAX_ID_BYTES);
        check_text(&mut found, "source", self.source.as_deref(), MAX_SOURCE_BYTES);
        check_text(&mut found, "type", Some(&self.event_type), MAX_ID_BYTES);
        check_text(&mut found, "subject", self.subject.as_deref(), MAX_SOURCE_BYTES);
        let content_type = self.payload.content_type.as_deref();
        check_text(&mut found, "datacontenttype", content_type, MAX_ID_BYTES);
        for (name, value) in &self.extensions {
            check_extension(&mut found, name, value);
        }
        found
    }
}

/// One thing that is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Violation {
    /// JSON pointer to the member, such as `/type`.
    pub pointer: String,
    /// What is wrong, for people.
    pub detail: String,
    /// What is wrong, for programs: `missing`, `too_long`, `nul`, `bad_name`, `bad_value`, `unknown_member`.
    pub code: &'static str,
}

impl Violation {
    /// A violation at a member.
    #[must_use]
    pub fn new(member: &str, code: &'static str, detail: impl Into<String>) -> Self {
        let member = member.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("/{member}"), detail: detail.into(), code }
    }
}

fn check_text(found: &mut Vec<Violation>, member: &str, value: Option<&str>, max: usize) {
    let Some(value) = value else { return };
    if value.is_empty() {
        found.push(Violation::new(member, "missing", format!("`{member}` is empty")));
    } else if value.len() > max {
        let length = value.len();
        found.push(Violation::new(member, "too_long", format!("`{member}` has {length} bytes; {max} are allowed")));
    } else if value.contains('\0') {
        found.push(Violation::new(member, "nul", format!("`{member}` holds a NUL character")));
    }
}

/// Names that an extension would be mistaken for.
const RESERVED: [&str; 9] =
    ["data", "datacontenttype", "deliverat", "id", "source", "specversion", "subject", "time", "type"];

fn check_extension(found: &mut Vec<Violation>, name: &str, value: &serde_json::Value) {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if name.is_empty() || name.len() > MAX_ID_BYTES || !plain(name) {
        let detail = format!("`{name}` is no attribute name: only a-z and 0-9 are allowed");
        found.push(Violation::new(name, "bad_name", detail));
    } else if RESERVED.contains(&name) {
        let detail = format!("`{name}` is an attribute of every event and no extension");
        found.push(Violation::new(name, "bad_name", detail));
    } else if !(value.is_string() || value.is_boolean() || value.is_i64() || value.is_u64()) {
        let detail = format!("`{name}` must be a string, an integer or a boolean");
        found.push(Violation::new(name, "bad_value", detail));
    } else if value.as_str().is_some_and(|text| text.contains('\0')) {
        found.push(Violation::new(name, "nul", format!("`{name}` holds a NUL character")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_data_is_parsed_text_is_a_string_and_no_data_is_nothing() {
        let json = Payload::json("[1,2]");
        assert_eq!(json.decode::<Vec<u32>>().unwrap(), [1, 2]);
        let text = Payload { content_type: Some("text/plain; charset=utf-8".into()), bytes: Some("[1]".into()) };
        assert_eq!(text.decode::<String>().unwrap(), "[1]");
        assert_eq!(Payload::default().decode::<Option<u32>>().unwrap(), None);
    }

    #[test]
    fn absent_data_and_empty_data_differ_in_their_checksum() {
        let empty = Payload { bytes: Some(Bytes::new()), ..Payload::default() };
        assert_ne!(checksum("a", &empty), checksum("a", &Payload::default()));
    }

    #[test]
    fn no_content_type_is_the_same_content_as_json() {
        let named = Payload { content_type: Some("application/json".into()), bytes: Some("1".into()) };
        assert_eq!(checksum("a", &named), checksum("a", &Payload::json("1")));
    }

    #[test]
    fn every_wrong_attribute_is_named() {
        let event = NewEvent::raw("a\0b", Payload::default()).id("x".repeat(256)).extension("Bad", 1);
        let pointers: Vec<String> = event.violations().into_iter().map(|violation| violation.pointer).collect();
        assert_eq!(pointers, ["/id", "/type", "/Bad"]);
    }

    #[test]
    fn an_extension_has_a_name_of_its_own_and_a_plain_value() {
        let event = NewEvent::raw("a", Payload::default()).extension("id", "x").extension("share", 0.5);
        let codes: Vec<&str> = event.violations().into_iter().map(|violation| violation.code).collect();
        assert_eq!(codes, ["bad_name", "bad_value"]);
    }

    #[test]
    fn ids_of_255_bytes_and_sources_of_1024_are_accepted() {
        let event = NewEvent::raw("t".repeat(255), Payload::default()).id("i".repeat(255)).source("s".repeat(1_024));
        assert_eq!(event.violations(), []);
    }
}
