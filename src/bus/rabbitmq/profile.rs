//! Our AMQP profile of CloudEvents: attributes are headers with a prefix, `datacontenttype` is the content type.
//!
//! CloudEvents has a binding for AMQP 1.0 only; what the clients of RabbitMQ speak is 0-9-1, where the headers table
//! takes the place of the application properties.

use chrono::{DateTime, SecondsFormat, Utc};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use serde_json::Value;

use crate::bus::{Delivery, Message};

/// What the header of an attribute starts with.
const PREFIX: &str = "cloudEvents_";

/// The broker keeps such a message on its disk.
const PERSISTENT: u8 = 2;

/// The properties of a message that is to be published.
pub(super) fn properties(message: &Message) -> BasicProperties {
    let mut headers = FieldTable::default();
    let attributes = message.attributes.iter().map(|(name, value)| (format!("{PREFIX}{name}"), value));
    let others = message.headers.iter().map(|(name, value)| (name.clone(), value));
    for (name, value) in attributes.chain(others) {
        // An attribute's name is shorter than its limit by the prefix, or it is left out: no broker could carry it.
        if let Ok(name) = ShortString::try_new(name) {
            headers.insert(name, to_amqp(value));
        }
    }
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
    let properties = match message.attributes.get("id").and_then(Value::as_str).map(ShortString::try_new) {
        Some(Ok(id)) => properties.with_message_id(id),
        _ => properties,
    };
    match message.content_type.as_deref().map(ShortString::try_new) {
        Some(Ok(content_type)) => properties.with_content_type(content_type),
        // Absent means JSON, and others may not know that.
        _ if message.body.is_some() => properties.with_content_type("application/json".into()),
        _ => properties,
    }
}

/// A message as it was delivered from this queue.
pub(super) fn delivery(queue: &str, message: lapin::message::Delivery) -> Delivery {
    let text = |text: &Option<ShortString>| text.as_ref().map(|text| text.as_str().to_owned());
    let headers = message.properties.headers().iter().flat_map(|headers| headers.inner());
    Delivery {
        headers: headers.map(|(name, value)| (name.as_str().to_owned(), from_amqp(value))).collect(),
        content_type: text(message.properties.content_type()),
        message_id: text(message.properties.message_id()),
        body: message.data.into(),
        topic: queue.to_owned(),
        position: None,
        redelivered: message.redelivered,
    }
}

fn to_amqp(value: &Value) -> AMQPValue {
    match value {
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) if number.is_i64() => AMQPValue::LongLongInt(number.as_i64().unwrap_or_default()),
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        other => AMQPValue::LongString(other.to_string().into()),
    }
}

/// Native values and texts; bytes that are no text become a list, which no attribute can be.
fn from_amqp(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => (*value).into(),
        AMQPValue::ShortShortInt(value) => (*value).into(),
        AMQPValue::ShortShortUInt(value) => (*value).into(),
        AMQPValue::ShortInt(value) => (*value).into(),
        AMQPValue::ShortUInt(value) => (*value).into(),
        AMQPValue::LongInt(value) => (*value).into(),
        AMQPValue::LongUInt(value) => (*value).into(),
        AMQPValue::LongLongInt(value) => (*value).into(),
        AMQPValue::Float(value) => (*value).into(),
        AMQPValue::Double(value) => (*value).into(),
        AMQPValue::DecimalValue(value) => format!("{}e-{}", value.value, value.scale).into(),
        AMQPValue::ShortString(text) => text.as_str().into(),
        AMQPValue::LongString(text) => text_or_bytes(text),
        AMQPValue::ByteArray(bytes) => text_or_bytes(&bytes.as_slice().into()),
        AMQPValue::Timestamp(seconds) => i64::try_from(*seconds)
            .ok()
            .and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0))
            .map_or(Value::from(*seconds), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true).into()),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(from_amqp).collect(),
        AMQPValue::FieldTable(table) => {
            table.inner().iter().map(|(name, value)| (name.as_str().to_owned(), from_amqp(value))).collect()
        }
        AMQPValue::Void => Value::Null,
    }
}

fn text_or_bytes(text: &LongString) -> Value {
    std::str::from_utf8(text.as_bytes()).map_or_else(|_| text.as_bytes().to_vec().into(), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_come_back_as_they_went() {
        for value in [Value::from("Euro €"), true.into(), 7.into(), (-7).into(), i64::MAX.into(), "".into()] {
            assert_eq!(from_amqp(&to_amqp(&value)), value);
        }
    }

    #[test]
    fn a_number_beyond_the_protocol_goes_as_a_text() {
        assert_eq!(from_amqp(&to_amqp(&u64::MAX.into())), Value::from(u64::MAX.to_string()));
    }

    #[test]
    fn native_values_of_other_clients_are_read() {
        assert_eq!(from_amqp(&AMQPValue::Timestamp(1_767_600_140)), Value::from("2026-01-05T08:02:20Z"));
        assert_eq!(from_amqp(&AMQPValue::ByteArray(b"a".as_slice().into())), Value::from("a"));
        assert_eq!(from_amqp(&AMQPValue::LongString(b"\xff".as_slice().into())), serde_json::json!([255]));
        assert_eq!(from_amqp(&AMQPValue::Void), Value::Null);
    }
}
