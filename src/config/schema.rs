//! Which keys there are, and which one was probably meant. Read off the default configuration, so that it cannot be
//! forgotten.

use serde::de::value::Error as NoData;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;
use toml::{Table, Value};

use super::Config;
use super::key_path::{KeyPath, Segment};
use crate::{handle, ingest};

/// The sections and their keys, with the defaults.
pub(super) struct Schema(Table);

impl Schema {
    pub fn new() -> Self {
        // The default of every room is plain TOML; without it there would only be no suggestions.
        Self(Table::try_from(Config::default()).unwrap_or_default())
    }

    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The keys of a section; none if there is no such section.
    pub fn keys(&self, section: &str) -> impl Iterator<Item = &str> {
        self.0.get(section).and_then(Value::as_table).into_iter().flat_map(Table::keys).map(String::as_str)
    }

    /// Whether the value of this key is written as a string.
    pub fn is_text(&self, path: &KeyPath) -> bool {
        let (section, key) = match path.segments() {
            [Segment::Key(section), Segment::Key(key)] => (section.as_str(), key),
            [_, Segment::Index(_), Segment::Key(retry), Segment::Key(key)] if retry == "retry" => ("retry", key),
            [_, Segment::Index(_), .., Segment::Key(key)] => {
                return ["name", "kind", "timeout"].contains(&key.as_str()) || handle::Config::is_secret(key);
            }
            _ => return false,
        };
        self.0.get(section).and_then(|section| section.get(key)).is_some_and(Value::is_str)
    }

    /// What an unknown key was probably meant to be: the same key of another section, or one that looks like it.
    pub fn suggest(&self, path: &KeyPath) -> Option<String> {
        let key = path.last_key()?;
        let elsewhere = self.sections().find(|section| self.keys(section).any(|other| other == key));
        if let Some(section) = elsewhere {
            return Some(format!("{section}.{key}"));
        }
        match path.segments() {
            [_] => closest(key, self.sections()),
            [Segment::Key(section), _] => closest(key, self.keys(section)),
            [Segment::Key(schema), Segment::Index(_), _] if schema == "schema" => {
                closest(key, fields::<ingest::SchemaConfig>().iter().copied())
            }
            // Only a handler has a table inside.
            [_, Segment::Index(_), Segment::Key(inner), _] => closest(key, self.keys(inner)),
            _ => None,
        }
    }
}

/// The word that looks most like this one, if one does.
pub(super) fn closest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let likeness = |other: &str| strsim::jaro_winkler(&word.to_ascii_lowercase(), other);
    words
        .into_iter()
        .map(|other| (likeness(other), other))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, other)| other.to_owned())
}

/// The keys that a struct takes, as it tells its deserializer.
pub(super) fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // The answer comes on the side; there is never a value.
    let _ = T::deserialize(Ask(&mut fields));
    fields
}

struct Ask<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = NoData;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoData> {
        Err(NoData::custom("no data"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NoData> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_and_key_is_known() {
        let schema = Schema::new();
        assert_eq!(schema.sections().count(), 14);
        assert!(schema.keys("retry").eq(["initial_delay", "jitter", "max_delay", "max_retries", "multiplier"]));
    }

    #[test]
    fn a_suggestion_is_a_key_that_looks_alike_or_the_right_section() {
        let suggest = |keys: &[&str]| Schema::new().suggest(&KeyPath::new(keys));
        assert_eq!(suggest(&["server", "shutdown_timout"]).as_deref(), Some("shutdown_timeout"));
        assert_eq!(suggest(&["servers"]).as_deref(), Some("server"));
        assert_eq!(suggest(&["server", "queue_capacity"]).as_deref(), Some("pool.queue_capacity"));
        assert_eq!(suggest(&["bind"]).as_deref(), Some("server.bind"));
        assert_eq!(suggest(&["zookeeper"]), None);
    }
}
