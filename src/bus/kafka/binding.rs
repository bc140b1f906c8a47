//! The Kafka binding of CloudEvents: attributes are headers with the prefix `ce_`, `content-type` is `datacontenttype`,
//! the value is the data, and no value is no data. Nothing is percent-encoded.

use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};
use serde_json::Value;

use crate::bus::{Delivery, Message};

/// What the header of an attribute starts with.
const PREFIX: &str = "ce_";

const CONTENT_TYPE: &str = "content-type";

/// The headers of a message that is to be published.
pub(super) fn headers(message: &Message) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let attributes = message.attributes.iter().map(|(name, value)| (format!("{PREFIX}{name}"), text(value)));
    let others = message.headers.iter().map(|(name, value)| (name.clone(), text(value)));
    // Absent means JSON, and others may not know that.
    let assumed = message.body.is_some().then_some("application/json");
    let content_type = message.content_type.as_deref().or(assumed);
    attributes.chain(others).chain(content_type.map(|text| (CONTENT_TYPE.to_owned(), text.to_owned()))).collect()
}

/// The same for the client.
pub(super) fn owned(headers: &[(String, String)]) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(empty, |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}

/// What decides about the partition: events with one `partitionkey` keep their order, all others are spread.
pub(super) fn key(message: &Message) -> Option<&str> {
    message.attributes.get("partitionkey").and_then(Value::as_str)
}

/// A message as it was delivered. Without an id of its own its event has its position's.
pub(super) fn delivery(message: &BorrowedMessage<'_>) -> Delivery {
    let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
    let mut headers = Vec::new();
    let mut content_type = None;
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        let value = header.value.map_or(Value::Null, text_or_bytes);
        match value.as_str() {
            Some(text) if header.key.eq_ignore_ascii_case(CONTENT_TYPE) => content_type = Some(text.to_owned()),
            _ => headers.push((header.key.to_owned(), value)),
        }
    }
    Delivery {
        headers,
        content_type,
        message_id: Some(format!("{topic}/{partition}/{offset}")),
        body: message.payload().unwrap_or_default().to_vec().into(),
        topic: topic.to_owned(),
        position: Some((partition, offset)),
        // Any message may be one: its position tells.
        redelivered: false,
    }
}

/// Bytes that are no text become a list, which no attribute can be.
fn text_or_bytes(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.into(), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{NewEvent, Payload};

    #[test]
    fn attributes_are_headers_and_the_partition_key_is_the_key_too() {
        let event = NewEvent::raw("t", Payload::json("[1]")).id("1").source("/s €").extension("n", 7);
        let message = Message::event(&event.clone().extension("partitionkey", "k"), uuid::Uuid::nil());
        let found = headers(&message);
        let of = |name: &str| found.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!((of("ce_id"), of("ce_source"), of("ce_specversion")), (Some("1"), Some("/s €"), Some("1.0")));
        assert_eq!(
            (of("ce_n"), of("ce_partitionkey"), of("content-type")),
            (Some("7"), Some("k"), Some("application/json"))
        );
        assert_eq!(key(&message), Some("k"));
        assert_eq!(key(&Message::event(&event, uuid::Uuid::nil())), None);
    }

    #[test]
    fn without_data_there_is_no_content_type() {
        let message = Message::event(&NewEvent::raw("t", Payload::default()).id("1").source("/s"), uuid::Uuid::nil());
        assert!(headers(&message).iter().all(|(name, _)| name != CONTENT_TYPE));
    }

    #[test]
    fn bytes_that_are_no_text_are_a_list() {
        assert_eq!(text_or_bytes(b"a"), Value::from("a"));
        assert_eq!(text_or_bytes(b"\xff"), serde_json::json!([255]));
    }
}
