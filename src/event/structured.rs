//! An event as one structured CloudEvents JSON document: what webhooks, brokers and dead letters carry.
//!
//! JSON data goes into it byte for byte, never through a `Value`: big integers have to come out as they went in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Event, Payload, PayloadKind};

/// Members that are no extensions, whatever an event's extensions hold: a document with a member twice is refused.
const RESERVED: [&str; 9] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data", "data_base64"];

/// The event as structured CloudEvents JSON (`application/cloudevents+json`). JSON data is embedded as it is,
/// `text/*` is a string, other bytes are `data_base64`; so is data that is not what its content type says.
///
/// ```
/// use evenkeel::event::{Event, Payload, to_structured};
///
/// let event = Event {
///     id: "1".into(), source: "/shop".into(), event_type: "order.paid".into(), subject: None, time: None,
///     extensions: Default::default(), data: Payload::json(r#"{"total": 12.50}"#),
/// };
/// let expected = r#"{"id":"1","source":"/shop","specversion":"1.0","type":"order.paid","data":{"total": 12.50}}"#;
/// assert_eq!(to_structured(&event), expected.as_bytes());
/// ```
#[must_use]
pub fn to_structured(event: &Event<Payload>) -> Vec<u8> {
    let mut members: Map<String, Value> = event
        .extensions
        .iter()
        .filter(|(name, value)| !value.is_null() && !RESERVED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut set = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), Value::from(value));
        }
    };
    set("specversion", Some("1.0"));
    set("id", Some(&event.id));
    set("source", Some(&event.source));
    set("type", Some(&event.event_type));
    set("subject", event.subject.as_deref());
    set("time", event.time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true)).as_deref());
    set("datacontenttype", event.data.content_type.as_deref());
    match data(&event.data) {
        Data::None => {}
        Data::Json(json) => return with_data(members, json),
        Data::Text(text) => set("data", Some(text)),
        Data::Base64(text) => set("data_base64", Some(&text)),
    }
    Value::Object(members).to_string().into_bytes()
}

enum Data<'a> {
    None,
    Json(&'a str),
    Text(&'a str),
    Base64(String),
}

/// How the data goes into the document. JSON is checked, or it could bring members of its own.
fn data(payload: &Payload) -> Data<'_> {
    let Some(bytes) = &payload.bytes else { return Data::None };
    let plain = match payload.kind() {
        PayloadKind::Json => serde_json::from_slice::<&RawValue>(bytes).ok().map(|raw| Data::Json(raw.get())),
        PayloadKind::Text => std::str::from_utf8(bytes).ok().map(Data::Text),
        PayloadKind::Binary => None,
    };
    plain.unwrap_or_else(|| Data::Base64(STANDARD.encode(bytes)))
}

/// The members and, behind them, `data` as it is.
fn with_data(members: Map<String, Value>, json: &str) -> Vec<u8> {
    let mut document = Value::Object(members).to_string();
    // There are members before it: at least the required ones.
    document.pop();
    document.push_str(",\"data\":");
    document.push_str(json);
    document.push('}');
    document.into_bytes()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::Extensions;

    fn event(payload: Payload) -> Event<Payload> {
        Event {
            id: "1".into(),
            source: "/s".into(),
            event_type: "t".into(),
            subject: None,
            time: None,
            extensions: Extensions::new(),
            data: payload,
        }
    }

    fn rendered(payload: Payload) -> String {
        String::from_utf8(to_structured(&event(payload))).unwrap()
    }

    fn payload(content_type: &str, bytes: &'static [u8]) -> Payload {
        Payload { content_type: Some(content_type.into()), bytes: Some(Bytes::from_static(bytes)) }
    }

    #[test]
    fn every_kind_of_data_has_its_form() {
        let head = r#""id":"1","source":"/s","specversion":"1.0","type":"t""#;
        let cases = [
            (Payload::default(), format!("{{{head}}}")),
            (Payload::json("null"), format!(r#"{{{head},"data":null}}"#)),
            (Payload::json(" [1, 18446744073709551616]\n"), format!(r#"{{{head},"data":[1, 18446744073709551616]}}"#)),
            (
                payload("text/plain", "a\"\n€".as_bytes()),
                format!(r#"{{"data":"a\"\n€","datacontenttype":"text/plain",{head}}}"#),
            ),
            (
                payload("image/png", b"\xde\xad\xbe\xef"),
                format!(r#"{{"data_base64":"3q2+7w==","datacontenttype":"image/png",{head}}}"#),
            ),
        ];
        for (payload, expected) in cases {
            assert_eq!(rendered(payload), expected);
        }
    }

    #[test]
    fn data_that_is_not_what_it_says_cannot_break_the_document() {
        for bytes in ["1,\"id\":\"other\"", "", "{", "}"] {
            let document: Value = serde_json::from_str(&rendered(Payload::json(bytes))).unwrap();
            assert_eq!(
                (&document["id"], &document["data_base64"]),
                (&Value::from("1"), &STANDARD.encode(bytes).into())
            );
        }
        let document: Value = serde_json::from_str(&rendered(payload("text/plain", b"\xff"))).unwrap();
        assert_eq!(document["data_base64"], "/w==");
    }

    #[test]
    fn extensions_stand_beside_the_attributes_and_replace_none_of_them() {
        let mut event = event(Payload::json("1"));
        let extensions = [("dataschema", "urn:a".into()), ("n", 1.into()), ("id", "2".into()), ("none", Value::Null)];
        event.extensions = extensions.map(|(name, value)| (name.to_owned(), value)).into();
        event.time = Some("2026-01-05T08:02:20.5+05:30".parse().unwrap());
        let document: Value = serde_json::from_slice(&to_structured(&event)).unwrap();
        let expected = serde_json::json!({
            "specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": "2026-01-05T08:02:20.500+05:30",
            "dataschema": "urn:a", "n": 1, "data": 1,
        });
        assert_eq!(document, expected);
    }
}
