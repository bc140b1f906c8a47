//! `[kafka]`: where it is, the topics there, and what else its client is to know.
//!
//! Plain values only: nothing here connects to anything.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::properties;
use crate::handle;

/// Kafka.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Where to ask first: `host:port`, several with commas between them.
    pub brokers: String,
    /// The topic of the events. It is made if there is none and the user may do so.
    pub topic: String,
    /// The topic of the dead letters. It is made like the other one, with one partition.
    pub dlq_topic: String,
    /// The consumer group: all processes in it share the topic.
    pub group: String,
    /// How many partitions a topic of events is made with. One that is there already is used as it is.
    pub partitions: i32,
    /// Any property of librdkafka by its name, such as `"security.protocol"`; what the engine's promises rest on cannot
    /// be changed. In the environment dots are underscores: `EVENKEEL__KAFKA__PROPERTIES__SASL_PASSWORD`.
    #[serde(deserialize_with = "flat")]
    #[schemars(schema_with = "schema_of_properties")]
    pub properties: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            topic: "event-topic".to_owned(),
            dlq_topic: "event-dlq".to_owned(),
            group: "evenkeel".to_owned(),
            partitions: 10,
            properties: BTreeMap::new(),
        }
    }
}

/// Longest name of a topic, in bytes.
const MAX_TOPIC_BYTES: usize = 249;

impl Config {
    /// What is wrong with it: the key, and within `properties` the property's name, and why. Values are not shown, as
    /// they may be secrets.
    pub(crate) fn faults(&self) -> Vec<(Vec<&str>, String)> {
        let mut found: Vec<(Vec<&str>, String)> = Vec::new();
        let is_address = |address: &str| {
            address.trim().rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !self.brokers.split(',').all(is_address) {
            found.push((vec!["brokers"], "must be host:port, several with commas between them".to_owned()));
        }
        for (key, topic) in [("topic", &self.topic), ("dlq_topic", &self.dlq_topic)] {
            let plain = topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            if !plain || topic.is_empty() || topic.len() > MAX_TOPIC_BYTES || topic == "." || topic == ".." {
                let what = format!("must be 1 to {MAX_TOPIC_BYTES} letters, digits, `.`, `_` and `-`");
                found.push((vec![key], what));
            }
        }
        if self.topic == self.dlq_topic {
            let what = "is the topic of the events too: every dead letter would come in again";
            found.push((vec!["dlq_topic"], what.to_owned()));
        }
        if self.group.is_empty() {
            found.push((vec!["group"], "must be a name".to_owned()));
        }
        if self.partitions < 1 {
            found.push((vec!["partitions"], "must be at least 1".to_owned()));
        }
        let faults = self.properties.iter().filter_map(|(name, value)| Some((name, properties::fault(name, value)?)));
        found.extend(faults.map(|(name, what)| (vec!["properties", name.as_str()], what)));
        found
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &str, value: &str| {
            if handle::Config::is_secret(name) { handle::Config::REDACTED.to_owned() } else { value.to_owned() }
        };
        let properties: BTreeMap<_, _> =
            self.properties.iter().map(|(name, value)| (name, shown(name, value))).collect();
        f.debug_struct("Config")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("dlq_topic", &self.dlq_topic)
            .field("group", &self.group)
            .field("partitions", &self.partitions)
            .field("properties", &properties)
            .finish()
    }
}

/// Properties may be written as texts, numbers and booleans; without quotes around a name, TOML makes tables of it.
fn flat<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    fn put(prefix: &str, table: Table, into: &mut BTreeMap<String, String>) -> Result<(), String> {
        for (key, value) in table {
            let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            let text = match value {
                Value::Table(table) => {
                    put(&name, table, into)?;
                    continue;
                }
                Value::String(text) => text,
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Boolean(value) => value.to_string(),
                Value::Array(_) | Value::Datetime(_) => {
                    return Err(format!("`{name}` must be a text, a number, true or false"));
                }
            };
            into.insert(name, text);
        }
        Ok(())
    }
    let mut properties = BTreeMap::new();
    put("", Table::deserialize(deserializer)?, &mut properties).map_err(D::Error::custom)?;
    Ok(properties)
}

fn schema_of_properties(_: &mut SchemaGenerator) -> Schema {
    let value = json_schema!({ "type": ["string", "integer", "number", "boolean", "object"] });
    json_schema!({ "title": "table", "type": "object", "additionalProperties": value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(String, String)> {
        let config: Config = toml::from_str(text).unwrap();
        config.faults().into_iter().map(|(keys, what)| (keys.join("/"), what)).collect()
    }

    #[test]
    fn properties_are_read_with_and_without_quotes_and_as_numbers() {
        let text = "[properties]\n'socket.timeout.ms' = 5_000\nsecurity.protocol = 'plaintext'\nlog_level = '5'\n\
                    socket.keepalive.enable = true";
        let config: Config = toml::from_str(text).unwrap();
        let pairs: Vec<(&str, &str)> = config.properties.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected = [
            ("log_level", "5"),
            ("security.protocol", "plaintext"),
            ("socket.keepalive.enable", "true"),
            ("socket.timeout.ms", "5000"),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(config.faults(), []);
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        assert!(toml::from_str::<Config>("properties = { a = [1] }").is_err());
    }

    #[test]
    fn names_and_addresses_are_looked_at() {
        assert_eq!(faults(""), []);
        for (text, key) in [
            ("brokers = ''", "brokers"),
            ("brokers = 'a:1,b'", "brokers"),
            ("topic = 'a b'", "topic"),
            ("topic = ''", "topic"),
            ("dlq_topic = 'event-topic'", "dlq_topic"),
            ("group = ''", "group"),
            ("partitions = 0", "partitions"),
        ] {
            let faults = faults(text);
            assert!(faults.len() == 1 && faults[0].0 == key, "{text}: {faults:?}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let config: Config = toml::from_str("[properties]\nsasl.password = 'hidden'\nclient.rack = 'r'").unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("hidden") && shown.contains("\"r\""), "{shown}");
    }
}
