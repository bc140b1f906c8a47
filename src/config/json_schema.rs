//! The JSON Schema of the configuration, for editors: every key with its type, its default and what it is. Made from
//! the structs, so that it cannot say anything else than they do.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Config;
use super::schema::fields;

/// A kind of handler and its options.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The word in `kind = "…"`.
    pub name: &'static str,
    options: fn(&mut SchemaGenerator) -> Schema,
    keys: fn() -> &'static [&'static str],
}

impl Kind {
    /// The kind whose options are `T`.
    #[must_use]
    pub const fn of<T: JsonSchema + DeserializeOwned>(name: &'static str) -> Self {
        Self { name, options: SchemaGenerator::subschema_for::<T>, keys: fields::<T> }
    }

    /// The names of its options, in the order of the code.
    pub(super) fn keys(&self) -> &'static [&'static str] {
        (self.keys)()
    }
}

/// The schema of a configuration whose handlers are of these kinds. There are no references in it: every key stands
/// where it is written.
#[must_use]
pub fn json_schema(kinds: &[Kind]) -> Value {
    // The draft that editors of TOML know.
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut generator = settings.into_generator();
    let mut root = generator.root_schema_for::<Config>();
    let handler = root.pointer("/properties/handler/items").cloned().unwrap_or_default();
    let variants: Vec<Value> = kinds.iter().map(|kind| variant(&handler, kind, &mut generator)).collect();
    if let Some(items) = root.pointer_mut("/properties/handler/items") {
        *items = json!({ "oneOf": variants });
    }
    root.insert("title".to_owned(), "The configuration of Evenkeel".into());
    RecursiveTransform(close).transform(&mut root);
    root.to_value()
}

/// What every handler has, and the options of this kind.
fn variant(handler: &Value, kind: &Kind, generator: &mut SchemaGenerator) -> Value {
    let options = (kind.options)(generator);
    let members = |schema: &Value, name: &str| schema.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut properties: Map<String, Value> = members(handler, "properties");
    properties.extend(members(options.as_value(), "properties"));
    properties.insert("kind".to_owned(), json!({ "const": kind.name, "description": "Which built-in handler it is." }));
    // A list of types may be absent for the decoder; the check wants one with something in it.
    if let Some(Value::Object(types)) = properties.get_mut("types") {
        types.remove("default");
        types.insert("minItems".to_owned(), 1.into());
    }
    let mut required = vec![json!("name"), json!("kind"), json!("types")];
    required.extend(options.get("required").and_then(Value::as_array).into_iter().flatten().cloned());
    json!({
        "title": kind.name, "description": options.get("description"), "type": "object", "properties": properties,
        "required": required,
    })
}

/// An unknown key is an error, as it is for the decoder; and nothing can be absent by writing `null`.
fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let (only, members) = (only.clone(), schema.ensure_object());
            members.remove("anyOf");
            // What the key says of itself comes before what its type says.
            for (name, value) in only {
                members.entry(name).or_insert(value);
            }
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::{KINDS, OPTIONS};

    fn wrong(toml: &str) -> Vec<String> {
        let validator = jsonschema::validator_for(&json_schema(OPTIONS)).unwrap();
        let document: Value = toml::from_str(toml).unwrap();
        validator.iter_errors(&document).map(|error| error.to_string()).collect()
    }

    #[test]
    fn every_kind_says_its_options() {
        assert_eq!(OPTIONS.iter().map(|kind| kind.name).collect::<Vec<_>>(), KINDS);
    }

    #[test]
    fn what_is_shipped_fits() {
        let shipped = include_str!("../../config.toml");
        let settings = |line: &str| line.strip_prefix('#').is_some_and(|rest| !rest.starts_with(' '));
        let uncommented: Vec<&str> =
            shipped.lines().map(|line| if settings(line) { &line[1..] } else { line }).collect();
        assert_eq!(wrong(&uncommented.join("\n")), Vec::<String>::new());
        assert_eq!(wrong(shipped), Vec::<String>::new());
    }

    #[test]
    fn unknown_keys_kinds_and_values_do_not_fit() {
        for text in [
            "servers = {}",
            "server = { bnd = 'x' }",
            "retry = { initial_delay = 'soon' }",
            "server = { body_limit = '1 mile' }",
            "[[handler]]\nname = 'a'\nkind = 'log'\ntypes = ['a']\nurl = 'x'",
            "[[handler]]\nname = 'a'\nkind = 'webhook'\ntypes = ['a']",
            "[[handler]]\nname = 'a'\nkind = 'log'\ntypes = []",
            "[[handler]]\nname = 'a'\nkind = 'lock'\ntypes = ['a']",
        ] {
            assert!(!wrong(text).is_empty(), "{text}");
        }
        assert_eq!(
            wrong("[[handler]]\nname = 'a'\nkind = 'log'\ntypes = ['a']\ntimeout = '1m 30s'"),
            Vec::<String>::new()
        );
    }
}
