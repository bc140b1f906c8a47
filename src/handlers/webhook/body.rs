//! An event as structured CloudEvents JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::event::{Event, Extensions, Payload, PayloadKind};

#[derive(Serialize)]
struct Structured<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<&'a str>,
    #[serde(flatten)]
    extensions: &'a Extensions,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// The event as JSON; its data is embedded byte by byte if it is JSON.
pub fn structured(event: &Event<Payload>) -> Vec<u8> {
    let payload = &event.data;
    let bytes = payload.bytes.as_deref();
    let data = bytes.and_then(|bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        match payload.kind() {
            PayloadKind::Json => RawValue::from_string(text.to_owned()).ok(),
            PayloadKind::Text => to_raw_value(text).ok(),
            PayloadKind::Binary => None,
        }
    });
    let data_base64 = bytes.filter(|_| data.is_none()).map(|bytes| STANDARD.encode(bytes));
    let structured = Structured {
        specversion: "1.0",
        id: &event.id,
        source: &event.source,
        event_type: &event.event_type,
        subject: event.subject.as_deref(),
        time: event.time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        datacontenttype: payload.content_type.as_deref(),
        extensions: &event.extensions,
        data,
        data_base64,
    };
    // It is all strings and scalars: nothing in it can fail to serialize.
    serde_json::to_vec(&structured).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::webhook::sample;

    fn data_of(content_type: Option<&str>, bytes: Option<&'static [u8]>) -> String {
        let payload = Payload { content_type: content_type.map(str::to_owned), bytes: bytes.map(Into::into) };
        let mut event = sample::delivery(payload).event;
        event.subject = None;
        event.time = None;
        event.extensions.clear();
        let text = String::from_utf8(structured(&event)).unwrap();
        let head = r#"{"specversion":"1.0","id":"e-1","source":"/shop","type":"order.paid""#;
        text.strip_prefix(head).unwrap().to_owned()
    }

    #[test]
    fn data_takes_the_form_of_its_content_type() {
        assert_eq!(data_of(None, None), "}");
        assert_eq!(data_of(None, Some(b"{ \"a\": 1.0e2 }")), r#","data":{ "a": 1.0e2 }}"#);
        assert_eq!(data_of(None, Some(b"null")), r#","data":null}"#);
        assert_eq!(data_of(Some("text/plain"), Some(b"1")), r#","datacontenttype":"text/plain","data":"1"}"#);
        assert_eq!(data_of(Some("a/b"), Some(b"1")), r#","datacontenttype":"a/b","data_base64":"MQ=="}"#);
    }
}
