//! The configuration: the sum of what the rooms want to know, read from `config.toml` and the environment.
//!
//! Only reading and judging happens here: nothing is opened, created or started, and no room reads the file or the
//! environment by itself.

mod check;
mod decode;
mod effective;
mod environment;
mod error;
mod json_schema;
mod key_path;
mod load;
mod places;
mod reference;
mod schema;
pub(crate) mod written;

pub use decode::options;
pub use effective::{Effective, Origin};
pub use error::{Error, Place, Problem, Problems};
pub use json_schema::{Kind, json_schema};
pub use key_path::KeyPath;
pub use load::Loaded;
pub use reference::reference;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{admin, alert, api, bus, handle, ingest, persist, process, retry, telemetry};

/// Everything that can be set. The default is the embedded engine: SQLite, no broker, loopback.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The HTTP API.
    pub server: api::Config,
    /// The dashboard.
    pub dashboard: admin::Config,
    /// The ledger: every event and every attempt.
    pub database: persist::Config,
    /// What carries the events to the listeners.
    pub bus: bus::Config,
    /// Kafka, where it is the bus.
    pub kafka: bus::KafkaConfig,
    /// RabbitMQ, where it is the bus.
    pub rabbitmq: bus::RabbitConfig,
    /// Taking events in. Listeners belong to brokers: on the embedded bus these keys have no effect.
    pub listener: ingest::Config,
    /// Working events off.
    pub pool: process::Config,
    /// How long things may take.
    pub timeouts: process::Timeouts,
    /// What follows a failure: a delay of `initial_delay × multiplier^(retries so far)`, at most `max_delay`, and then
    /// the next attempt.
    pub retry: retry::RetryPolicy,
    /// The built-in handlers and what they are bound to.
    pub handler: Vec<handle::Config>,
    /// What the data of events has to look like: one `[[schema]]` for each type that has one.
    pub schema: Vec<ingest::SchemaConfig>,
    /// What operators are alerted of, and where.
    pub alerts: alert::Config,
    /// The logs.
    pub telemetry: telemetry::Config,
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use super::*;

    const SHIPPED: &str = include_str!("../config.toml");

    /// The shipped file with every default in force. `#key` is a setting, `# Text` is prose.
    fn uncommented() -> (String, String) {
        let lines: Vec<&str> = SHIPPED
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.is_empty() && !setting.starts_with([' ', '#']) => setting,
                _ => line,
            })
            .collect();
        let handlers = lines.iter().position(|line| *line == "[[handler]]").unwrap();
        (lines[..handlers].join("\n"), lines[handlers..].join("\n"))
    }

    fn keys(table: &Table) -> Vec<String> {
        let mut keys = Vec::new();
        for (name, section) in table {
            keys.extend(section.as_table().into_iter().flat_map(Table::keys).map(|key| format!("{name}.{key}")));
        }
        keys.sort();
        keys
    }

    #[test]
    fn the_shipped_file_changes_nothing_as_it_is() {
        assert_eq!(Config::parse(SHIPPED, "config.toml").unwrap().config, Config::default());
    }

    #[test]
    fn the_shipped_file_shows_every_key_with_its_default() {
        let (settings, _) = uncommented();
        assert_eq!(Config::parse(&settings, "config.toml").unwrap().config, Config::default());
        let every = Table::try_from(Config::default()).unwrap();
        assert_eq!(keys(&settings.parse().unwrap()), keys(&every));
    }

    #[test]
    fn the_handlers_of_the_shipped_file_are_good_ones_and_show_every_key() {
        let (_, handlers) = uncommented();
        let loaded = Config::parse(&handlers, "config.toml").unwrap();
        loaded.check(crate::handlers::KINDS).unwrap();
        let shown: Table = handlers.parse().unwrap();
        let shown: Vec<&String> =
            shown["handler"].as_array().unwrap().iter().filter_map(Value::as_table).flat_map(Table::keys).collect();
        for key in handle::Config::KEYS {
            assert!(shown.iter().any(|shown| *shown == key), "{key}");
        }
    }

    #[test]
    fn the_schema_of_the_shipped_file_shows_every_key() {
        let (_, handlers) = uncommented();
        let config = Config::parse(&handlers, "config.toml").unwrap().config;
        let expected = ingest::SchemaConfig { event_type: "order.paid".into(), file: "schemas/order-paid.json".into() };
        assert_eq!(config.schema, [expected]);
    }

    #[test]
    fn the_effective_configuration_reads_back() {
        let text = "[[handler]]\nname = 'a'\nkind = 'log'\ntypes = ['a.*']\ntimeout = '3s'\n\
                    [[schema]]\ntype = 'a.b'\nfile = 'a/b.json'";
        let config = Config::parse(text, "a").unwrap();
        let text = toml::to_string(&config.config).unwrap();
        assert_eq!(Config::parse(&text, "b").unwrap().config, config.config, "{text}");
    }
}
