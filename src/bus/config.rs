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
    /// RabbitMQ, as `[rabbitmq]` says.
    Rabbitmq,
}

impl Kind {
    /// Its word in the ledger.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Rabbitmq => "rabbitmq",
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        match word.as_str() {
            "embedded" => Ok(Self::Embedded),
            "rabbitmq" => Ok(Self::Rabbitmq),
            "kafka" => Err(D::Error::custom("this version has no `kafka` bus yet, only `embedded` and `rabbitmq`")),
            _ => Err(D::Error::custom(format_args!("there is no `{word}` bus, only `embedded` and `rabbitmq`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_of_a_later_version_is_told_from_a_wrong_word() {
        let error = |text| toml::from_str::<Config>(text).unwrap_err().message().to_owned();
        assert_eq!(error("kind = 'kafka'"), "this version has no `kafka` bus yet, only `embedded` and `rabbitmq`");
        assert_eq!(error("kind = 'kafak'"), "there is no `kafak` bus, only `embedded` and `rabbitmq`");
    }

    #[test]
    fn dead_letters_are_published_where_there_is_a_broker() {
        for kind in [Kind::Embedded, Kind::Rabbitmq] {
            let capabilities = kind.capabilities();
            assert_eq!(capabilities.dead_letters, capabilities.broker);
            assert_eq!(capabilities.broker, kind != Kind::Embedded);
        }
    }

    #[test]
    fn every_bus_is_read_by_the_word_that_it_is_written_with() {
        for kind in [Kind::Embedded, Kind::Rabbitmq] {
            let text = toml::to_string(&Config { kind }).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap().kind, kind, "{text}");
        }
    }
}
