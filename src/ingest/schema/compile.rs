//! From a file to a compiled schema, or to what is wrong with it. Nothing but this one file is read.

use std::path::Path;

use jsonschema::{ReferencingError, ValidationError, Validator};
use serde_json::Value;
use serde_json::error::Error as NoJson;
use serde_json::value::RawValue;

/// A file that holds no schema that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[source] std::io::Error),
    /// It is no JSON.
    #[error("is no JSON: {0}")]
    Json(#[source] NoJson),
    /// It wants what is not in the file.
    #[error("refers to `{0}`, which is not in the file; put it into `$defs` there, and refer to it as `#/$defs/…`")]
    Elsewhere(String),
    /// It is JSON, but no schema.
    #[error("is no JSON Schema: {0}")]
    Schema(String),
}

/// What the validator's crate puts before a reference that is relative to a schema without an `$id`.
const NO_BASE: &str = "json-schema:///";

/// A schema, ready to be checked against.
pub(super) struct Compiled {
    /// As it stands in the file.
    pub document: Box<RawValue>,
    pub validator: Validator,
}

impl Compiled {
    pub fn read(file: &Path) -> Result<Self, Unusable> {
        let text = std::fs::read_to_string(file).map_err(Unusable::Read)?;
        Self::of(&text)
    }

    /// The draft is the one that `$schema` names, 2020-12 without it. `format` is checked in all of them: who writes
    /// it into a schema wants it to hold.
    fn of(text: &str) -> Result<Self, Unusable> {
        let document: Box<RawValue> = serde_json::from_str(text).map_err(Unusable::Json)?;
        let schema: Value = serde_json::from_str(text).map_err(Unusable::Json)?;
        let options = jsonschema::options().offline().should_validate_formats(true);
        let validator = options.build(&schema).map_err(|error| unusable(&error))?;
        Ok(Self { document, validator })
    }
}

fn unusable(error: &ValidationError<'_>) -> Unusable {
    use jsonschema::error::ValidationErrorKind::Referencing;
    match error.kind() {
        Referencing(ReferencingError::Unretrievable { uri, .. }) => {
            Unusable::Elsewhere(uri.strip_prefix(NO_BASE).unwrap_or(uri).to_owned())
        }
        Referencing(ReferencingError::UnknownSpecification { specification }) => {
            Unusable::Schema(format!("`$schema` is `{specification}`, which is no draft that is known"))
        }
        _ if error.instance_path().is_empty() => Unusable::Schema(error.to_string()),
        _ => Unusable::Schema(format!("{error}, at `{}`", error.instance_path())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(schema: &str) -> String {
        match Compiled::of(schema) {
            Ok(_) => panic!("{schema} was taken"),
            Err(error) => error.to_string(),
        }
    }

    fn accepts(schema: &str, instance: &str) -> bool {
        Compiled::of(schema).unwrap().validator.is_valid(&serde_json::from_str(instance).unwrap())
    }

    #[test]
    fn a_reference_within_the_file_is_followed() {
        let schema = r##"{"$id":"https://example.com/order.json","$defs":{"n":{"type":"integer"}},"items":{"$ref":"#/$defs/n"},
                         "contains":{"$ref":"https://example.com/order.json#/$defs/n"}}"##;
        assert!(accepts(schema, "[1]"));
        assert!(!accepts(schema, "[1,\"2\"]"));
    }

    #[test]
    fn a_reference_that_leaves_the_file_is_refused_and_not_followed() {
        for reference in ["http://127.0.0.1:9/a.json", "file:///etc/passwd", "other.json", "../other.json#/$defs/a"] {
            for schema in [
                format!(r#"{{"$ref":"{reference}"}}"#),
                format!(r#"{{"$defs":{{"unused":{{"$ref":"{reference}"}}}}}}"#),
                format!(r#"{{"$dynamicRef":"{reference}"}}"#),
            ] {
                let text = refusal(&schema);
                assert!(text.starts_with("refers to `") && text.contains("`, which is not in the file"), "{text}");
                let file = reference.trim_start_matches("../").split('#').next().unwrap();
                assert!(text.contains(file), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_schema_is_told_with_its_place() {
        let cases = [
            ("{", "is no JSON: EOF while parsing an object at line 1 column 1"),
            ("7", "is no JSON Schema: 7 is not of types \"boolean\", \"object\""),
            (r#"{"minimum":"7"}"#, "is no JSON Schema: \"7\" is not of type \"number\", at `/minimum`"),
            (r#"{"pattern":"("}"#, "is no JSON Schema: \"(\" is not a \"regex\", at `/pattern`"),
            (r##"{"$ref":"#/$defs/a"}"##, "is no JSON Schema: Pointer '/$defs/a' does not exist"),
            (
                r#"{"$schema":"urn:mine"}"#,
                "is no JSON Schema: `$schema` is `urn:mine`, which is no draft that is known",
            ),
        ];
        for (schema, expected) in cases {
            assert_eq!(refusal(schema), expected);
        }
    }

    #[test]
    fn the_draft_is_2020_12_unless_the_file_names_another() {
        // `prefixItems` is new in 2020-12, an array of `items` ended with it.
        let (new, old) = (
            r#"{"prefixItems":[{"type":"string"}]}"#,
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}]}"#,
        );
        for schema in [new, old] {
            assert!(accepts(schema, r#"["a"]"#));
            assert!(!accepts(schema, "[1]"));
        }
        assert!(refusal(r#"{"items":[{"type":"string"}]}"#).starts_with("is no JSON Schema"));
    }

    #[test]
    fn formats_are_checked_and_unknown_ones_are_not() {
        assert!(accepts(r#"{"format":"date-time"}"#, "\"2026-01-05T08:02:20Z\""));
        assert!(!accepts(r#"{"format":"date-time"}"#, "\"yesterday\""));
        assert!(accepts(r#"{"format":"colour"}"#, "\"yesterday\""));
    }
}
