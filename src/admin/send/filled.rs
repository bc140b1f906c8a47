//! From what was filled in to JSON. Pure.
//!
//! What cannot be written is told with the field; whether the data is as it should be, the schema says. Numbers and JSON
//! are copied as they were typed.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::shape::{Field, Label, Part, Scalar, Takes};
use crate::event::Violation;

/// What stands in the fields, by their names; an empty one is left out.
pub(super) type Values = BTreeMap<String, String>;

/// What the fields hold at first.
pub(super) fn firsts(form: &Part) -> Values {
    let first = |field: &Field| (field.label.pointer.clone(), field.first.clone());
    form.fields().into_iter().map(first).filter(|(_, first)| !first.is_empty()).collect()
}

/// The data; nothing if nothing was filled in.
pub(super) fn compose(form: &Part, values: &Values) -> Result<Option<String>, Vec<Violation>> {
    let mut wrong = Vec::new();
    let json = part(form, values, 0, &mut wrong);
    if wrong.is_empty() { Ok(json) } else { Err(wrong) }
}

fn part(form: &Part, values: &Values, depth: usize, wrong: &mut Vec<Violation>) -> Option<String> {
    let (label, members) = match form {
        Part::Field(field) => return self::field(field, values, wrong),
        Part::Group(label, members) => (label, members),
    };
    let indent = "  ".repeat(depth);
    let written: Vec<String> = members
        .iter()
        .filter_map(|member| {
            let json = part(member, values, depth + 1, wrong)?;
            Some(format!("{indent}  {}: {json}", quoted(&member.label().member())))
        })
        .collect();
    match written.is_empty() {
        true => label.is_required.then(|| "{}".to_owned()),
        false => Some(format!("{{\n{}\n{indent}}}", written.join(",\n"))),
    }
}

fn field(field: &Field, values: &Values, wrong: &mut Vec<Violation>) -> Option<String> {
    let Field { label, takes, is_nullable, .. } = field;
    let Some(typed) = values.get(&label.pointer) else {
        return (label.is_required && *is_nullable).then(|| "null".to_owned());
    };
    let typed = typed.replace("\r\n", "\n");
    let written = match takes {
        Takes::Text => Ok(quoted(&typed)),
        Takes::Number { .. } => plain(typed.trim()).filter(|json| is_number(json)).ok_or("is no number".to_owned()),
        Takes::OneOf(choices) => Some(typed).filter(|typed| choices.contains(typed)).ok_or("is no choice".to_owned()),
        Takes::Lines(scalar) => lines(&typed, *scalar),
        Takes::Json => match serde_json::from_str::<&RawValue>(&typed) {
            Ok(json) => Ok(json.get().to_owned()),
            Err(error) => Err(format!("is not well-formed JSON: {error}")),
        },
    };
    match written {
        Ok(json) => Some(json),
        Err(why) => {
            let detail = format!("`{}` {why}", label.pointer);
            wrong.push(Violation { pointer: label.pointer.clone(), detail, code: "bad_value" });
            None
        }
    }
}

fn lines(typed: &str, scalar: Scalar) -> Result<String, String> {
    let line = |line: &str| match scalar {
        Scalar::Text => Ok(quoted(line)),
        Scalar::Plain => {
            plain(line.trim()).ok_or_else(|| format!("has a line that is no number, `true` or `false`: {line}"))
        }
    };
    let items: Result<Vec<String>, String> = typed.lines().filter(|line| !line.trim().is_empty()).map(line).collect();
    Ok(format!("[{}]", items?.join(", ")))
}

/// A number or a boolean, as it was typed.
fn plain(typed: &str) -> Option<String> {
    let json: &RawValue = serde_json::from_str(typed).ok()?;
    (is_number(json.get()) || ["true", "false"].contains(&json.get())).then(|| json.get().to_owned())
}

fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Part {
    pub(super) fn label(&self) -> &Label {
        match self {
            Self::Field(field) => &field.label,
            Self::Group(label, _) => label,
        }
    }
}

impl Label {
    /// The name of the member, whatever its title is.
    fn member(&self) -> String {
        let last = self.pointer.rsplit('/').next().unwrap_or_default();
        last.replace("~1", "/").replace("~0", "~")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = r#"{"type": "object", "required": ["total", "note", "to"], "properties": {
        "total": {"type": "number", "title": "Sum"}, "note": {"type": ["string", "null"]},
        "currency": {"enum": ["EUR", 7]}, "tags": {"items": {"type": "string"}, "type": "array"},
        "sizes": {"items": {"type": "integer"}, "type": "array"}, "extra": {}, "a/b": {"type": "string"},
        "to": {"type": "object", "properties": {"city": {"type": "string"}}},
        "from": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}}}"#;

    fn filled(schema: &str, values: &[(&str, &str)]) -> Result<Option<String>, Vec<String>> {
        let form = Part::of(serde_json::from_str(schema).unwrap());
        let values = values.iter().map(|(name, value)| (format!("/data{name}"), (*value).to_owned())).collect();
        compose(&form, &values).map_err(|wrong| wrong.into_iter().map(|wrong| wrong.detail).collect())
    }

    #[test]
    fn what_is_filled_in_becomes_json_digit_by_digit() {
        let values = [
            ("/total", " 12345678901234567890.10 "),
            ("/currency", "\"EUR\""),
            ("/tags", "a \"b\"\r\n\r\nc"),
            ("/sizes", "1\n 22222222222222222222 "),
            ("/extra", r#"{"n": 1e2}"#),
            ("/a~1b", "<b>"),
            ("/from/city", "Uppsala"),
        ];
        insta::assert_snapshot!(filled(ORDER, &values).unwrap().unwrap(), @r#"
        {
          "total": 12345678901234567890.10,
          "note": null,
          "currency": "EUR",
          "tags": ["a \"b\"", "c"],
          "sizes": [1, 22222222222222222222],
          "extra": {"n": 1e2},
          "a/b": "<b>",
          "to": {},
          "from": {
            "city": "Uppsala"
          }
        }
        "#);
    }

    #[test]
    fn what_is_left_empty_is_left_out_unless_it_has_to_be_there() {
        assert_eq!(filled(ORDER, &[]).unwrap().unwrap(), "{\n  \"note\": null,\n  \"to\": {}\n}");
        assert_eq!(filled("{}", &[]), Ok(None));
        assert_eq!(filled(r#"{"type": "integer"}"#, &[("", "7")]), Ok(Some("7".to_owned())));
    }

    #[test]
    fn what_cannot_be_written_is_told_with_its_field() {
        let values = [("/total", "1,5"), ("/currency", "EUR"), ("/sizes", "1\ntwo"), ("/extra", "{")];
        let wrong = filled(ORDER, &values).unwrap_err();
        let told: Vec<&str> = wrong.iter().map(|wrong| wrong.split('`').nth(1).unwrap()).collect();
        assert_eq!(told, ["/data/total", "/data/currency", "/data/sizes", "/data/extra"]);
        assert!(wrong[3].contains("is not well-formed JSON"), "{wrong:?}");
        for number in ["\"1\"", "true", "01", "1 2", "NaN", "0x1", ""] {
            assert!(filled(r#"{"type": "number"}"#, &[("", number)]).is_err(), "{number}");
        }
    }
}
