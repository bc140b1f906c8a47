//! What is rendered as a structured CloudEvent is decoded to the same event. Tests only.

use bytes::Bytes;
use chrono::{DateTime, FixedOffset, Offset};
use proptest::prelude::*;
use serde_json::Value;

use super::decode_structured;
use crate::event::{Event, Extensions, NewEvent, Payload, to_structured};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn payloads() -> impl Strategy<Value = Payload> {
    let json_type = proptest::option::of(Just("application/vnd.a+json; charset=utf-8".to_owned()));
    let other_type = proptest::sample::select(vec!["text/plain", "text/csv; header=\"a b\"", "image/png"]);
    prop_oneof![
        Just(Payload::default()),
        (json_type, json(), any::<bool>()).prop_map(|(content_type, value, pretty)| {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            Payload { content_type, bytes: Some(text.into()) }
        }),
        (other_type, proptest::option::of(proptest::collection::vec(any::<u8>(), 0..24))).prop_map(
            |(content_type, bytes)| Payload {
                content_type: Some(content_type.to_owned()),
                bytes: bytes.map(Bytes::from),
            }
        ),
    ]
}

fn extensions() -> impl Strategy<Value = Extensions> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[^\\x00]{0,12}".prop_map(Value::from),
    ];
    proptest::collection::btree_map("x[a-z0-9]{0,8}", value, 0..4)
}

fn times() -> impl Strategy<Value = DateTime<FixedOffset>> {
    (0_i64..4_000_000_000, 0_u32..1_000_000_000, -1_439_i32..1_439).prop_map(|(seconds, nanos, minutes)| {
        let offset = FixedOffset::east_opt(minutes * 60).unwrap();
        DateTime::from_timestamp(seconds, nanos).unwrap().with_timezone(&offset)
    })
}

proptest! {
    #[test]
    fn what_is_rendered_is_decoded_to_the_same_event(
        (id, source, event_type) in ("[^\\x00]{1,20}", "[^\\x00]{1,20}", "[^\\x00]{1,20}"),
        subject in proptest::option::of("[^\\x00]{1,20}"),
        time in proptest::option::of(times()),
        extensions in extensions(),
        data in payloads(),
    ) {
        let event = Event { id, source, event_type, subject, time, extensions, data };
        let decoded = decode_structured(Bytes::from(to_structured(&event))).unwrap();
        // Times are equal when they are the same moment; the offset has to be the same, too.
        let offset = |time: Option<DateTime<FixedOffset>>| time.map(|time| time.offset().fix());
        prop_assert_eq!(offset(decoded.time), offset(event.time));
        let expected = NewEvent {
            id: Some(event.id),
            source: Some(event.source),
            event_type: event.event_type,
            subject: event.subject,
            time: event.time,
            deliver_at: None,
            extensions: event.extensions,
            payload: event.data,
        };
        prop_assert_eq!(decoded, expected);
    }
}
