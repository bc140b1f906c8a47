//! One event from a broker's message: a CloudEvent in binary or structured mode, or plain JSON.

use std::borrow::Cow;

use serde_json::Value;

use super::error::DecodeError;
use super::{decode_binary, decode_object, decode_structured, essence};
use crate::bus::Delivery;
use crate::event::{NewEvent, TraceContext};

/// What the header of an attribute starts with: over Kafka, as it is sent over RabbitMQ here, and as the binding for AMQP
/// 1.0 says.
const PREFIXES: [&str; 3] = ["ce_", "cloudEvents_", "cloudEvents:"];

/// Decodes a message. Told apart in this order: a content type of structured CloudEvents; the header of
/// `specversion`, which makes it binary mode, whatever the body is; and `application/json`, or no content type.
///
/// An empty body is an event without data in binary mode. A plain event without an id has that of its message, if it
/// has one; an event that names no trace belongs to that of its message's headers.
///
/// # Errors
/// It is no event; [`DecodeError::code`] says why.
pub fn decode_message(delivery: &Delivery) -> Result<NewEvent, DecodeError> {
    let mut event = decode(delivery)?;
    if event.id.is_none() {
        event.id = delivery.message_id.clone();
        let violations = event.violations();
        if !violations.is_empty() {
            return Err(DecodeError::invalid(violations));
        }
    }
    let values = |wanted: &'static str| {
        let named = delivery.headers.iter().filter(move |(name, _)| name == wanted);
        named.filter_map(|(_, value)| value.as_str()).map(str::as_bytes)
    };
    if let Some(trace) = TraceContext::of_headers(values("traceparent"), values("tracestate")) {
        trace.join(&mut event);
    }
    Ok(event)
}

fn decode(delivery: &Delivery) -> Result<NewEvent, DecodeError> {
    let (content_type, body) = (delivery.content_type.as_deref(), delivery.body.clone());
    match content_type.map(essence).unwrap_or_default().as_str() {
        "application/cloudevents+json" => return decode_structured(body),
        // Batches and XML are not binary mode even if there are headers of attributes.
        other if other.starts_with("application/cloudevents") => return Err(unsupported(other)),
        _ => {}
    }
    let mut attributes: Vec<(Cow<'_, str>, Value)> = delivery
        .headers
        .iter()
        .filter_map(|(name, value)| Some((Cow::Borrowed(attribute(name)?), value.clone())))
        .collect();
    if attributes.iter().any(|(name, _)| name == "specversion") {
        // Some clients say the content type as an attribute too, in a header of which the binding knows nothing.
        let repeated = |(name, value): &(Cow<'_, str>, Value)| {
            name == "datacontenttype" && content_type.is_some() && value.as_str() == content_type
        };
        attributes.retain(|attribute| !repeated(attribute));
        return decode_binary(attributes, content_type, (!body.is_empty()).then_some(body));
    }
    match content_type.map(essence).as_deref() {
        None | Some("application/json") => decode_object(body),
        Some(other) => Err(unsupported(other)),
    }
}

fn attribute(header: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| header.strip_prefix(prefix))
}

fn unsupported(content_type: &str) -> DecodeError {
    let detail = format!(
        "the content type `{content_type}` is none that is read here; send `application/json`, \
         `application/cloudevents+json`, or a header `ce_specversion` (RabbitMQ: `cloudEvents_specversion`) and the data as it is"
    );
    DecodeError::new("unsupported_content_type", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Payload;

    fn delivery(content_type: Option<&str>, headers: &[(&str, Value)], body: &'static str) -> Delivery {
        Delivery {
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            content_type: content_type.map(ToOwned::to_owned),
            message_id: Some("m-1".to_owned()),
            body: body.into(),
            topic: "q".to_owned(),
            position: None,
            redelivered: false,
        }
    }

    fn binary(prefix: &str) -> Vec<(String, Value)> {
        let required = [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")];
        required.map(|(name, text)| (format!("{prefix}{name}"), text.into())).into()
    }

    #[test]
    fn attributes_are_read_with_both_prefixes() {
        for prefix in PREFIXES {
            let headers = binary(prefix);
            let mut headers: Vec<(&str, Value)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            headers.push(("x-other", "1".into()));
            let event = decode_message(&delivery(Some("text/plain"), &headers, "a")).unwrap();
            let payload = Payload { content_type: Some("text/plain".into()), bytes: Some("a".into()) };
            assert_eq!(event, NewEvent::raw("t", payload).id("1").source("/s"));
            assert_eq!(decode_message(&delivery(None, &headers, "")).unwrap().payload.bytes, None);
        }
    }

    #[test]
    fn a_content_type_may_be_repeated_as_an_attribute_and_not_be_another_there() {
        let mut headers = binary("ce_");
        headers.push(("ce_datacontenttype".to_owned(), "text/plain".into()));
        let headers: Vec<(&str, Value)> = headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let event = decode_message(&delivery(Some("text/plain"), &headers, "a")).unwrap();
        assert_eq!(event.payload.content_type.as_deref(), Some("text/plain"));
        for other in [None, Some("image/png")] {
            assert_eq!(decode_message(&delivery(other, &headers, "a")).unwrap_err().code, "malformed_header");
        }
    }

    #[test]
    fn structured_events_come_before_headers() {
        let headers = binary("cloudEvents_");
        let headers: Vec<(&str, Value)> = headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let body = r#"{"specversion":"1.0","id":"2","source":"/s","type":"t"}"#;
        let event = decode_message(&delivery(Some("application/cloudevents+json"), &headers, body)).unwrap();
        assert_eq!(event.id.as_deref(), Some("2"));
        let error = decode_message(&delivery(Some("application/cloudevents-batch+json"), &headers, "[]")).unwrap_err();
        assert_eq!(error.code, "unsupported_content_type");
    }

    #[test]
    fn a_plain_event_without_an_id_has_that_of_its_message() {
        for content_type in [None, Some("application/json")] {
            let event = decode_message(&delivery(content_type, &[], r#"{"type":"t"}"#)).unwrap();
            assert_eq!((event.id.as_deref(), event.source), (Some("m-1"), None));
            let event = decode_message(&delivery(content_type, &[], r#"{"type":"t","id":"7"}"#)).unwrap();
            assert_eq!(event.id.as_deref(), Some("7"));
        }
        let mut long = delivery(None, &[], r#"{"type":"t"}"#);
        long.message_id = Some("x".repeat(256));
        assert_eq!(decode_message(&long).unwrap_err().code, "invalid_event");
    }

    #[test]
    fn a_trace_of_the_headers_is_the_events_unless_it_has_its_own() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = [("traceparent", Value::from(trace))];
        let event = decode_message(&delivery(None, &headers, r#"{"type":"t"}"#)).unwrap();
        assert_eq!(event.extensions["traceparent"], trace);
    }

    #[test]
    fn what_is_no_event_says_why() {
        let cases = [
            (None, "", "malformed_json"),
            (None, "\u{0}\u{1}", "malformed_json"),
            (None, "[]", "not_an_object"),
            (Some("application/octet-stream"), "{}", "unsupported_content_type"),
            (Some("application/json"), r#"{"data":1}"#, "invalid_event"),
        ];
        for (content_type, body, code) in cases {
            assert_eq!(decode_message(&delivery(content_type, &[], body)).unwrap_err().code, code, "{body}");
        }
    }
}
