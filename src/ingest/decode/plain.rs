//! Plain JSON, for those who have no use for CloudEvents: `{"type", "data"?, "id"?, "source"?, "subject"?, "time"?,
//! "deliver_at"?}`.
//!
//! No other member may be swallowed: a misspelt `deliver_at` that is ignored is an event at the wrong time.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::attributes::Attributes;
use super::error::DecodeError;
use super::json::slice;
use crate::event::{Extensions, NewEvent, Payload};

const MEMBERS: [&str; 7] = ["type", "data", "id", "source", "subject", "time", "deliver_at"];

/// The most edits between a member and what it was probably meant to be.
const CLOSE: usize = 2;

/// The most members for which one is looked for: that costs more than reading them.
const MAX_SUGGESTIONS: usize = 16;

pub(super) fn event(
    mut attributes: Attributes<'_>,
    data: Option<&RawValue>,
    body: &Bytes,
) -> Result<NewEvent, DecodeError> {
    let event = NewEvent {
        event_type: attributes.required("type").unwrap_or_default(),
        id: attributes.text("id"),
        source: attributes.text("source"),
        subject: attributes.text("subject"),
        time: attributes.time("time"),
        deliver_at: attributes.time("deliver_at"),
        extensions: Extensions::new(),
        payload: Payload { content_type: None, bytes: data.map(|raw| slice(body, raw)) },
    };
    for (position, name) in attributes.rest().keys().enumerate() {
        let meant = if position < MAX_SUGGESTIONS { suggestion(name) } else { None };
        attributes.fault(name, "unknown_member", unknown(name, meant));
    }
    attributes.finish(event)
}

fn unknown(name: &str, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("`{name}` is no member of an event; `{meant}` was probably meant"),
        None => format!(
            "`{name}` is no member of an event; put it into `data`, \
             or add `specversion` and the other attributes of a CloudEvent, which may have extensions"
        ),
    }
}

/// The member that was probably meant: `Type`, `deliverAt` and `tpye` are close enough.
fn suggestion(name: &str) -> Option<&'static str> {
    if name.len() > 20 {
        return None;
    }
    let form = |name: &str| name.to_ascii_lowercase().replace(['_', '-'], "");
    let written = form(name);
    let distance = |member: &str| strsim::damerau_levenshtein(&form(member), &written);
    let nearest = MEMBERS.into_iter().min_by_key(|member| distance(member))?;
    // Two edits turn a word of three letters into any other.
    (distance(nearest) <= CLOSE.min(nearest.len() / 2)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::super::decode_object;
    use super::*;

    fn decode(body: &str) -> Result<NewEvent, DecodeError> {
        decode_object(Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn a_type_is_enough() {
        let event = decode(r#"{"type":"order.paid"}"#).unwrap();
        assert_eq!(event, NewEvent::raw("order.paid", Payload::default()));
    }

    #[test]
    fn every_member_has_its_place() {
        let event = decode(
            r#"{"type":"order.paid","data":{"total":12.50},"id":"1","source":"/shop","subject":"order/7",
                "time":"2026-01-05T08:02:20+01:00","deliver_at":"2026-01-06T00:00:00Z"}"#,
        )
        .unwrap();
        let expected = NewEvent {
            time: Some("2026-01-05T08:02:20+01:00".parse().unwrap()),
            ..NewEvent::raw("order.paid", Payload::json(r#"{"total":12.50}"#))
                .id("1")
                .source("/shop")
                .subject("order/7")
                .deliver_at("2026-01-06T00:00:00Z".parse().unwrap())
        };
        assert_eq!(event, expected);
    }

    #[test]
    fn null_is_data_and_no_data_is_none() {
        assert_eq!(decode(r#"{"type":"a","data":null}"#).unwrap().payload, Payload::json("null"));
        assert_eq!(decode(r#"{"type":"a"}"#).unwrap().payload, Payload::default());
    }

    #[test]
    fn null_counts_as_unset_for_all_other_members() {
        let event = decode(r#"{"type":"a","id":null,"source":null,"subject":null,"time":null,"deliver_at":null}"#);
        assert_eq!(event.unwrap(), NewEvent::raw("a", Payload::default()));
        assert_eq!(decode(r#"{"type":null}"#).unwrap_err().violations[0].code, "missing");
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = decode(r#"{"id":7,"source":"","time":"now","payload":{},"subject":"a\u0000b"}"#).unwrap_err();
        let found: Vec<(&str, &str)> =
            error.violations.iter().map(|violation| (violation.pointer.as_str(), violation.code)).collect();
        let expected = [
            ("/type", "missing"),
            ("/id", "bad_value"),
            ("/time", "bad_value"),
            ("/payload", "unknown_member"),
            ("/source", "missing"),
            ("/subject", "nul"),
        ];
        assert_eq!((error.code, found), ("invalid_event", expected.to_vec()));
    }

    #[test]
    fn unknown_members_are_named_each_with_what_was_probably_meant() {
        let error = decode(r#"{"type":"a","deliverAt":"x","idd":1,"colour":2}"#).unwrap_err();
        assert_eq!(error.code, "unknown_member");
        let details: Vec<&str> = error.violations.iter().map(|violation| violation.detail.as_str()).collect();
        assert!(details[0].starts_with("`colour` is no member of an event; put it into `data`"), "{}", details[0]);
        assert_eq!(details[1], "`deliverAt` is no member of an event; `deliver_at` was probably meant");
        assert_eq!(details[2], "`idd` is no member of an event; `id` was probably meant");
    }

    #[test]
    fn suggestions_are_close_or_absent() {
        let cases = [
            ("Type", Some("type")),
            ("tpye", Some("type")),
            ("sorce", Some("source")),
            ("deliverat", Some("deliver_at")),
            ("deliver-at", Some("deliver_at")),
            ("dat", Some("data")),
            ("x", None),
            ("colour", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(suggestion(name), expected, "{name}");
        }
        assert_eq!(suggestion(&"type".repeat(100_000)), None);
    }
}
