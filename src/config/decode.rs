//! From a TOML table to a struct, with everything that is wrong and not only the first thing. Pure: no files.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::key_path::{KeyPath, Segment};
use super::schema::{closest, fields};
use super::{Error, Problem, Problems};
use crate::handle;

/// Decodes the options of a handler into what its kind wants. A key that `T` does not have is an error.
///
/// # Errors
/// All unknown keys and wrong values, by `handler.<name>.<key>`; [`Loaded::locate`](super::Loaded::locate) adds their
/// lines.
pub fn options<T: DeserializeOwned>(handler: &handle::Config) -> Result<T, Error> {
    let known = || fields::<T>().iter().chain(&handle::Config::KEYS).copied();
    let suggest = |key: &KeyPath| match key.segments() {
        [Segment::Key(key)] => closest(key, known()),
        _ => None,
    };
    let root = KeyPath::new(&["handler", &handler.name]);
    let under_root = |problem: Problem| Problem {
        key: problem.key.segments().iter().fold(root.clone(), |path, segment| path.then(segment.clone())),
        ..problem
    };
    decode(handler.options.clone(), suggest)
        .map_err(|problems| Problems(problems.into_iter().map(under_root).collect()).into())
}

/// Decodes a table. To get past the first wrong value, it is taken out and the rest is tried again.
pub(super) fn decode<T: DeserializeOwned>(
    mut table: Table,
    suggest: impl Fn(&KeyPath) -> Option<String>,
) -> Result<T, Vec<Problem>> {
    let mut wrong: Vec<Problem> = Vec::new();
    let mut unknown: Vec<KeyPath> = Vec::new();
    let mut taken: Vec<KeyPath> = Vec::new();
    let result = loop {
        let (result, ignored) = attempt::<T>(table.clone());
        unknown.extend(ignored);
        let problem = match result {
            Ok(value) => break Some(value),
            Err(problem) => problem,
        };
        // What is missing now may be what was taken out.
        let missing = |key: &KeyPath| key.parent().as_ref() == Some(&problem.key) && problem.what == is_missing(key);
        let known = taken.iter().any(missing);
        let gone = take_out(&mut table, &problem.key);
        if !known {
            wrong.push(problem);
        }
        match gone {
            Some(key) => taken.push(key),
            None => break None,
        }
    };
    for (position, key) in unknown.iter().enumerate() {
        if !unknown[..position].contains(key) {
            wrong.push(Problem::new(key.clone(), "unknown key").suggest(suggest(key)));
        }
    }
    result.filter(|_| wrong.is_empty()).ok_or(wrong)
}

fn attempt<T: DeserializeOwned>(table: Table) -> (Result<T, Problem>, Vec<KeyPath>) {
    let mut track = serde_path_to_error::Track::new();
    let mut unknown = Vec::new();
    let deserializer = serde_path_to_error::Deserializer::new(Value::Table(table), &mut track);
    let result = serde_ignored::deserialize(deserializer, |path| unknown.push(KeyPath::from(&path)));
    let result = result.map_err(|error: toml::de::Error| {
        let key = KeyPath::from(&track.path());
        let secret = key.segments().iter().any(|segment| match segment {
            Segment::Key(key) => handle::Config::is_secret(key),
            Segment::Index(_) => false,
        });
        Problem::new(key, in_plain_words(error.message(), secret))
    });
    (result, unknown)
}

fn is_missing(key: &KeyPath) -> String {
    format!("`{}` is missing", key.last_key().unwrap_or_default())
}

/// Takes a value out of the table, of a list all of it, and tells its key; none if nothing is left to be taken out.
fn take_out(table: &mut Table, path: &KeyPath) -> Option<KeyPath> {
    let parent = path.parent()?;
    let Some(key) = path.last_key() else { return take_out(table, &parent) };
    let mut at = table;
    let mut segments = parent.segments().iter();
    while let Some(Segment::Key(next)) = segments.next() {
        let mut inner = at.get_mut(next)?;
        while let [Segment::Index(index), ..] = segments.as_slice() {
            inner = inner.get_mut(*index)?;
            segments.next();
        }
        at = inner.as_table_mut()?;
    }
    at.remove(key).map(|_| path.clone())
}

/// The decoder's message without Rust's types, and without the value if that is a secret.
fn in_plain_words(message: &str, secret: bool) -> String {
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("{key} is missing");
    }
    let Some((found, expected)) = message.rsplit_once("expected ") else {
        return if secret { "not accepted (the value is not shown)".to_owned() } else { message.to_owned() };
    };
    let expected = match expected.trim_end() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a duration" => "a duration such as \"30s\" or \"1m 30s\"",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    if secret { format!("expected {expected}") } else { format!("{found}expected {expected}") }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Webhook {
        url: String,
        secret: Option<String>,
        #[serde(default)]
        allow_private: bool,
    }

    fn handler(options: &str) -> handle::Config {
        toml::from_str(&format!("name = 'billing'\nkind = 'webhook'\n{options}")).unwrap()
    }

    fn problems(options_text: &str) -> String {
        options::<Webhook>(&handler(options_text)).unwrap_err().to_string()
    }

    #[test]
    fn options_become_what_the_kind_wants() {
        let webhook: Webhook = options(&handler("url = 'http://a'\nallow_private = true")).unwrap();
        assert_eq!(webhook, Webhook { url: "http://a".into(), secret: None, allow_private: true });
    }

    #[test]
    fn an_unknown_option_names_its_handler_and_what_was_meant() {
        assert_eq!(
            problems("url = 'http://a'\nalow_private = true\nconcurency = 3"),
            "2 problems in the configuration:\n  \
             handler.billing.alow_private: unknown key; did you mean `allow_private`?\n  \
             handler.billing.concurency: unknown key; did you mean `concurrency`?"
        );
    }

    #[test]
    fn all_wrong_values_are_told_and_a_missing_one() {
        assert_eq!(
            problems("allow_private = 'yes'"),
            "2 problems in the configuration:\n  \
             handler.billing.allow_private: invalid type: string \"yes\", expected true or false\n  \
             handler.billing: `url` is missing"
        );
        assert_eq!(problems("url = 1"), "handler.billing.url: invalid type: integer `1`, expected a string");
    }

    #[test]
    fn a_wrong_secret_is_not_shown() {
        assert_eq!(problems("url = 'http://a'\nsecret = 123"), "handler.billing.secret: expected a string");
    }
}
