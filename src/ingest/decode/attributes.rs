//! Attributes by name, taken one after the other and typed; what is wrong with them adds up.
//!
//! Both JSON forms and the headers end up here, so that an attribute means the same whichever way it came. Nothing
//! here stops at the first fault: the sender hears of all of them at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, FixedOffset};
use serde_json::Value;

use super::error::DecodeError;
use crate::event::{NewEvent, Violation};

/// The longest `datacontenttype`, in bytes.
const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// The attributes that nobody has taken yet, and what was wrong with the others.
pub(super) struct Attributes<'a> {
    left: BTreeMap<Cow<'a, str>, Value>,
    violations: Vec<Violation>,
}

impl<'a> Attributes<'a> {
    pub(super) const fn new(left: BTreeMap<Cow<'a, str>, Value>) -> Self {
        Self { left, violations: Vec::new() }
    }

    /// The attribute's value; null counts as unset.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// The attribute's text, if it is set.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => {
                self.fault(name, "bad_value", format!("`{name}` must be a string, this is {}", kind_of(&other)));
                None
            }
        }
    }

    /// The attribute's text, which has to be there.
    pub(super) fn required(&mut self, name: &str) -> Option<String> {
        if self.left.get(name).is_none_or(Value::is_null) {
            self.fault(name, "missing", format!("`{name}` is missing"));
        }
        self.text(name)
    }

    /// The attribute's time, with its offset.
    pub(super) fn time(&mut self, name: &str) -> Option<DateTime<FixedOffset>> {
        let text = self.text(name)?;
        match DateTime::parse_from_rfc3339(&text) {
            Ok(time) => Some(time),
            Err(error) => {
                let detail = format!("`{name}` is no RFC 3339 time such as 2026-01-05T08:02:20Z: {error}");
                self.fault(name, "bad_value", detail);
                None
            }
        }
    }

    /// A content type, checked: it goes into other protocols' headers later.
    pub(super) fn content_type(&mut self, text: Option<&str>) -> Option<String> {
        let text = text?.trim();
        if is_media_type(text) {
            return Some(text.to_owned());
        }
        let detail = "`datacontenttype` is no media type such as application/json";
        self.fault("datacontenttype", "bad_value", detail);
        None
    }

    /// Notes what is wrong with an attribute.
    pub(super) fn fault(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.violations.push(Violation::new(name, code, detail));
    }

    /// What nobody took.
    pub(super) fn rest(&mut self) -> BTreeMap<Cow<'a, str>, Value> {
        std::mem::take(&mut self.left)
    }

    /// The event, if nothing is wrong with it.
    pub(super) fn finish(mut self, event: NewEvent) -> Result<NewEvent, DecodeError> {
        // What stands in for a missing or wrong attribute is not worth a second complaint.
        let known: BTreeSet<&str> = self.violations.iter().map(|violation| violation.pointer.as_str()).collect();
        let mut more = event.violations();
        more.retain(|violation| !known.contains(violation.pointer.as_str()));
        self.violations.append(&mut more);
        if self.violations.is_empty() { Ok(event) } else { Err(DecodeError::invalid(self.violations)) }
    }
}

/// What a JSON value is, for people.
pub(super) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// `type/subtype` of token characters, and printable parameters.
fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let token = |part: &str| !part.is_empty() && part.bytes().all(is_token_byte);
    text.len() <= MAX_CONTENT_TYPE_BYTES
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Payload;

    fn attributes(members: Value) -> Attributes<'static> {
        let Value::Object(members) = members else { panic!("an object was meant") };
        Attributes::new(members.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect())
    }

    #[test]
    fn null_counts_as_unset() {
        let mut attributes = attributes(serde_json::json!({"subject": null, "time": null}));
        assert_eq!((attributes.text("subject"), attributes.time("time")), (None, None));
        assert_eq!(attributes.violations, []);
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        for (value, kind) in [("1", "a number"), ("[]", "an array"), ("{}", "an object"), ("true", "a boolean")] {
            let mut attributes = attributes(serde_json::json!({"id": serde_json::from_str::<Value>(value).unwrap()}));
            attributes.text("id");
            assert_eq!(attributes.violations[0].detail, format!("`id` must be a string, this is {kind}"));
        }
    }

    #[test]
    fn a_missing_attribute_is_complained_of_once() {
        let mut attributes = attributes(serde_json::json!({}));
        let event = NewEvent::raw(attributes.required("type").unwrap_or_default(), Payload::default());
        let error = attributes.finish(event).unwrap_err();
        assert_eq!((error.detail.as_str(), error.violations.len()), ("`type` is missing", 1));
    }

    #[test]
    fn times_keep_their_offset_and_what_is_no_time_is_a_fault() {
        let mut attributes = attributes(serde_json::json!({"a": "2026-01-05T08:02:20.5+05:30", "b": "yesterday"}));
        assert_eq!(attributes.time("a").unwrap().to_rfc3339(), "2026-01-05T08:02:20.500+05:30");
        assert_eq!(attributes.time("b"), None);
        assert_eq!(attributes.violations[0].pointer, "/b");
    }

    #[test]
    fn content_types_are_media_types_with_or_without_parameters() {
        for fine in
            ["application/json", "text/plain; charset=utf-8", "application/vnd.a-b.c+json", "Text/HTML ;a=\"b c\""]
        {
            assert!(is_media_type(fine), "{fine}");
        }
        for wrong in ["", "json", "/json", "text/", "a b/c", "text/plain;a=\0", "text/plain\r\nx: y", "text/plain; é"]
        {
            assert!(!is_media_type(wrong), "{wrong}");
        }
        assert!(!is_media_type(&format!("text/{}", "x".repeat(251))));
    }
}
