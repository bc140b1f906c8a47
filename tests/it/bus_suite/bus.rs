//! A bus for one test, as it looks to those who are not the engine: to clients that send, and to operators who look at
//! what is left there.

use bytes::Bytes;
use evenkeel::Config;
use evenkeel::bus::{Capabilities, Kind};
use serde_json::{Map, Value};

use crate::line::Line;
use crate::process::Node;

/// Runs a test on every bus, on each ledger: `async fn its_name<B: Bus>(bus: B, place: Place)`.
macro_rules! on_each_bus {
    ($test:ident) => {
        mod $test {
            use crate::bus_suite::{Embedded, Topics};
            use crate::rabbit::Rabbit;
            crate::bus_suite::bus::variants! {
                $test:
                embedded_on_sqlite(Embedded, Some(Place::new())),
                embedded_on_postgres(Embedded, Place::on_postgres()),
                rabbitmq_on_sqlite(Rabbit, Some(Place::new())),
                rabbitmq_on_postgres(Rabbit, Place::on_postgres()),
                kafka_on_sqlite(Topics, Some(Place::new())),
                kafka_on_postgres(Topics, Place::on_postgres()),
            }
        }
    };
}
pub(crate) use on_each_bus;

/// The same, for what only a broker can do.
macro_rules! on_each_broker {
    ($test:ident) => {
        mod $test {
            use crate::bus_suite::Topics;
            use crate::rabbit::Rabbit;
            crate::bus_suite::bus::variants! {
                $test:
                rabbitmq_on_sqlite(Rabbit, Some(Place::new())),
                rabbitmq_on_postgres(Rabbit, Place::on_postgres()),
                kafka_on_sqlite(Topics, Some(Place::new())),
                kafka_on_postgres(Topics, Place::on_postgres()),
            }
        }
    };
}
pub(crate) use on_each_broker;

/// For every broker, where a test brings its own ledger: `async fn its_name<B: Bus>(bus: B)`.
macro_rules! on_each_broker_alone {
    ($test:ident) => {
        mod $test {
            #[actix::test]
            async fn rabbitmq() {
                if let Some(bus) = crate::rabbit::Rabbit::start() {
                    super::$test(bus).await;
                }
            }

            #[actix::test]
            async fn kafka() {
                if let Some(bus) = <crate::bus_suite::Topics as crate::bus_suite::bus::Bus>::start() {
                    super::$test(bus).await;
                }
            }
        }
    };
}
pub(crate) use on_each_broker_alone;

macro_rules! variants {
    ($test:ident: $($variant:ident($bus:ty, $place:expr),)*) => {
        use crate::place::Place;
        $(
            #[actix::test]
            async fn $variant() {
                if let (Some(bus), Some(place)) = (<$bus as crate::bus_suite::bus::Bus>::start(), $place) {
                    super::$test(bus, place).await;
                }
            }
        )*
    };
}
pub(crate) use variants;

/// A message as a client sends it that is not ours.
#[derive(Clone, Debug)]
pub struct Raw {
    pub content_type: &'static str,
    /// Headers that are no attributes of the event.
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Raw {
    /// Plain JSON, or whatever its bytes are.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self { content_type: "application/json", headers: Vec::new(), body: body.into() }
    }

    /// An event of this type that says who it is; its data is JSON as it is written.
    pub fn event(event_type: &str, id: &str, data: &str) -> Self {
        Self::json(format!(r#"{{"type":"{event_type}","id":"{id}","source":"/suite","data":{data}}}"#))
    }

    /// One of several events of this type.
    pub fn numbered(event_type: &str, number: usize) -> Self {
        Self::event(event_type, &number.to_string(), &number.to_string())
    }

    /// With a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The id that it says.
    pub fn id(&self) -> String {
        id_of(&self.body)
    }
}

/// The id in the body of an event.
pub fn id_of(body: &[u8]) -> String {
    serde_json::from_slice::<Value>(body).unwrap()["id"].as_str().unwrap().to_owned()
}

/// A dead letter, as it lies on the broker.
#[derive(Debug)]
pub struct Letter {
    /// The attributes of the event by their own names.
    pub attributes: Map<String, Value>,
    /// All other headers.
    pub headers: Map<String, Value>,
    pub content_type: Option<String>,
    pub body: Bytes,
}

/// A bus that nobody else uses.
pub trait Bus: Sized {
    const KIND: Kind;

    /// Nothing, if the tests have no such broker.
    fn start() -> Option<Self>;

    /// What it can do, as the engine says.
    fn capabilities() -> Capabilities {
        Self::KIND.capabilities()
    }

    /// Makes it the bus.
    fn configure(&self, config: &mut Config);

    /// The same as lines of a file, keys with dots, for so many listeners.
    fn toml(&self, listeners: usize) -> String;

    /// More such lines, if it takes any: each listener takes a few messages at a time, and the broker soon hears of what
    /// is settled.
    fn in_small_steps(&self) -> &'static str;

    /// The same bus for an engine whose broker can be kept from hearing what is settled: by a line that swallows it, or
    /// from the start where there can be no line between the two.
    async fn unheard(&self) -> (Option<Line>, Self);

    /// Waits until so many listeners share it.
    async fn until_shared(&self, listeners: usize);

    /// Publishes in order. Gives back what was not taken, or may not have been: a client sends that again.
    async fn publish(&self, node: &Node, messages: &[Raw]) -> Vec<Raw>;

    /// The bodies of what is not settled, in the order of the bus; there is no engine that has any of it.
    async fn unsettled(&self) -> Vec<Bytes>;

    /// Waits for a dead letter and takes it.
    async fn letter(&self) -> Letter;

    /// How many dead letters there are.
    async fn letters(&self) -> usize;

    /// Takes away what it was made of. All messages have to be settled.
    async fn end(self);
}
