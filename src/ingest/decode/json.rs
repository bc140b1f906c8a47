//! The JSON forms: an envelope is read once, with its data left as it is.
//!
//! No `Value` of the data is ever built here: it stays the slice of the body that it was, so that big integers stay
//! exact and no copy is made.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::attributes::Attributes;
use super::depth::is_deeper_than;
use super::error::DecodeError;
use super::{cloudevents, plain};
use crate::event::{MAX_DEPTH, NewEvent, Violation};

/// What an object may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A structured CloudEvent, even without `specversion` (which is then missed).
    Structured,
    /// Structured if it has a `specversion`, else plain.
    Either,
}

/// The members of an event's JSON object, its data apart.
pub(super) struct Envelope<'a> {
    pub(super) data: Option<&'a RawValue>,
    pub(super) members: BTreeMap<Cow<'a, str>, Value>,
    duplicates: Vec<String>,
}

/// A body as the text that JSON has to be, without the byte order mark that some editors and shells put before it.
pub(super) fn text_of(body: &[u8]) -> Result<&str, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        let detail = format!("this is not UTF-8, which JSON has to be: invalid byte at line {line} column {column}");
        DecodeError::new("malformed_json", detail)
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// One event from the text of one object, which is a part of `body`.
pub(super) fn object(body: &Bytes, text: &str, form: Form) -> Result<NewEvent, DecodeError> {
    // The envelope is a level of its own; the limit is the data's.
    if is_deeper_than(MAX_DEPTH + 1, text) {
        return Err(DecodeError::too_deep());
    }
    if first_byte(text) != Some(b'{') {
        return Err(not_an_object(text));
    }
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| DecodeError::malformed_json(&error))?;
    if !envelope.duplicates.is_empty() {
        return Err(duplicates(envelope.duplicates));
    }
    let structured = form == Form::Structured || envelope.members.contains_key("specversion");
    let attributes = Attributes::new(envelope.members);
    if structured {
        cloudevents::structured(attributes, envelope.data, body)
    } else {
        plain::event(attributes, envelope.data, body)
    }
}

/// JSON data that stands alone: well formed, not too deep, and without the white space around it, so that an event
/// has the same bytes (and checksum) whichever way it is sent.
pub(super) fn document(body: &Bytes) -> Result<Bytes, DecodeError> {
    let text = text_of(body)?;
    if is_deeper_than(MAX_DEPTH, text) {
        return Err(DecodeError::too_deep());
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| DecodeError::malformed_json(&error))?;
    Ok(slice(body, raw))
}

/// The part of the body that this value is.
pub(super) fn slice(body: &Bytes, raw: &RawValue) -> Bytes {
    body.slice_ref(raw.get().as_bytes())
}

/// The first byte that is no white space.
pub(super) fn first_byte(text: &str) -> Option<u8> {
    text.bytes().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

fn not_an_object(text: &str) -> DecodeError {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return DecodeError::malformed_json(&error);
    }
    let detail = if first_byte(text) == Some(b'[') {
        "an event is a JSON object, this is an array; \
         a batch goes as `application/json` or `application/cloudevents-batch+json`, and has no arrays in it"
    } else {
        "an event is a JSON object, such as {\"type\": \"order.paid\", \"data\": {}}"
    };
    DecodeError::new("not_an_object", detail)
}

fn duplicates(names: Vec<String>) -> DecodeError {
    let violation =
        |name: String| Violation::new(&name, "bad_value", format!("`{name}` is there more than once; send it once"));
    DecodeError::of_members("duplicate_member", names.into_iter().map(violation).collect())
}

/// A member's name, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let mut envelope = Envelope { data: None, members: BTreeMap::new(), duplicates: Vec::new() };
        while let Some(Name(name)) = map.next_key()? {
            let twice = if name == "data" {
                envelope.data.replace(map.next_value()?).is_some()
            } else {
                let value = map.next_value()?;
                envelope.members.insert(name.clone(), value).is_some()
            };
            if twice {
                envelope.duplicates.push(name.into_owned());
            }
        }
        envelope.duplicates.sort();
        envelope.duplicates.dedup();
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &str) -> Result<NewEvent, DecodeError> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        object(&body, text_of(&body)?, Form::Either)
    }

    #[test]
    fn data_is_a_slice_of_the_body_and_no_copy() {
        let body = Bytes::from_static(br#"{"type":"a", "data" : {"n": 12345678901234567890123456789.50} }"#);
        let event = object(&body, text_of(&body).unwrap(), Form::Either).unwrap();
        let data = event.payload.bytes.unwrap();
        assert_eq!(&data[..], br#"{"n": 12345678901234567890123456789.50}"#);
        assert!(body.as_ptr_range().contains(&data.as_ptr()));
    }

    #[test]
    fn broken_json_is_malformed_and_says_where_and_what_was_expected() {
        let cases = [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\"type\":\"a\"", "EOF while parsing an object at line 1 column 11"),
            ("{\"type\":\n \"a\" \"id\"}", "expected `,` or `}` at line 2 column 6"),
            ("{\"type\":\"a\"} x", "trailing characters at line 1 column 14"),
            ("{\"type\":\"a\"}{\"type\":\"b\"}", "trailing characters at line 1 column 13"),
            ("{'type':1}", "key must be a string at line 1 column 2"),
            ("{\"type\":\"a\",}", "trailing comma at line 1 column 13"),
            ("{\"type\":\"\\ud800\"}", "unexpected end of hex escape at line 1 column 16"),
            (
                "{\"type\":\"a\nb\"}",
                "control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0",
            ),
            ("{\"data\":01}", "invalid number at line 1 column 10"),
            ("{\"data\":NaN}", "expected value at line 1 column 9"),
            ("nonsense", "expected ident at line 1 column 2"),
        ];
        for (body, expected) in cases {
            let error = decode(body).unwrap_err();
            assert_eq!(error.code, "malformed_json", "{body}");
            assert_eq!(error.detail, format!("this is not well-formed JSON: {expected}"), "{body}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_malformed_json_and_say_where() {
        let error = text_of(b"{\"type\":\n \"\xff\"}").unwrap_err();
        assert_eq!(error.code, "malformed_json");
        assert!(error.detail.ends_with("invalid byte at line 2 column 3"), "{}", error.detail);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(decode("\u{feff}{\"type\":\"a\"}").unwrap().event_type, "a");
        assert_eq!(decode("\u{feff}\u{feff}{}").unwrap_err().code, "malformed_json");
    }

    #[test]
    fn what_is_no_object_is_no_event() {
        for body in ["null", "1", "\"type\"", "true", "[]", " [[1]] "] {
            assert_eq!(decode(body).unwrap_err().code, "not_an_object", "{body}");
        }
    }

    #[test]
    fn a_member_that_is_there_twice_is_an_error_even_in_another_spelling() {
        let error = decode(r#"{"type":"a","id":"1","data":1,"\u0069d":"2","data":2,"id":"3"}"#).unwrap_err();
        assert_eq!(error.code, "duplicate_member");
        let pointers: Vec<&str> = error.violations.iter().map(|violation| violation.pointer.as_str()).collect();
        assert_eq!(pointers, ["/data", "/id"]);
    }

    #[test]
    fn members_inside_the_data_may_repeat_as_they_are_kept_as_sent() {
        let event = decode(r#"{"type":"a","data":{"x":1,"x":2}}"#).unwrap();
        assert_eq!(&event.payload.bytes.unwrap()[..], br#"{"x":1,"x":2}"#);
    }

    #[test]
    fn a_hundred_levels_of_data_are_fine_and_one_more_is_too_deep() {
        let nested = |levels| format!(r#"{{"type":"a","data":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(decode(&nested(100)).is_ok());
        assert_eq!(decode(&nested(101)).unwrap_err().code, "too_deep");
    }

    #[test]
    fn thousands_of_levels_are_too_deep_wherever_they_are_and_closed_or_not() {
        let [open, close] = ["[", "]"].map(|bracket| bracket.repeat(5_000));
        let objects = r#"{"a":"#.repeat(5_000);
        let bodies = [
            format!(r#"{{"type":"a","data":{open}{close}}}"#),
            format!(r#"{{"type":"a","data":{open}"#),
            format!(r#"{{"type":"a","data":{objects}"#),
            format!(r#"{{"type":"a","unknown":{open}{close}}}"#),
            format!(r#"{{"specversion":"1.0","ext":{open}{close}}}"#),
            format!("{open}{close}"),
            open.clone(),
            objects,
        ];
        for body in bodies {
            assert_eq!(decode(&body).unwrap_err().code, "too_deep");
        }
    }

    #[test]
    fn a_document_keeps_its_bytes_but_not_the_white_space_around_it() {
        assert_eq!(document(&Bytes::from_static(b"\n {\"a\" : 1} \n")).unwrap(), "{\"a\" : 1}");
        assert_eq!(document(&Bytes::from_static(b"{} {}")).unwrap_err().code, "malformed_json");
        assert_eq!(document(&Bytes::from("[".repeat(101))).unwrap_err().code, "too_deep");
    }
}
