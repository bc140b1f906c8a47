//! `[bus]`: which broker carries the events.
//!
//! Plain values only: nothing here connects to anything.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// The bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Which bus.
    pub kind: Kind,
}

/// The buses that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nothing outside this process: an event is taken straight into the ledger.
    #[default]
    Embedded,
    /// Kafka, as `[kafka]` says.
    Kafka,
    /// RabbitMQ, as `[rabbitmq]` says.
    Rabbitmq,
}

impl Kind {
    /// Its word in the ledger.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Kafka => "kafka",
            Self::Rabbitmq => "rabbitmq",
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        match word.as_str() {
            "embedded" => Ok(Self::Embedded),
            "kafka" => Ok(Self::Kafka),
            "rabbitmq" => Ok(Self::Rabbitmq),
            _ => {
                Err(D::Error::custom(format_args!("there is no `{word}` bus, only `embedded`, `kafka` and `rabbitmq`")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_word_hears_the_right_ones() {
        let error = toml::from_str::<Config>("kind = 'kafak'").unwrap_err();
        assert_eq!(error.message(), "there is no `kafak` bus, only `embedded`, `kafka` and `rabbitmq`");
    }

    #[test]
    fn dead_letters_are_published_where_there_is_a_broker() {
        for kind in [Kind::Embedded, Kind::Kafka, Kind::Rabbitmq] {
            let capabilities = kind.capabilities();
            assert_eq!(capabilities.dead_letters, capabilities.broker);
            assert_eq!(capabilities.broker, kind != Kind::Embedded);
        }
    }

    #[test]
    fn every_bus_is_read_by_the_word_that_it_is_written_with() {
        for kind in [Kind::Embedded, Kind::Kafka, Kind::Rabbitmq] {
            let text = toml::to_string(&Config { kind }).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap().kind, kind, "{text}");
        }
    }
}
