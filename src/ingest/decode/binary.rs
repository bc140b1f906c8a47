//! CloudEvents in binary mode: the attributes are headers, the body is the data.
//!
//! [`decode_binary`] takes attributes that are texts or native values, as brokers have them; only HTTP quotes and
//! percent-encodes, so only [`headers`] undoes that. No framework's header type may be named here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use percent_encoding::percent_decode;
use serde_json::Value;

use super::attributes::Attributes;
use super::cloudevents::context;
use super::error::DecodeError;
use super::json::document;
use crate::event::{NewEvent, Payload, PayloadKind, Violation};

/// What the name of an attribute's header starts with, over HTTP.
pub(super) const PREFIX: &str = "ce-";

/// One event from its attributes (`id`, not `ce-id`) and its data. No body is an event without data; whether an
/// empty one is, too, is for the protocol to say.
///
/// # Errors
/// `malformed_header` for an attribute that is there twice and for `datacontenttype`, whose place is
/// `content_type`; `malformed_json` and `too_deep` for JSON data that is none or is nested too deep; `invalid_event`
/// for wrong attributes.
pub fn decode_binary<'a>(
    attributes: impl IntoIterator<Item = (Cow<'a, str>, Value)>,
    content_type: Option<&str>,
    body: Option<Bytes>,
) -> Result<NewEvent, DecodeError> {
    let mut named = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, value) in attributes {
        if name == "datacontenttype" {
            let detail = "`datacontenttype` is no header of its own in binary mode; say it in the content type";
            faults.push(Violation::new(&name, "bad_name", detail));
        } else if named.insert(name.clone(), value).is_some() {
            faults.push(Violation::new(&name, "bad_value", format!("`{name}` is there more than once; send it once")));
        }
    }
    if !faults.is_empty() {
        return Err(DecodeError::of_members("malformed_header", faults));
    }
    let mut attributes = Attributes::new(named);
    let mut payload = Payload { content_type: attributes.content_type(content_type), bytes: body };
    if payload.kind() == PayloadKind::Json {
        payload.bytes = payload.bytes.as_ref().map(document).transpose()?;
    }
    context(attributes, payload)
}

/// One event from the `ce-` headers of an HTTP request and its body, of which an empty one is no data.
pub(super) fn headers(
    content_type: Option<&str>,
    headers: &[(&str, &[u8])],
    body: Bytes,
) -> Result<NewEvent, DecodeError> {
    let mut attributes = Vec::with_capacity(headers.len());
    let mut faults = Vec::new();
    for (header, value) in headers {
        let name = header.strip_prefix(PREFIX).unwrap_or(header);
        match header_text(value) {
            Ok(text) => attributes.push((Cow::Borrowed(name), Value::String(text))),
            Err(why) => faults.push(Violation::new(name, "bad_value", format!("the header `{header}` {why}"))),
        }
    }
    if !faults.is_empty() {
        return Err(DecodeError::of_members("malformed_header", faults));
    }
    decode_binary(attributes, content_type, (!body.is_empty()).then_some(body))
}

/// The text that a header's value stands for: quotes are undone first, then exactly one round of percent-encoding.
fn header_text(value: &[u8]) -> Result<String, &'static str> {
    let unquoted = unquote(value.trim_ascii())?;
    let bytes: Vec<u8> = percent_decode(&unquoted).collect();
    String::from_utf8(bytes).map_err(|_| "is no UTF-8 after percent-decoding; encode the UTF-8 bytes of the text")
}

/// The content of a quoted string (RFC 9110, 5.6.4); a value without quotes as it is.
fn unquote(value: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    const UNBALANCED: &str = "begins with a quote that does not close at its end; encode a quote as %22";
    let [b'"', quoted @ ..] = value else { return Ok(Cow::Borrowed(value)) };
    let mut content = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if bytes.len() == 0 => return Ok(Cow::Owned(content)),
            b'"' => return Err(UNBALANCED),
            b'\\' => content.push(bytes.next().ok_or(UNBALANCED)?),
            _ => content.push(byte),
        }
    }
    Err(UNBALANCED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &[u8]); 4] =
        [("ce-specversion", b"1.0"), ("ce-id", b"1"), ("ce-source", b"/s"), ("ce-type", b"t")];

    fn decode(
        more: &[(&str, &[u8])],
        content_type: Option<&str>,
        body: &'static [u8],
    ) -> Result<NewEvent, DecodeError> {
        headers(content_type, &[&REQUIRED, more].concat(), Bytes::from_static(body))
    }

    fn faults(error: &DecodeError) -> Vec<(&str, &str)> {
        error.violations.iter().map(|violation| (violation.pointer.as_str(), violation.code)).collect()
    }

    #[test]
    fn headers_are_attributes_and_the_body_is_the_data() {
        let more: [(&str, &[u8]); 5] = [
            ("ce-subject", b"order 7"),
            ("ce-time", b"2026-01-05T08:02:20+01:00"),
            ("ce-deliverat", b"2026-01-06T00:00:00Z"),
            ("ce-dataschema", b"https://example.com/a.json"),
            ("ce-sequence", b"5"),
        ];
        let event = decode(&more, Some("application/octet-stream"), b"\xde\xad").unwrap();
        let payload = Payload {
            content_type: Some("application/octet-stream".into()),
            bytes: Some(Bytes::from_static(b"\xde\xad")),
        };
        let expected = NewEvent {
            time: Some("2026-01-05T08:02:20+01:00".parse().unwrap()),
            ..NewEvent::raw("t", payload)
                .id("1")
                .source("/s")
                .subject("order 7")
                .deliver_at("2026-01-06T00:00:00Z".parse().unwrap())
                .extension("dataschema", "https://example.com/a.json")
                .extension("sequence", "5")
        };
        assert_eq!(event, expected);
    }

    #[test]
    fn values_are_unquoted_and_then_percent_decoded_once() {
        let cases: [(&[u8], &str); 10] = [
            (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            (b"\"Euro%20%E2%82%AC%20%F0%9F%98%80\"", "Euro € 😀"),
            (b"%2525", "%25"),
            (b"%c3%a9", "é"),
            (b"100%", "100%"),
            (b"%zz", "%zz"),
            (b"\"a \\\"b\\\" \\\\c\"", "a \"b\" \\c"),
            (b"%22a%22", "\"a\""),
            (b"a\\b \"c\"", "a\\b \"c\""),
            ("é".as_bytes(), "é"),
        ];
        for (value, expected) in cases {
            assert_eq!(header_text(value).as_deref(), Ok(expected), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn values_that_are_no_text_are_refused() {
        for value in [&b"%FF"[..], b"%C3", b"\xe9", b"\"open", b"\"", b"\"a\" b", b"\"a\\\"", b"\"a\\"] {
            let error = decode(&[("ce-subject", value)], None, b"").unwrap_err();
            assert_eq!((error.code, faults(&error)), ("malformed_header", vec![("/subject", "bad_value")]));
        }
    }

    #[test]
    fn an_empty_body_is_no_data() {
        let event = decode(&[], Some("application/json"), b"").unwrap();
        assert_eq!(event.payload, Payload { content_type: Some("application/json".into()), bytes: None });
    }

    #[test]
    fn json_must_be_well_formed_and_not_too_deep_and_its_bytes_stay() {
        let json = |body| decode(&[], Some("application/json; charset=utf-8"), body);
        assert_eq!(
            json(b" {\"n\" : 18446744073709551616}\n").unwrap().payload.bytes.unwrap(),
            "{\"n\" : 18446744073709551616}"
        );
        assert_eq!(json(b"{\"n\":}").unwrap_err().code, "malformed_json");
        assert_eq!(json(b"{} {}").unwrap_err().code, "malformed_json");
        assert_eq!(json(b"\"\xff\"").unwrap_err().code, "malformed_json");
        assert_eq!(json([b'['; 5_000].as_slice()).unwrap_err().code, "too_deep");
        assert_eq!(decode(&[], None, b"hello").unwrap_err().code, "malformed_json");
    }

    #[test]
    fn an_array_or_an_envelope_in_the_body_is_only_data() {
        let event = decode(&[], Some("application/json"), b"[{\"specversion\":\"1.0\"}]").unwrap();
        assert_eq!(event.payload.bytes.unwrap(), "[{\"specversion\":\"1.0\"}]");
    }

    #[test]
    fn repeated_headers_and_a_content_type_of_its_own_are_refused() {
        let error = decode(&[("ce-id", b"1"), ("ce-datacontenttype", b"text/plain")], None, b"").unwrap_err();
        let expected = vec![("/id", "bad_value"), ("/datacontenttype", "bad_name")];
        assert_eq!((error.code, faults(&error)), ("malformed_header", expected));
    }

    #[test]
    fn wrong_attributes_are_named() {
        let cases: [(&str, &[u8], (&str, &str)); 5] = [
            ("ce-my-ext", b"x", ("/my-ext", "bad_name")),
            ("ce-data", b"x", ("/data", "bad_name")),
            ("ce-time", b"now", ("/time", "bad_value")),
            ("ce-subject", b"", ("/subject", "missing")),
            ("ce-ext", b"a%00b", ("/ext", "nul")),
        ];
        for (name, value, expected) in cases {
            let error = decode(&[(name, value)], None, b"").unwrap_err();
            assert_eq!((error.code, faults(&error)), ("invalid_event", vec![expected]));
        }
        let error = decode(&[], Some("nonsense"), b"").unwrap_err();
        assert_eq!(faults(&error), [("/datacontenttype", "bad_value")]);
        let error = headers(None, &[("ce-specversion", b"2.0")], Bytes::new()).unwrap_err();
        let expected =
            [("/specversion", "bad_value"), ("/id", "missing"), ("/source", "missing"), ("/type", "missing")];
        assert_eq!(faults(&error), expected);
    }

    #[test]
    fn native_values_of_a_broker_are_kept() {
        let required = [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")];
        let texts = required.map(|(name, text)| (Cow::Borrowed(name), Value::from(text)));
        let native = [(Cow::Borrowed("sequence"), Value::from(7)), (Cow::Borrowed("raw"), Value::from("100%25"))];
        let event = decode_binary(texts.into_iter().chain(native), Some("text/plain"), Some(Bytes::new())).unwrap();
        assert_eq!(event.extensions["sequence"], 7);
        assert_eq!(event.extensions["raw"], "100%25");
        assert_eq!(event.payload.bytes, Some(Bytes::new()));
    }
}
