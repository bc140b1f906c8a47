//! Schemas: what the data of an event has to look like, by the event's type.
//!
//! They are read and compiled once, before anything starts; an event is checked against its own file and nothing else:
//! neither the network nor another file is ever asked. The bytes of an event are only looked at, never rewritten.

mod compile;
mod config;
mod violations;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::value::RawValue;

pub use compile::Unusable;
pub use config::Config;

use crate::event::{Payload, Violation};
use compile::Compiled;

/// The schemas of an engine by event type; cheap to clone.
#[derive(Clone, Default)]
pub struct Schemas(Arc<BTreeMap<String, Schema>>);

/// The schema of one event type.
pub struct Schema {
    /// The type of the events that it is for.
    pub event_type: String,
    /// The file as the configuration names it.
    pub file: String,
    compiled: Compiled,
}

/// A schema that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the schema of `{event_type}`, {file}, {source}")]
pub struct SchemaError {
    /// The type of the events that it is for.
    pub event_type: String,
    /// The file as the configuration names it.
    pub file: String,
    /// Why.
    pub source: Unusable,
}

impl Schemas {
    /// Reads and compiles the schemas of a configuration; files are looked for in `base_dir`.
    ///
    /// # Errors
    /// [`SchemaError`] for the first file that cannot be used.
    pub fn load(configured: &[Config], base_dir: &Path) -> Result<Self, SchemaError> {
        let schema = |Config { event_type, file }: &Config| match Compiled::read(&base_dir.join(file)) {
            Ok(compiled) => {
                let schema = Schema { event_type: event_type.clone(), file: file.clone(), compiled };
                Ok((event_type.clone(), schema))
            }
            Err(source) => Err(SchemaError { event_type: event_type.clone(), file: file.clone(), source }),
        };
        let schemas: Result<BTreeMap<String, Schema>, SchemaError> = configured.iter().map(schema).collect();
        Ok(Self(Arc::new(schemas?)))
    }

    /// All of them, by type.
    pub fn iter(&self) -> impl Iterator<Item = &Schema> {
        self.0.values()
    }

    /// Checks the data of an event of this type. A type without a schema costs a look-up and nothing else.
    ///
    /// # Errors
    /// [`Breach`], if the type has a schema and the data breaks it.
    pub fn check(&self, event_type: &str, data: &Payload) -> Result<(), Breach> {
        let Some(schema) = self.0.get(event_type) else { return Ok(()) };
        violations::of(&schema.compiled.validator, data).map_err(|(violations, more)| Breach {
            event_type: event_type.to_owned(),
            violations,
            more,
        })
    }
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Schema {
    /// The schema as it stands in the file.
    #[must_use]
    pub fn document(&self) -> &RawValue {
        &self.compiled.document
    }
}

/// What is wrong with an event whose type has a schema. It holds no values of the event: they may be secrets, and this
/// is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The type whose schema it is.
    pub event_type: String,
    /// What is wrong, at most 32 of it; the pointers are into the event, so that they begin with `/data`.
    pub violations: Vec<Violation>,
    /// How much more is wrong.
    pub more: usize,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details: Vec<&str> = self.violations.iter().map(|violation| violation.detail.as_str()).collect();
        write!(f, "the data breaks the schema of `{}`: {}", self.event_type, details.join("; "))?;
        if self.more > 0 { write!(f, "; and {} more", self.more) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, text: &str) -> Result<Schemas, SchemaError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("paid.json"), text).unwrap();
        let configured = [Config { event_type: "order.paid".into(), file: file.into() }];
        Schemas::load(&configured, folder.path())
    }

    #[test]
    fn only_the_type_of_a_schema_is_checked() {
        let schemas = load("paid.json", r#"{"type":"object"}"#).unwrap();
        schemas.check("order.paid", &Payload::json("{}")).unwrap();
        schemas.check("order.shipped", &Payload::json("7")).unwrap();
        let breach = schemas.check("order.paid", &Payload::json("7")).unwrap_err();
        assert_eq!(
            breach.to_string(),
            r#"the data breaks the schema of `order.paid`: `/data` is not of type "object""#
        );
    }

    #[test]
    fn a_schema_is_shown_as_it_stands_in_its_file() {
        let schemas = load("paid.json", "\n{\"type\": \"integer\", \"maximum\": 1e3 }\n").unwrap();
        let shown: Vec<_> = schemas.iter().map(|schema| (schema.file.as_str(), schema.document().get())).collect();
        assert_eq!(shown, [("paid.json", r#"{"type": "integer", "maximum": 1e3 }"#)]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named_with_its_type() {
        let error = load("payed.json", "{}").unwrap_err().to_string();
        assert!(error.starts_with("the schema of `order.paid`, payed.json, cannot be read: No such file"), "{error}");
    }
}
