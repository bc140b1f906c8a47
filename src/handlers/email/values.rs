//! What templates see of an event: its JSON, in which every number prints as it was written. Pure.
//!
//! Amounts and numbers of accounts are told to people here, so that no number may pass through a type that holds less
//! than its text does.

use std::collections::BTreeMap;

use minijinja::Value;
use serde_json::Error;
use serde_json::value::RawValue;

/// The value of JSON, whose depth is the caller's business.
///
/// # Errors
/// A string or a name that is none.
pub fn value(json: &RawValue) -> Result<Value, Error> {
    let json = json.get();
    Ok(match json.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
            let members = members.into_iter().map(|(name, raw)| Ok((name, value(raw)?)));
            Value::from_pairs(members.collect::<Result<Vec<_>, Error>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            Value::from(items.into_iter().map(value).collect::<Result<Vec<_>, Error>>()?)
        }
        Some(b'-' | b'0'..=b'9') => number(json),
        Some(b'"') => Value::from(serde_json::from_str::<String>(json)?),
        _ => serde_json::from_str::<Option<bool>>(json)?.into(),
    })
}

/// A number if one prints like this, else the text.
fn number(text: &str) -> Value {
    let integer = text.parse::<i128>().ok().map(Value::from);
    let float = || text.parse::<f64>().ok().map(Value::from);
    integer.or_else(float).filter(|number| number.to_string() == text).unwrap_or_else(|| Value::from(text))
}

#[cfg(test)]
mod tests {
    use minijinja::value::ValueKind;
    use minijinja::{Environment, context};
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Result<Value, Error> {
        serde_json::from_str(json).and_then(value)
    }

    fn printed(json: &str) -> String {
        Environment::new().render_str("{{ n }}", context! { n => read(json).unwrap() }).unwrap()
    }

    #[test]
    fn a_number_prints_as_it_was_written() {
        for (text, kind) in [
            ("0", ValueKind::Number),
            ("-7", ValueKind::Number),
            ("12.5", ValueKind::Number),
            ("18446744073709551616", ValueKind::Number),
            ("12345678901234567890123", ValueKind::Number),
            ("1.0", ValueKind::Number),
            ("1.10", ValueKind::String),
            ("1e2", ValueKind::String),
            ("-0", ValueKind::String),
            ("0.1000000000000000055511151231257827", ValueKind::String),
            ("1234567890123456789012345678901234567890123456789", ValueKind::String),
        ] {
            assert_eq!(printed(text), text);
            assert_eq!(read(text).unwrap().kind(), kind, "{text}");
        }
    }

    #[test]
    fn all_else_is_what_it_is_in_json() {
        let json = r#" {"b": [1, "a\n\u00fc", {"c": 2.50}], "a": true, "n": null, "e": [], "o": {}} "#;
        let event = read(json).unwrap();
        let shown = "{{ e.a }} {{ e.n is none }} {{ e.b[1] }} {{ e.b[2].c }} {{ e.e | length }}{{ e.o | length }}";
        let shown = Environment::new().render_str(shown, context! { e => event }).unwrap();
        assert_eq!(shown, "True True a\nü 2.50 00");
        for broken in ["", "{", "[1,", "nul", "{} {}", r#"["\ud800"]"#] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_number_changes_on_its_way(text in r"-?(0|[1-9][0-9]{0,45})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?") {
            prop_assert_eq!(printed(&text), text);
        }
    }
}
