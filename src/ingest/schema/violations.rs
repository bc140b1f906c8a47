//! What is wrong with an event's data, in the words that all violations have. Pure.
//!
//! However much a hostile event breaks, the answer stays small: so many violations, with pointers of a bounded length,
//! and no values out of the data.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::event::{Payload, PayloadKind, Violation};

/// The most violations that are told of one event.
const MAX_VIOLATIONS: usize = 32;

/// Of data with more values than this only the first violation is told: the validator finds all of them at once, and
/// half a million wrong numbers in a body of 1 MiB took it 600 MB.
const MAX_VALUES: usize = 10_000;

/// The longest pointer, in bytes. A longer one leads to what is around the member.
const MAX_POINTER_BYTES: usize = 512;

/// The longest detail beside its pointer, in bytes: what a schema says can be long, too.
const MAX_DETAIL_BYTES: usize = 512;

/// Checks data: nothing if it is as it should be, else the first violations and how many more there are.
pub(super) fn of(validator: &Validator, data: &Payload) -> Result<(), (Vec<Violation>, usize)> {
    let only = |violation| Err((vec![violation], 0));
    if data.kind() != PayloadKind::Json {
        let content_type = data.content_type.as_deref().unwrap_or_default();
        let detail = format!("the type has a schema, so its data has to be JSON; this is `{content_type}`");
        return only(Violation::new("datacontenttype", "bad_value", detail));
    }
    let Some(bytes) = &data.bytes else {
        return only(Violation::new("data", "missing", "the type has a schema, and the event has no data"));
    };
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return only(Violation::new("data", "bad_value", format!("`/data` cannot be read: {error}"))),
    };
    // By far the most events are as they should be, and this allocates nothing.
    if validator.is_valid(&value) {
        return Ok(());
    }
    let (mut found, mut left) = (Found::default(), MAX_VALUES);
    if is_larger_than(&mut left, &value) {
        found.extend(validator.validate(&value).err());
    } else {
        found.extend(validator.iter_errors(&value));
    }
    Err((found.violations, found.more))
}

/// Whether data has more values than are left to be counted.
fn is_larger_than(left: &mut usize, value: &Value) -> bool {
    if *left == 0 {
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter().any(|item| is_larger_than(left, item)),
        Value::Object(members) => members.values().any(|member| is_larger_than(left, member)),
        _ => false,
    }
}

#[derive(Default)]
struct Found {
    violations: Vec<Violation>,
    more: usize,
}

impl Found {
    fn extend<'a>(&mut self, errors: impl IntoIterator<Item = ValidationError<'a>>) {
        for error in errors {
            self.add(&error);
        }
    }

    fn add(&mut self, error: &ValidationError<'_>) {
        use ValidationErrorKind as Kind;
        let at = error.instance_path().as_str();
        match error.kind() {
            Kind::Required { property } => {
                let member = property.as_str().unwrap_or_default();
                self.push("missing", || member_of(at, member), |pointer| format!("{pointer} is missing"));
            }
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                for member in unexpected {
                    let detail = |pointer: &str| format!("{pointer} is no member that the schema knows");
                    self.push("unknown_member", || member_of(at, member), detail);
                }
            }
            kind => self.push(
                code(kind),
                || format!("/data{at}"),
                |pointer| {
                    let text = error.masked_with(pointer).to_string();
                    if text.contains(pointer) { text } else { format!("{pointer}: {text}") }
                },
            ),
        }
    }

    /// One more, if there is room for it.
    fn push(&mut self, code: &'static str, pointer: impl Fn() -> String, detail: impl Fn(&str) -> String) {
        if self.violations.len() == MAX_VIOLATIONS {
            self.more += 1;
            return;
        }
        let pointer = within(pointer());
        let quoted = format!("`{pointer}`");
        let mut detail = detail(&quoted);
        if detail.len() > MAX_DETAIL_BYTES + quoted.len() {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES + quoted.len()));
            detail.push('…');
        }
        self.violations.push(Violation { pointer, detail, code });
    }
}

fn member_of(object: &str, member: &str) -> String {
    format!("/data{object}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// The pointer, or the part of it that is short enough and still leads somewhere.
fn within(mut pointer: String) -> String {
    while pointer.len() > MAX_POINTER_BYTES {
        pointer.truncate(pointer.rfind('/').unwrap_or_default());
    }
    pointer
}

/// The word for programs, out of those that all violations have.
const fn code(kind: &ValidationErrorKind) -> &'static str {
    match kind {
        ValidationErrorKind::MaxLength { .. } => "too_long",
        _ => "bad_value",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn check(schema: &Value, data: &Payload) -> Vec<(String, &'static str, String)> {
        let validator = jsonschema::options().build(schema).unwrap();
        let violations = of(&validator, data).map_or_else(|(violations, _)| violations, |()| Vec::new());
        violations.into_iter().map(|found| (found.pointer, found.code, found.detail)).collect()
    }

    fn order() -> Value {
        json!({
            "type": "object",
            "required": ["total", "lines"],
            "additionalProperties": false,
            "properties": {
                "total": { "type": "number", "minimum": 0 },
                "currency": { "enum": ["EUR", "USD"] },
                "note": { "maxLength": 5, "pattern": "^[a-z]*$" },
                "lines": { "minItems": 1, "items": { "type": "object", "required": ["a/b"] } },
                "kind": { "const": "sale" },
                "who": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
            },
        })
    }

    #[test]
    fn data_that_is_as_it_should_be_breaks_nothing() {
        let data = r#"{"total": 12.50, "lines": [{"a/b": 1}], "note": "so", "who": 7}"#;
        assert_eq!(check(&order(), &Payload::json(data)), []);
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_path_and_without_its_value() {
        let data = r#"{"total": -4711, "lines": [{"a/b": 1}, {"secret": 1}, 4711], "currency": "4711", "note": "NOT 4711",
                       "kind": "4711", "who": ["4711"], "x~y": 4711}"#;
        let found = check(&order(), &Payload::json(data));
        let told: Vec<String> =
            found.iter().map(|(pointer, code, detail)| format!("{pointer} {code}: {detail}")).collect();
        assert!(!told.iter().any(|line| line.contains("4711")), "{told:#?}");
        insta::assert_snapshot!(told.join("\n"), @r#"
        /data/currency bad_value: `/data/currency` is not one of "EUR" or "USD"
        /data/kind bad_value: `/data/kind`: "sale" was expected
        /data/lines/1/a~1b missing: `/data/lines/1/a~1b` is missing
        /data/lines/2 bad_value: `/data/lines/2` is not of type "object"
        /data/note too_long: `/data/note` is longer than 5 characters
        /data/note bad_value: `/data/note` does not match "^[a-z]*$"
        /data/total bad_value: `/data/total` is less than the minimum of 0
        /data/who bad_value: `/data/who` is not valid under any of the schemas listed in the 'anyOf' keyword
        /data/x~0y unknown_member: `/data/x~0y` is no member that the schema knows
        "#);
    }

    #[test]
    fn a_schema_wants_data_and_wants_it_as_json() {
        let any = json!(true);
        let text = Payload { content_type: Some("text/plain".into()), bytes: Some(Bytes::from_static(b"1")) };
        let cases = [(text, "/datacontenttype", "bad_value"), (Payload::default(), "/data", "missing")];
        for (data, pointer, code) in cases {
            assert_eq!(check(&any, &data)[0].0, pointer);
            assert_eq!(check(&any, &data)[0].1, code);
        }
        for broken in ["", "{", "1e999", &"[".repeat(5_000)] {
            let found = check(&any, &Payload::json(broken.to_owned()));
            assert_eq!((found.len(), found[0].0.as_str(), found[0].1), (1, "/data", "bad_value"), "{broken:.9}");
        }
        assert_eq!(check(&any, &Payload::json("null")), []);
        let vendor = Payload { content_type: Some("application/vnd.a+json".into()), bytes: Some("1".into()) };
        assert_eq!(check(&json!({ "type": "integer" }), &vendor), []);
    }

    #[test]
    fn big_integers_are_integers() {
        let schema = json!({ "type": "integer", "minimum": 18_446_744_073_709_551_615_u64 });
        for number in ["18446744073709551615", "18446744073709551616", "123456789012345678901234567890"] {
            assert_eq!(check(&schema, &Payload::json(number)), [], "{number}");
        }
        assert_eq!(check(&schema, &Payload::json("18446744073709551614")).len(), 1);
    }

    #[test]
    fn the_answer_stays_small_whatever_is_sent() {
        let long = "x".repeat(100_000);
        let validator = jsonschema::options().build(&json!({
            "properties": { "list": { "items": { "type": "string" } } },
            "additionalProperties": false,
        }));
        let validator = validator.unwrap();
        let data = |count| json!({ "list": vec![0; count], &long: 1, "y": 1, "z": { &long: 1 } }).to_string();
        let (violations, more) = of(&validator, &Payload::json(data(9_990))).unwrap_err();
        assert_eq!((violations.len(), more), (32, 9_993 - 32));
        let size = |found: &Violation| found.pointer.len() + found.detail.len();
        assert!(violations.iter().map(size).sum::<usize>() < 32 * 3 * MAX_POINTER_BYTES);
        let (violations, more) = of(&validator, &Payload::json(data(10_000))).unwrap_err();
        assert_eq!((violations.len(), more), (1, 0));
        let strict = jsonschema::options().build(&json!({ "additionalProperties": { "additionalProperties": false } }));
        let data = json!({ "z": { "x".repeat(100_000): 1 } });
        let (violations, _) = of(&strict.unwrap(), &Payload::json(data.to_string())).unwrap_err();
        assert_eq!(violations[0].pointer, "/data/z");
    }
}
