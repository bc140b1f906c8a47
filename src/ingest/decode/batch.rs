//! Batches: an array of events, each of which stands or falls alone.
//!
//! Only what no member can be blamed for (broken JSON, no array, no members or too many) fails the whole.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::depth::is_deeper_than;
use super::error::DecodeError;
use super::json::{Form, first_byte, object, text_of};
use crate::event::{MAX_DEPTH, NewEvent};

/// The events of an array, in order.
pub(super) fn batch(body: &Bytes, form: Form, max: usize) -> Result<Vec<Result<NewEvent, DecodeError>>, DecodeError> {
    let text = text_of(body)?;
    let Members { kept, count } = split(text, max)?;
    if count == 0 {
        return Err(DecodeError::new("empty_batch", "the batch is empty; send at least one event"));
    }
    if count > max {
        let detail = format!("the batch has {count} events; {max} are allowed, send the rest in another one");
        return Err(DecodeError::new("batch_too_large", detail));
    }
    Ok(kept.into_iter().map(|raw| object(body, raw.get(), form)).collect())
}

/// The members, unread. serde_json does this without recursion, so their depth may wait until each is looked at.
fn split(text: &str, max: usize) -> Result<Members<'_>, DecodeError> {
    let mut json = serde_json::Deserializer::from_str(text);
    if first_byte(text).is_some_and(|byte| byte != b'[') {
        return match IgnoredAny::deserialize(&mut json).and_then(|_| json.end()) {
            Ok(()) => Err(DecodeError::new("not_an_array", "a batch is a JSON array of events; put it in [ ]")),
            Err(error) => Err(DecodeError::malformed_json(&error)),
        };
    }
    Split { max }.deserialize(&mut json).and_then(|members| json.end().map(|()| members)).map_err(|error| {
        // Array, envelope, data. That it is too deep is more to the point than that it breaks off down there.
        if is_deeper_than(MAX_DEPTH + 2, text) { DecodeError::too_deep() } else { DecodeError::malformed_json(&error) }
    })
}

/// The first members of an array and how many it has in all.
struct Members<'a> {
    kept: Vec<&'a RawValue>,
    count: usize,
}

/// Keeps no more than `max` members and counts the rest: a body of `[0,0,…]` must not cost many times its size.
struct Split {
    max: usize,
}

impl<'de> DeserializeSeed<'de> for Split {
    type Value = Members<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Split {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members { kept: Vec::new(), count: 0 };
        while members.kept.len() < self.max {
            let Some(raw) = array.next_element()? else { break };
            members.kept.push(raw);
        }
        members.count = members.kept.len();
        while array.next_element::<IgnoredAny>()?.is_some() {
            members.count += 1;
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &str) -> Result<Vec<Result<NewEvent, DecodeError>>, DecodeError> {
        batch(&Bytes::copy_from_slice(body.as_bytes()), Form::Either, 3)
    }

    fn codes(body: &str) -> Vec<&'static str> {
        let code = |member: Result<NewEvent, DecodeError>| member.err().map_or("ok", |error| error.code);
        decode(body).unwrap().into_iter().map(code).collect()
    }

    #[test]
    fn members_fail_alone_and_in_order() {
        assert_eq!(codes(r#"[{"type":"a"},{"type":""},{"type":"c"}]"#), ["ok", "invalid_event", "ok"]);
        assert_eq!(codes(r#"[1,[],{"type":"a","type":"b"}]"#), ["not_an_object", "not_an_object", "duplicate_member"]);
    }

    #[test]
    fn plain_and_structured_members_may_be_mixed_in_plain_json() {
        let body = r#"[{"type":"a"},{"specversion":"1.0","id":"1","source":"/s","type":"b"},{"specversion":"1.0"}]"#;
        assert_eq!(codes(body), ["ok", "ok", "invalid_event"]);
    }

    #[test]
    fn a_batch_of_cloudevents_has_no_plain_members() {
        let body = Bytes::from_static(br#"[{"type":"a"}]"#);
        let error = batch(&body, Form::Structured, 3).unwrap().remove(0).unwrap_err();
        assert_eq!(error.violations[0].pointer, "/specversion");
    }

    #[test]
    fn data_of_a_member_is_a_slice_of_the_body() {
        let body = Bytes::from_static(br#"[ {"type":"a","data":1}, {"type":"b","data": {"x": 2}} ]"#);
        let events = batch(&body, Form::Either, 3).unwrap();
        let data = events[1].as_ref().unwrap().payload.bytes.clone().unwrap();
        assert_eq!(data, r#"{"x": 2}"#);
        assert!(body.as_ptr_range().contains(&data.as_ptr()));
    }

    #[test]
    fn neither_none_nor_too_many_are_a_batch() {
        assert_eq!(decode(" [ ] ").unwrap_err().code, "empty_batch");
        let error = decode(r#"[{"type":"a"},2,3,4,5]"#).unwrap_err();
        assert_eq!(error.code, "batch_too_large");
        assert_eq!(error.detail, "the batch has 5 events; 3 are allowed, send the rest in another one");
    }

    #[test]
    fn a_batch_is_an_array() {
        assert_eq!(decode(r#"{"type":"a"}"#).unwrap_err().code, "not_an_array");
        for body in ["", "{", "[", "[1", "[1,]", "[1] 2", "[{]", "[{\"type\":\"a\"},{\"type\":]"] {
            assert_eq!(decode(body).unwrap_err().code, "malformed_json", "{body}");
        }
    }

    #[test]
    fn the_levels_of_the_batch_do_not_count_as_the_datas() {
        let nested = |levels| format!(r#"[{{"type":"a","data":{}{}}}]"#, "[".repeat(levels), "]".repeat(levels));
        assert_eq!(codes(&nested(100)), ["ok"]);
        assert_eq!(codes(&nested(101)), ["too_deep"]);
    }

    #[test]
    fn a_member_that_is_far_too_deep_fails_alone() {
        let [open, close] = ["[", "]"].map(|bracket| bracket.repeat(5_000));
        assert_eq!(codes(&format!(r#"[{{"type":"a","data":{open}{close}}},{{"type":"b"}}]"#)), ["too_deep", "ok"]);
        assert_eq!(codes(&format!("{open}{close}")), ["too_deep"]);
        assert_eq!(decode(&open).unwrap_err().code, "too_deep");
        let million = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(codes(&million), ["too_deep"]);
    }
}
