//! The reference of the configuration as a page: every section and key. Made from the JSON Schema, and so from the
//! structs and their docs; only what stands before the first section is written here.

use serde_json::Value;
use toml_edit::DocumentMut;

use super::Config;
use super::json_schema::{Kind, json_schema};
use super::schema::fields;
use crate::handle;

const INTRODUCTION: &str = "\
# Configuration

Every key of `config.toml`, with its default. This page is made from the code by `evenkeel docs configuration`, and a
test compares the two. [config.toml](../config.toml) is the same as a file to start from.

`evenkeel serve`, `check`, `migrate` and `config` read `--config FILE`, or `EVENKEEL_CONFIG`, or `./config.toml`; without
any of them the defaults hold. An unknown key is an error that names its line and what was probably meant.
`evenkeel check` says what is wrong, and `evenkeel config` shows what holds and where each value was said.

A variable of the environment overrides a key of the file: `EVENKEEL__SECTION__KEY`, and for a handler of the file
`EVENKEEL__HANDLER__<NAME>__<KEY>`, where what is neither letter nor digit in its name is written as `_`.

A *duration* is written `\"500ms\"`, `\"30s\"`, `\"1m 30s\"` or `\"1h\"`, a *size* `\"1MiB\"`, `\"500kB\"` or as a number of bytes.
Paths of schemas and templates are relative to the file, those of the database and of reports to the working directory.

An editor that knows JSON Schema for TOML completes and checks the file. Write the schema beside it, and name it in the
file's first line:

```sh
evenkeel config schema > evenkeel.schema.json
```

```toml
#:schema ./evenkeel.schema.json
```
";

const HANDLERS: &str = "\
What is done with which events: one `[[handler]]` each, as many as are wanted. These keys are the same for all kinds;
[handlers.md](handlers.md) tells what each kind does.";

/// The page, for handlers of these kinds.
#[must_use]
pub fn reference(kinds: &[Kind]) -> String {
    let (root, order) = (json_schema(kinds), Order::new());
    let mut page = INTRODUCTION.to_owned();
    for (section, schema) in in_order(&root, fields::<Config>()) {
        let known = order.keys(section);
        match schema.get("items") {
            Some(_) if section == "handler" => handlers(&mut page, schema, kinds, &order),
            Some(item) => {
                let rows = rows(item, &known, &order, None);
                put(&mut page, &format!("## `[[{section}]]`"), described(schema), &rows);
            }
            None => {
                let variable = format!("EVENKEEL__{section}__").to_ascii_uppercase();
                let rows = rows(schema, &known, &order, Some(&variable));
                put(&mut page, &format!("## `[{section}]`"), described(schema), &rows);
            }
        }
    }
    page
}

fn handlers(page: &mut String, schema: &Value, kinds: &[Kind], order: &Order) {
    const VARIABLE: Option<&str> = Some("EVENKEEL__HANDLER__<NAME>__");
    let is_shared = |row: &Row| handle::Config::KEYS.contains(&row.key.split('.').next().unwrap_or_default());
    for (index, kind) in kinds.iter().enumerate() {
        let variant = &schema["items"]["oneOf"][index];
        let known: Vec<&str> = handle::Config::KEYS.iter().chain(kind.keys()).copied().collect();
        let (mut shared, own): (Vec<Row>, Vec<Row>) =
            rows(variant, &known, order, VARIABLE).into_iter().partition(is_shared);
        if index == 0 {
            let words: Vec<String> = kinds.iter().map(|kind| format!("`\"{}\"`", kind.name)).collect();
            for row in shared.iter_mut().filter(|row| row.key == "kind") {
                row.value = words.join(", ");
            }
            put(page, "## `[[handler]]`", HANDLERS, &shared);
        }
        put(page, &format!("### `kind = \"{}\"`", kind.name), described(variant), &own);
    }
}

/// The order of the keys in the code: JSON itself sorts them by name.
struct Order(DocumentMut);

impl Order {
    fn new() -> Self {
        // The default of every room is plain TOML; without it the keys would only be in another order.
        Self(toml::to_string(&Config::default()).unwrap_or_default().parse().unwrap_or_default())
    }

    fn keys(&self, section: &str) -> Vec<&str> {
        let section = self.0.get(section).and_then(toml_edit::Item::as_table);
        section.into_iter().flat_map(|table| table.iter().map(|(key, _)| key)).collect()
    }
}

/// A line of a table.
struct Row {
    key: String,
    value: String,
    default: String,
    variable: String,
    what: String,
}

/// The keys of a table, and of the tables in it as `retry.jitter`.
fn rows(table: &Value, known: &[&str], order: &Order, variable: Option<&str>) -> Vec<Row> {
    let required = table.get("required").and_then(Value::as_array);
    let mut found = Vec::new();
    for (key, schema) in in_order(table, known) {
        let variable = variable.map(|prefix| format!("{prefix}{}", key.to_ascii_uppercase()));
        if schema.get("properties").is_some() {
            let inner = rows(schema, &order.keys(key), order, variable.map(|name| format!("{name}__")).as_deref());
            found.extend(inner.into_iter().map(|row| Row { key: format!("{key}.{}", row.key), ..row }));
            continue;
        }
        let is_required = required.is_some_and(|names| names.iter().any(|name| name == key));
        let default = match schema.get("default").map(toml::Value::try_from) {
            Some(Ok(default)) => format!("`{default}`"),
            _ if is_required => "required".to_owned(),
            _ => "–".to_owned(),
        };
        found.push(Row {
            key: key.to_owned(),
            value: value(schema),
            default,
            variable: variable.map_or_else(|| "–".to_owned(), |name| format!("`{name}`")),
            what: explained(schema),
        });
    }
    found
}

/// What can be written there, in words.
fn value(schema: &Value) -> String {
    let literal = |word: &Value| toml::Value::try_from(word).map(|word| format!("`{word}`")).unwrap_or_default();
    let words: Vec<String> = match schema.get("enum").and_then(Value::as_array) {
        Some(words) => words.iter().map(literal).collect(),
        None => choices(schema).map(|(word, _)| literal(word)).collect(),
    };
    if !words.is_empty() {
        return words.join(", ");
    }
    if let Some(title) = schema.get("title").and_then(Value::as_str) {
        return title.to_owned();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "text".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("number") => "number".to_owned(),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("array") => format!("list of {}", value(&schema["items"])),
        _ => "table".to_owned(),
    }
}

/// The words of a choice whose words are explained one by one.
fn choices(schema: &Value) -> impl Iterator<Item = (&Value, &str)> {
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    variants.filter_map(|variant| Some((variant.get("const")?, described(variant))))
}

fn explained(schema: &Value) -> String {
    let says_more = |word: &Value, text: &str| word.as_str().is_some_and(|word| text.trim_matches('`') != word);
    let more = choices(schema).filter(|(word, text)| says_more(word, text));
    let parts = std::iter::once(described(schema).to_owned());
    parts.chain(more.map(|(word, text)| format!("`{word}`: {text}"))).collect::<Vec<_>>().join(" ")
}

fn described(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

fn put(page: &mut String, heading: &str, text: &str, rows: &[Row]) {
    page.push_str(&format!("\n{heading}\n\n{text}\n"));
    if rows.is_empty() {
        return;
    }
    page.push_str("\n| key | value | default | what it is | variable |\n|---|---|---|---|---|\n");
    for Row { key, value, default, variable, what } in rows {
        let what = what.replace('\n', " ").replace('|', "\\|");
        page.push_str(&format!("| `{key}` | {value} | {default} | {what} | {variable} |\n"));
    }
}

/// The properties of a schema, those that are `known` first and in their order.
fn in_order<'a>(schema: &'a Value, known: &[&str]) -> Vec<(&'a str, &'a Value)> {
    let place = |key: &str| known.iter().position(|other| *other == key).unwrap_or(known.len());
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut properties: Vec<(&str, &Value)> = properties.map(|(key, schema)| (key.as_str(), schema)).collect();
    properties.sort_by_key(|(key, _)| place(key));
    properties
}
