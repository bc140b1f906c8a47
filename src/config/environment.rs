//! `EVENKEEL__SECTION__KEY` over the file. The variables are handed in: nothing here reads the process's environment.

use std::ffi::OsString;

use toml::{Table, Value};

use super::key_path::{KeyPath, Segment};
use super::places::Places;
use super::schema::{Schema, closest};
use super::{Place, Problem};

/// Two underscores: `EVENKEEL_URL` and the like are something else.
const PREFIX: &str = "EVENKEEL__";

/// A variable's name and value.
pub(super) type Variable = (OsString, OsString);

/// Puts the variables into the table; what is wrong with their names comes back.
pub(super) fn overlay(
    table: &mut Table,
    variables: impl IntoIterator<Item = Variable>,
    places: &mut Places,
    schema: &Schema,
) -> Vec<Problem> {
    let ours = |(name, value): Variable| Some((name.into_string().ok()?, value));
    let mut variables: Vec<_> =
        variables.into_iter().filter_map(ours).filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    let handlers = handler_words(table);
    let mut problems = Vec::new();
    for (name, value) in variables {
        let done = resolve(&name, schema, &handlers).and_then(|path| {
            let text = value.into_string().map_err(|_| Problem::new(path.clone(), "the value is not UTF-8"))?;
            let value = typed(text, schema.is_text(&path));
            places.set_by(&name, &path, &value);
            set(table, &path, value);
            Ok(())
        });
        problems.extend(done.err().map(|problem| problem.at(Some(Place::Variable(name)))));
    }
    problems
}

/// The key that a variable is about: `EVENKEEL__POOL__PROCESSORS`, `EVENKEEL__HANDLER__BILLING__SECRET`.
fn resolve(name: &str, schema: &Schema, handlers: &[String]) -> Result<KeyPath, Problem> {
    let lower = name[PREFIX.len()..].to_ascii_lowercase();
    let words: Vec<&str> = lower.split("__").collect();
    let path = KeyPath::new(&words);
    let unknown = |what: &str, meant: Option<String>, rest: &[&str]| {
        let spell = |meant: String| [&[meant.as_str()], rest].concat().join("__").to_ascii_uppercase();
        let meant = meant.map(|meant| format!("{PREFIX}{}", spell(meant)));
        Problem::new(path.clone(), format!("unknown {what}")).suggest(meant)
    };
    match words.as_slice() {
        ["handler", handler, keys @ ..] if !keys.is_empty() && !keys.contains(&"") => {
            let Some(index) = handlers.iter().position(|other| other == handler) else {
                let meant =
                    closest(handler, handlers.iter().map(String::as_str)).map(|meant| format!("handler__{meant}"));
                return Err(unknown("handler", meant, keys));
            };
            let start = KeyPath::new(&["handler"]).index(index);
            Ok(keys.iter().fold(start, |path, key| path.key(key)))
        }
        // The names of librdkafka's properties have dots where a variable can only have underscores.
        ["kafka", "properties", property] if !property.is_empty() => {
            Ok(KeyPath::new(&["kafka", "properties", &property.replace('_', ".")]))
        }
        [section, key] if !["handler", "schema"].contains(section) => {
            if schema.keys(section).next().is_none() {
                return Err(unknown("section", closest(section, schema.sections()), &[key]));
            }
            if schema.keys(section).all(|known| known != *key) {
                let meant = schema.suggest(&path).map(|meant| match meant.split_once('.') {
                    Some((section, key)) => format!("{section}__{key}"),
                    None => format!("{section}__{meant}"),
                });
                return Err(unknown("key", meant, &[]));
            }
            Ok(path)
        }
        ["handler", ..] => {
            let what = "a handler's key is set with EVENKEEL__HANDLER__<name>__<key>";
            Err(Problem::new(KeyPath::default(), what))
        }
        ["schema", ..] => {
            let what = "schemas are named in the file alone; a variable cannot tell which of them it is about";
            Err(Problem::new(KeyPath::default(), what))
        }
        _ => {
            let what = "a key is set with EVENKEEL__<section>__<key>";
            Err(Problem::new(KeyPath::default(), what))
        }
    }
}

/// The names of the handlers as a variable can spell them: `order.paid` is `ORDER_PAID` there.
fn handler_words(table: &Table) -> Vec<String> {
    let word = |name: &str| name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let handlers = table.get("handler").and_then(Value::as_array).into_iter().flatten();
    handlers.map(|handler| handler.get("name").and_then(Value::as_str).map(word).unwrap_or_default()).collect()
}

/// The value as TOML if it is some, else as it stands; where a text is wanted, `5` is a text as well.
fn typed(text: String, is_text: bool) -> Value {
    match text.parse() {
        Ok(Value::String(quoted)) => Value::String(quoted),
        Ok(value) if !is_text => value,
        _ => Value::String(text),
    }
}

/// Puts a value in, making the tables on the way. What is there and no table stays: decoding will complain about it.
fn set(table: &mut Table, path: &KeyPath, value: Value) {
    let (Some(key), Some(parent)) = (path.last_key(), path.parent()) else { return };
    let mut at = table;
    let mut segments = parent.segments().iter();
    while let Some(Segment::Key(next)) = segments.next() {
        let mut inner = at.entry(next.as_str()).or_insert_with(|| Value::Table(Table::new()));
        if let [Segment::Index(index), ..] = segments.as_slice() {
            segments.next();
            let Some(item) = inner.get_mut(*index) else { return };
            inner = item;
        }
        let Value::Table(table) = inner else { return };
        at = table;
    }
    at.insert(key.to_owned(), value);
}
