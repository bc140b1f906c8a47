//! From what arrives to events: plain JSON, CloudEvents (structured, binary) and batches.
//!
//! Pure: no actix, no I/O, no clock, and no type of an HTTP framework or a broker's client. Whatever the bytes are,
//! the answer is an event or a [`DecodeError`] that the sender can act on, never a panic. Data is not copied: it
//! stays a slice of the body.

mod attributes;
mod batch;
mod binary;
mod cloudevents;
mod depth;
mod error;
mod json;
mod message;
mod plain;
#[cfg(test)]
mod round_trip;

use bytes::Bytes;

use crate::event::NewEvent;
use json::Form;

pub use binary::decode_binary;
pub use error::{DecodeError, Refusal};
pub use message::decode_message;

/// What one submission may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most events of a batch.
    pub batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch: 1_000 }
    }
}

/// What was sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Submission {
    /// One event.
    One(NewEvent),
    /// Events in their order, each of which may be wrong by itself; at least one.
    Batch(Vec<Result<NewEvent, DecodeError>>),
}

/// Decodes the body of a request. `headers` are all its headers (names in lower case, repeated ones repeatedly);
/// only those that start with `ce-` are looked at.
///
/// ```
/// use evenkeel::ingest::decode::{Limits, Submission, decode};
///
/// let body = bytes::Bytes::from_static(br#"{"type": "order.paid", "data": {"total": 12}}"#);
/// let submission = decode(Some("application/json"), [], body, Limits::default())?;
/// let Submission::One(event) = submission else { panic!("it is no array") };
/// assert_eq!(event.event_type, "order.paid");
/// # Ok::<(), evenkeel::ingest::decode::DecodeError>(())
/// ```
///
/// # Errors
/// What was sent is neither an event nor a batch; [`DecodeError::code`] says why. The members of a batch have
/// errors of their own.
pub fn decode<'h>(
    content_type: Option<&str>,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    body: Bytes,
    limits: Limits,
) -> Result<Submission, DecodeError> {
    let essence = content_type.map(essence).unwrap_or_default();
    match essence.as_str() {
        "application/cloudevents+json" => return decode_structured(body).map(Submission::One),
        "application/cloudevents-batch+json" => {
            return batch::batch(&body, Form::Structured, limits.batch).map(Submission::Batch);
        }
        // Other formats of CloudEvents, XML for one, are not binary mode even if there are `ce-` headers.
        other if other.starts_with("application/cloudevents") => return Err(unsupported(content_type)),
        _ => {}
    }
    let attributes: Vec<_> = headers.into_iter().filter(|(name, _)| name.starts_with(binary::PREFIX)).collect();
    if attributes.iter().any(|(name, _)| *name == "ce-specversion") {
        return binary::headers(content_type, &attributes, body).map(Submission::One);
    }
    if essence != "application/json" {
        return Err(unsupported(content_type));
    }
    if json::first_byte(json::text_of(&body)?) == Some(b'[') {
        return batch::batch(&body, Form::Either, limits.batch).map(Submission::Batch);
    }
    decode_object(body).map(Submission::One)
}

/// Decodes one structured CloudEvent.
///
/// # Errors
/// It is none; [`DecodeError::code`] says why.
pub fn decode_structured(body: Bytes) -> Result<NewEvent, DecodeError> {
    json::object(&body, json::text_of(&body)?, Form::Structured)
}

/// Decodes one JSON object: a structured CloudEvent if it has a `specversion`, else a plain event.
///
/// # Errors
/// It is neither; [`DecodeError::code`] says why.
pub fn decode_object(body: Bytes) -> Result<NewEvent, DecodeError> {
    json::object(&body, json::text_of(&body)?, Form::Either)
}

/// The content type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn unsupported(content_type: Option<&str>) -> DecodeError {
    let sent = match content_type {
        Some(content_type) => format!("the content type `{content_type}` is none that is read here"),
        None => "there is no content type".to_owned(),
    };
    let detail = format!(
        "{sent}; send `application/json`, `application/cloudevents+json`, `application/cloudevents-batch+json`, \
         or a `ce-specversion` header and the data as it is"
    );
    DecodeError::new("unsupported_content_type", detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STRUCTURED: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":[1]}"#;
    const BINARY: [(&str, &[u8]); 5] =
        [("ce-specversion", b"1.0"), ("ce-id", b"h"), ("ce-source", b"/s"), ("ce-type", b"t"), ("host", b"\xff")];

    fn send(
        content_type: &str,
        headers: &[(&'static str, &'static [u8])],
        body: &str,
    ) -> Result<Submission, DecodeError> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let content_type = Some(content_type).filter(|text| !text.is_empty());
        decode(content_type, headers.iter().copied(), body, Limits::default())
    }

    fn one(submission: Result<Submission, DecodeError>) -> NewEvent {
        match submission {
            Ok(Submission::One(event)) => event,
            other => panic!("one event was meant: {other:?}"),
        }
    }

    #[test]
    fn cloudevents_content_types_come_before_headers() {
        for content_type in ["application/cloudevents+json", "Application/CloudEvents+JSON; charset=UTF-8"] {
            assert_eq!(one(send(content_type, &BINARY, STRUCTURED)).id.as_deref(), Some("1"));
        }
        let batch = send("application/cloudevents-batch+json", &BINARY, &format!("[{STRUCTURED}]")).unwrap();
        assert!(matches!(batch, Submission::Batch(members) if members[0].is_ok()));
    }

    #[test]
    fn a_specversion_header_comes_before_json() {
        let event = one(send("application/json", &BINARY, STRUCTURED));
        assert_eq!((event.id.as_deref(), event.payload.bytes.unwrap().as_ref()), (Some("h"), STRUCTURED.as_bytes()));
        assert_eq!(one(send("", &BINARY, "")).payload.bytes, None);
        assert_eq!(one(send("image/png", &BINARY, "x")).payload.content_type.as_deref(), Some("image/png"));
    }

    #[test]
    fn json_is_structured_plain_or_a_batch_by_what_it_holds() {
        for content_type in ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"] {
            assert_eq!(one(send(content_type, &[], STRUCTURED)).source.as_deref(), Some("/s"));
            assert_eq!(one(send(content_type, &[], r#"{"type":"t"}"#)).source, None);
            let batch = send(content_type, &[], &format!("\n [{STRUCTURED}]")).unwrap();
            assert!(matches!(batch, Submission::Batch(members) if members.len() == 1));
        }
    }

    #[test]
    fn a_null_specversion_still_says_that_a_cloudevent_was_meant() {
        let error = send("application/json", &[], r#"{"specversion":null,"type":"t"}"#).unwrap_err();
        assert_eq!(error.violations[0].pointer, "/specversion");
    }

    #[test]
    fn other_content_types_are_unsupported_and_hear_which_are_read() {
        let others = ["", "text/plain", "application/x-www-form-urlencoded", "application/vnd.a+json", "application"];
        for content_type in others {
            let error = send(content_type, &[("ce-id", b"1")], r#"{"type":"t"}"#).unwrap_err();
            assert_eq!((error.code, error.status()), ("unsupported_content_type", Refusal::Unsupported));
            assert!(error.detail.contains("send `application/json`"), "{}", error.detail);
        }
        let error = send("application/cloudevents+xml", &BINARY, "<event/>").unwrap_err();
        assert_eq!(error.code, "unsupported_content_type");
    }

    #[test]
    fn bodies_that_are_no_events_are_malformed() {
        let cases = [
            ("application/json", "", "malformed_json"),
            ("application/json", "{} []", "malformed_json"),
            ("application/json", "[]", "empty_batch"),
            ("application/json", "7", "not_an_object"),
            ("application/cloudevents+json", "[]", "not_an_object"),
            ("application/cloudevents+json", r#"{"type":"t"}"#, "invalid_event"),
            ("application/cloudevents-batch+json", "[]", "empty_batch"),
            ("application/cloudevents-batch+json", STRUCTURED, "not_an_array"),
        ];
        for (content_type, body, expected) in cases {
            let error = send(content_type, &[], body).unwrap_err();
            assert_eq!((error.code, error.status()), (expected, Refusal::Malformed), "{content_type} {body}");
        }
    }

    #[test]
    fn a_batch_above_the_limit_is_too_large() {
        let body = format!("[{}0]", "0,".repeat(1_000));
        let error = send("application/json", &[], &body).unwrap_err();
        assert_eq!((error.code, error.status()), ("batch_too_large", Refusal::TooLarge));
    }

    fn content_types() -> impl Strategy<Value = Option<&'static str>> {
        proptest::sample::select(vec![
            None,
            Some("application/json"),
            Some("application/cloudevents+json"),
            Some("application/cloudevents-batch+json"),
            Some("text/plain"),
        ])
    }

    /// Pieces of JSON in any order: often broken, sometimes an event.
    fn pieces() -> impl Strategy<Value = String> {
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\u00",
            "\\ud800",
            "null",
            "-1",
            "1e999",
            "true",
            " ",
            "\n",
            "\0",
            "é",
            "\"type\":",
            "\"type\":\"t\"",
            "\"id\":\"1\"",
            "\"data\":",
            "\"data_base64\":\"MQ==\"",
            "\"time\":\"2026",
            "\"specversion\":\"1.0\"",
            "\"source\":\"/s\"",
            "\"datacontenttype\":\"text/plain\"",
            "\"x\":",
            "{\"type\":\"t\"}",
        ];
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(
            content_type in content_types(),
            name in "ce-[a-z]{0,4}|ce-specversion",
            value in proptest::collection::vec(any::<u8>(), 0..24),
            body in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let headers = [("ce-specversion", &b"1.0"[..]), (name.as_str(), &value[..])];
            for headers in [&headers[..], &headers[1..], &[]] {
                let _ = decode(content_type, headers.iter().copied(), Bytes::from(body.clone()), Limits::default());
            }
        }

        #[test]
        fn anything_like_json_has_an_answer(content_type in content_types(), text in pieces(), batch in 0_usize..3) {
            for body in [text.clone(), format!("{{{text}}}"), format!("[{{{text}}}]")] {
                let _ = decode(content_type, BINARY, Bytes::from(body.clone()), Limits { batch });
                if let Ok(Submission::One(event)) = decode(content_type, [], Bytes::from(body), Limits { batch }) {
                    prop_assert_eq!(event.violations(), vec![]);
                }
            }
        }
    }
}
