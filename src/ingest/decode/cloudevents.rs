//! CloudEvents 1.0: the context attributes in every form, and the data of the structured one.
//!
//! Nothing of HTTP or of a broker may be known here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::attributes::{Attributes, kind_of};
use super::error::DecodeError;
use super::json::{document, slice};
use crate::event::{Extensions, NewEvent, Payload, PayloadKind};

/// The event of a structured object.
pub(super) fn structured(
    mut attributes: Attributes<'_>,
    data: Option<&RawValue>,
    body: &Bytes,
) -> Result<NewEvent, DecodeError> {
    let content_type = attributes.text("datacontenttype");
    let mut payload = Payload { content_type: attributes.content_type(content_type.as_deref()), bytes: None };
    let base64 = attributes.text("data_base64");
    payload.bytes = match (data, base64) {
        (Some(_), Some(_)) => {
            let detail = "`data` and `data_base64` are both there; send one of them";
            attributes.fault("data_base64", "bad_value", detail);
            None
        }
        (Some(raw), None) => json_data(&mut attributes, &payload, raw, body),
        (None, Some(text)) => base64_data(&mut attributes, &payload, &text)?,
        (None, None) => None,
    };
    context(attributes, payload)
}

/// The event of these attributes, which are all that is left.
pub(super) fn context(mut attributes: Attributes<'_>, payload: Payload) -> Result<NewEvent, DecodeError> {
    if attributes.required("specversion").is_some_and(|version| version != "1.0") {
        attributes.fault("specversion", "bad_value", "`specversion` must be \"1.0\", the only version that is read");
    }
    let event = NewEvent {
        id: attributes.required("id"),
        source: attributes.required("source"),
        event_type: attributes.required("type").unwrap_or_default(),
        subject: attributes.text("subject"),
        time: attributes.time("time"),
        deliver_at: attributes.time("deliverat"),
        extensions: extensions(&mut attributes),
        payload,
    };
    attributes.finish(event)
}

/// Everything that has no place of its own. `dataschema` is among them, as the engine only hands it on.
fn extensions(attributes: &mut Attributes<'_>) -> Extensions {
    let mut kept = Extensions::new();
    if let Some(schema) = attributes.text("dataschema") {
        if schema.is_empty() {
            attributes.fault("dataschema", "bad_value", "`dataschema` is empty; leave it out or send a URI");
        }
        kept.insert("dataschema".to_owned(), Value::String(schema));
    }
    for (name, value) in attributes.rest() {
        match value {
            Value::Null => {}
            _ if name == "data" || name == "data_base64" => {
                attributes.fault(&name, "bad_name", format!("`{name}` is no attribute; the body is the data"));
            }
            _ if name == "deliver_at" => {
                let detail = "`deliver_at` is no attribute of a CloudEvent; `deliverat` is";
                attributes.fault(&name, "bad_name", detail);
            }
            // An integer beyond 64 bits has become a float on its way here, too.
            Value::Number(number) if number.is_f64() => {
                let detail = format!("`{name}` must be a string, a boolean or an integer of 64 bits");
                attributes.fault(&name, "bad_value", detail);
            }
            Value::Array(_) | Value::Object(_) => {
                let kind = kind_of(&value);
                let detail = format!("`{name}` must be a string, a boolean or an integer, this is {kind}");
                attributes.fault(&name, "bad_value", detail);
            }
            value => drop(kept.insert(name.into_owned(), value)),
        }
    }
    kept
}

/// The bytes of `data`: JSON as it was sent; of another type the text of a string.
fn json_data(attributes: &mut Attributes<'_>, payload: &Payload, raw: &RawValue, body: &Bytes) -> Option<Bytes> {
    if payload.kind() == PayloadKind::Json || !raw.get().starts_with('"') {
        return Some(slice(body, raw));
    }
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => Some(Bytes::from(text)),
        // A lone surrogate: well-formed JSON, but no text.
        Err(error) => {
            attributes.fault("data", "bad_value", format!("`data` is a string that is no text: {error}"));
            None
        }
    }
}

/// The bytes of `data_base64`, which have to be what their content type says if that is JSON.
fn base64_data(attributes: &mut Attributes<'_>, payload: &Payload, text: &str) -> Result<Option<Bytes>, DecodeError> {
    let bytes = match STANDARD.decode(text) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => {
            let detail = format!("`data_base64` is no base64 of the standard alphabet with padding: {error}");
            attributes.fault("data_base64", "bad_value", detail);
            return Ok(None);
        }
    };
    if payload.kind() != PayloadKind::Json {
        return Ok(Some(bytes));
    }
    match document(&bytes) {
        Ok(json) => Ok(Some(json)),
        Err(error) if error.code == "too_deep" => Err(error),
        Err(error) => {
            let detail = format!("`data_base64` must hold JSON unless `datacontenttype` says otherwise: {error}");
            attributes.fault("data_base64", "bad_value", detail);
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode_structured;
    use super::*;

    const REQUIRED: &str = r#""specversion":"1.0","id":"1","source":"/s","type":"t""#;

    fn decode(members: &str) -> Result<NewEvent, DecodeError> {
        decode_structured(Bytes::from(format!("{{{REQUIRED}{}{members}}}", if members.is_empty() { "" } else { "," })))
    }

    fn faults(error: &DecodeError) -> Vec<(&str, &str)> {
        error.violations.iter().map(|violation| (violation.pointer.as_str(), violation.code)).collect()
    }

    fn data(members: &str) -> Option<Bytes> {
        decode(members).unwrap().payload.bytes
    }

    #[test]
    fn an_event_as_github_would_send_it_is_read_in_full() {
        let data = r#"{"action":"opened","number":17,"pull_request":{"id":9007199254740993,"title":"Läuft “so”"}}"#;
        let body = format!(
            r#"{{"specversion":"1.0","type":"com.github.pull_request","source":"https://github.com/octo/hello",
                "subject":"17","id":"72d3162e-cc78-11e3-81ab-4c9367dc0958","time":"2026-03-04T17:31:00.123+02:00",
                "datacontenttype":"application/json","dataschema":"https://example.com/pr.json",
                "traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","attempt":2,"forced":false,
                "deliverat":"2026-03-05T00:00:00Z","sequence":null,"data": {data} }}"#
        );
        let event = decode_structured(Bytes::from(body)).unwrap();
        assert_eq!(event.id.as_deref(), Some("72d3162e-cc78-11e3-81ab-4c9367dc0958"));
        assert_eq!(event.source.as_deref(), Some("https://github.com/octo/hello"));
        assert_eq!((event.event_type.as_str(), event.subject.as_deref()), ("com.github.pull_request", Some("17")));
        assert_eq!(event.time.unwrap().to_rfc3339(), "2026-03-04T17:31:00.123+02:00");
        assert_eq!(event.deliver_at.unwrap().to_rfc3339(), "2026-03-05T00:00:00+00:00");
        assert_eq!(
            serde_json::to_value(&event.extensions).unwrap(),
            serde_json::json!({
                "attempt": 2, "forced": false, "dataschema": "https://example.com/pr.json",
                "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            })
        );
        assert_eq!(event.payload.content_type.as_deref(), Some("application/json"));
        assert_eq!(event.payload.bytes.unwrap(), data);
    }

    #[test]
    fn the_required_attributes_are_missed_each() {
        let error = decode_structured(Bytes::from_static(b"{}")).unwrap_err();
        let expected = [("/specversion", "missing"), ("/id", "missing"), ("/source", "missing"), ("/type", "missing")];
        assert_eq!((error.code, faults(&error)), ("invalid_event", expected.to_vec()));
    }

    #[test]
    fn an_empty_required_attribute_is_as_good_as_none() {
        let body = Bytes::from_static(br#"{"specversion":"","id":"","source":"","type":""}"#);
        let error = decode_structured(body).unwrap_err();
        assert_eq!(error.violations.len(), 4, "{error:?}");
    }

    #[test]
    fn other_versions_are_refused() {
        let body = Bytes::from_static(br#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#);
        assert_eq!(faults(&decode_structured(body).unwrap_err()), [("/specversion", "bad_value")]);
    }

    #[test]
    fn wrong_attributes_are_named() {
        let cases = [
            (r#""subject":1"#, ("/subject", "bad_value")),
            (r#""subject":"""#, ("/subject", "missing")),
            (r#""time":"2026-13-01T00:00:00Z""#, ("/time", "bad_value")),
            (r#""time":1767600140"#, ("/time", "bad_value")),
            (r#""deliverat":"soon""#, ("/deliverat", "bad_value")),
            (r#""deliver_at":"2026-03-05T00:00:00Z""#, ("/deliver_at", "bad_name")),
            (r#""datacontenttype":"json""#, ("/datacontenttype", "bad_value")),
            (r#""datacontenttype":{}"#, ("/datacontenttype", "bad_value")),
            (r#""dataschema":"""#, ("/dataschema", "bad_value")),
            (r#""dataschema":[]"#, ("/dataschema", "bad_value")),
            (r#""myExt":"x""#, ("/myExt", "bad_name")),
            (r#""a/b~c":"x""#, ("/a~1b~0c", "bad_name")),
            (r#""ext":[1]"#, ("/ext", "bad_value")),
            (r#""ext":{"a":1}"#, ("/ext", "bad_value")),
            (r#""ext":1.5"#, ("/ext", "bad_value")),
            (r#""ext":123456789012345678901234567890"#, ("/ext", "bad_value")),
            (r#""ext":"a\u0000b""#, ("/ext", "nul")),
            (r#""data":1,"data_base64":"MQ==""#, ("/data_base64", "bad_value")),
            (r#""data":null,"data_base64":"MQ==""#, ("/data_base64", "bad_value")),
            (r#""data_base64":1"#, ("/data_base64", "bad_value")),
            (r#""data_base64":"M Q==""#, ("/data_base64", "bad_value")),
            (r#""data_base64":"3q2+7w==""#, ("/data_base64", "bad_value")),
            (r#""datacontenttype":"text/plain","data":"\ud800""#, ("/data", "bad_value")),
        ];
        for (members, expected) in cases {
            let error = decode(members).unwrap_err();
            assert_eq!((error.code, faults(&error)), ("invalid_event", vec![expected]), "{members}");
        }
    }

    #[test]
    fn json_data_keeps_its_bytes_and_its_strings_are_not_parsed_again() {
        assert_eq!(data(r#""data": {"a" : 1E2, "b":"\u00e9"}"#).unwrap(), r#"{"a" : 1E2, "b":"\u00e9"}"#);
        assert_eq!(data(r#""data":"{\"a\":1}""#).unwrap(), r#""{\"a\":1}""#);
        assert_eq!(data(r#""datacontenttype":"application/vnd.x+json; v=1","data":"text""#).unwrap(), "\"text\"");
        assert_eq!(data(r#""data":18446744073709551616"#).unwrap(), "18446744073709551616");
    }

    #[test]
    fn null_is_data_and_no_data_is_none() {
        assert_eq!(data(r#""data":null"#).unwrap(), "null");
        assert_eq!(data(""), None);
        assert_eq!(data(r#""data_base64":null"#), None);
    }

    #[test]
    fn a_string_of_another_content_type_is_its_text() {
        assert_eq!(data(r#""datacontenttype":"text/plain","data":"a\n\u20ac""#).unwrap(), "a\n€");
        assert_eq!(data(r#""datacontenttype":"application/xml","data":"<a/>""#).unwrap(), "<a/>");
        assert_eq!(data(r#""datacontenttype":"application/xml","data":{"a": 1}"#).unwrap(), r#"{"a": 1}"#);
    }

    #[test]
    fn base64_is_bytes_and_must_be_json_where_json_is_said() {
        let binary = data(r#""datacontenttype":"application/octet-stream","data_base64":"3q2+7w==""#).unwrap();
        assert_eq!(&binary[..], b"\xde\xad\xbe\xef");
        assert_eq!(data(r#""data_base64":"eyJhIjoxfQ==""#).unwrap(), r#"{"a":1}"#);
        assert_eq!(data(r#""datacontenttype":"text/plain","data_base64":"""#).unwrap(), "");
        let deep = STANDARD.encode("[".repeat(5_000));
        assert_eq!(decode(&format!(r#""data_base64":"{deep}""#)).unwrap_err().code, "too_deep");
    }

    #[test]
    fn the_longest_texts_are_measured_by_the_event_itself() {
        let body = format!(r#"{{"specversion":"1.0","id":"{}","source":"/s","type":"t"}}"#, "x".repeat(256));
        assert_eq!(faults(&decode_structured(Bytes::from(body)).unwrap_err()), [("/id", "too_long")]);
    }
}
