//! The configuration that holds: every key with its value and where that was said. Secrets are left out here, once and
//! for every way of showing it.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::Error as _;
use serde_json::json;
use toml_edit::{DocumentMut, Item, Table, Value};

use super::json_schema::{Kind, json_schema};
use super::key_path::{KeyPath, Segment};
use super::{Config, Loaded, Place};
use crate::handle;
use crate::retry::RetryOverride;

/// A configuration with all its keys, to be shown.
#[derive(Clone, Debug)]
pub struct Effective {
    document: DocumentMut,
    values: toml::Table,
    origins: BTreeMap<String, Origin>,
}

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In the file or in the environment.
    Written(Place),
    /// In a key that holds for all handlers without their own.
    As(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Written(place) => place.fmt(f),
            Self::As(key) => write!(f, "as {key}"),
        }
    }
}

impl Effective {
    /// The configuration, and the origin of each value by its key.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let origins: BTreeMap<_, _> = self.origins.iter().map(|(key, origin)| (key, origin.to_string())).collect();
        json!({ "config": self.values, "origins": origins })
    }
}

impl fmt::Display for Effective {
    /// TOML, with the origin of each value behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.document.fmt(f)
    }
}

impl Loaded {
    /// All keys, those of the handlers included, with their origins and without secrets. `kinds` are the kinds of
    /// handlers that there are.
    ///
    /// # Errors
    /// A value that TOML cannot say.
    pub fn effective(&self, kinds: &[Kind]) -> Result<Effective, toml::ser::Error> {
        let text = toml::to_string(&completed(&self.config, kinds))?;
        let mut document: DocumentMut = text.parse().map_err(toml::ser::Error::custom)?;
        // No handlers and no schemas are said by saying nothing.
        document.retain(|_, item| !item.as_array().is_some_and(toml_edit::Array::is_empty));
        let mut origins = BTreeMap::new();
        self.annotate(&KeyPath::default(), document.as_table_mut(), &mut origins);
        let values = document.to_string().parse().map_err(toml::ser::Error::custom)?;
        Ok(Effective { document, values, origins })
    }

    /// Takes the secrets out, and puts the origins behind the values.
    fn annotate(&self, path: &KeyPath, table: &mut Table, origins: &mut BTreeMap<String, Origin>) {
        for (key, item) in table.iter_mut() {
            // Nothing is no secret.
            if handle::Config::is_secret(&key) && item.as_str() != Some("") {
                *item = Item::Value(handle::Config::REDACTED.into());
            }
            let path = path.key(&key);
            match item {
                // What the defaults say is no secret.
                Item::Value(_) if self.origin(&path) == Origin::Default => {}
                Item::Value(value) => redact(&key, value),
                Item::Table(table) => self.annotate(&path, table, origins),
                Item::ArrayOfTables(tables) => {
                    for (index, table) in tables.iter_mut().enumerate() {
                        self.annotate(&path.index(index), table, origins);
                    }
                }
                Item::None => {}
            }
        }
        let width = |key: &str, value: &Value| key.len() + value.to_string().trim().chars().count();
        let widest =
            table.iter().filter_map(|(key, item)| Some(width(key, item.as_value()?))).max().unwrap_or_default();
        for (key, item) in table.iter_mut() {
            let Item::Value(value) = item else { continue };
            let (path, gap) = (path.key(&key), widest - width(&key, value) + 2);
            let origin = self.origin(&path);
            value.decor_mut().set_suffix(format!("{:gap$}# {origin}", ""));
            origins.insert(self.shown(&path).to_string(), origin);
        }
    }

    fn origin(&self, path: &KeyPath) -> Origin {
        if let Some(place) = self.written(path) {
            return Origin::Written(place.clone());
        }
        match path.segments() {
            [Segment::Key(handler), Segment::Index(_), rest @ ..] if handler == "handler" => match rest {
                [Segment::Key(key)] if key == "queue_capacity" => Origin::As(format!("pool.{key}")),
                [Segment::Key(key)] if key == "timeout" => Origin::As("timeouts.handler".to_owned()),
                [Segment::Key(retry), Segment::Key(key)] if retry == "retry" => Origin::As(format!("retry.{key}")),
                _ => Origin::Default,
            },
            _ => Origin::Default,
        }
    }
}

/// The configuration with what its handlers leave to the rest of it and to their kinds.
fn completed(config: &Config, kinds: &[Kind]) -> Config {
    let mut completed = config.clone();
    let defaults = option_defaults(kinds);
    for handler in &mut completed.handler {
        handler.concurrency.get_or_insert(handle::Config::DEFAULT_CONCURRENCY);
        handler.queue_capacity.get_or_insert(config.pool.queue_capacity);
        handler.timeout.get_or_insert(config.timeouts.handler);
        let retry = handler.retry.take().unwrap_or_default().apply(&config.retry);
        handler.retry = Some(RetryOverride {
            max_retries: Some(retry.max_retries),
            initial_delay: Some(retry.initial_delay),
            multiplier: Some(retry.multiplier),
            max_delay: Some(retry.max_delay),
            jitter: Some(retry.jitter),
        });
        for (key, default) in defaults.get(handler.kind.as_str()).into_iter().flatten() {
            handler.options.entry(key).or_insert_with(|| default.clone());
        }
    }
    completed
}

/// The options that have a default, by kind.
fn option_defaults(kinds: &[Kind]) -> BTreeMap<&'static str, toml::Table> {
    let schema = json_schema(kinds);
    let of_kind = |(index, kind): (usize, &Kind)| {
        let properties = &schema["properties"]["handler"]["items"]["oneOf"][index]["properties"];
        let default = |key: &&str| toml::Value::try_from(properties[key].get("default")?).ok();
        let defaults = kind.keys().iter().filter_map(|key| Some(((*key).to_owned(), default(key)?)));
        (kind.name, defaults.collect())
    };
    kinds.iter().enumerate().map(of_kind).collect()
}

fn redact(key: &str, value: &mut Value) {
    if handle::Config::is_secret(key) {
        *value = handle::Config::REDACTED.into();
        return;
    }
    match value {
        Value::String(text) => {
            let shown = handle::Config::without_secrets(text.value());
            if shown != *text.value() {
                *value = shown.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact("", item)),
        Value::InlineTable(table) => table.iter_mut().for_each(|(key, value)| redact(&key, value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::OPTIONS;

    const FILE: &str = "\
database.url = 'sqlite://bob:hidden@/data/evenkeel.db'
[pool]
queue_capacity = 7
[retry]
max_retries = 5
[[handler]]
name = 'billing'
kind = 'webhook'
types = ['order.paid']
retry = { max_delay = '1m' }
url = 'https://bob:hidden@example.org/hook'
secret = 'whsec_hidden'
";

    #[test]
    fn every_key_is_told_with_its_origin_and_no_secret() {
        let loaded = Config::parse(FILE, "config.toml").unwrap();
        let shown = loaded.effective(OPTIONS).unwrap().to_string();
        assert!(!shown.contains("hidden"), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn it_reads_back_as_what_holds() {
        let text = FILE.replace("bob:hidden@", "").replace("secret = 'whsec_hidden'\n", "");
        let loaded = Config::parse(&text, "config.toml").unwrap();
        let shown = loaded.effective(OPTIONS).unwrap().to_string();
        let again = Config::parse(&shown, "again.toml").unwrap();
        assert_eq!(again.config, completed(&loaded.config, OPTIONS));
        assert_eq!(toml::Table::try_from(&again.config).unwrap().len(), 14);
    }

    #[test]
    fn as_json_the_origins_stand_beside() {
        let loaded = Config::parse(FILE, "config.toml").unwrap();
        let shown = loaded.effective(OPTIONS).unwrap().to_json();
        assert!(!shown.to_string().contains("hidden"), "{shown}");
        assert_eq!(shown["config"]["handler"][0]["allow_private"], false);
        let origin = |key: &str| shown["origins"][key].as_str().unwrap().to_owned();
        assert_eq!(origin("server.bind"), "default");
        assert_eq!(origin("pool.queue_capacity"), "config.toml:3:1");
        assert_eq!(origin("handler.billing.retry.max_delay"), "config.toml:10:11");
        assert_eq!(origin("handler.billing.retry.jitter"), "as retry.jitter");
        assert_eq!(origin("handler.billing.allow_private"), "default");
    }

    #[test]
    fn schemas_are_shown_by_their_number() {
        let loaded = Config::parse("[[schema]]\ntype = 'a'\nfile = 'a.json'\n", "config.toml").unwrap();
        let shown = loaded.effective(OPTIONS).unwrap().to_json();
        assert_eq!(shown["config"]["schema"], serde_json::json!([{ "type": "a", "file": "a.json" }]));
        assert_eq!(shown["origins"]["schema[0].file"], "config.toml:3:1");
    }

    #[test]
    fn the_defaults_are_shown_without_a_file() {
        let shown = Config::parse("", "").unwrap().effective(OPTIONS).unwrap().to_json();
        assert!(shown["origins"].as_object().unwrap().values().all(|origin| origin == "default"));
        assert_eq!(shown["config"], serde_json::to_value(without_lists(&Config::default())).unwrap());
    }

    fn without_lists(config: &Config) -> toml::Table {
        let mut table = toml::Table::try_from(config).unwrap();
        table.retain(|_, section| section.is_table());
        table
    }
}
