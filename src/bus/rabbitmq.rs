//! RabbitMQ over AMQP 0-9-1: the only place that knows its client.
//!
//! Connections are built again here and not by the client, which gives up after some tries. A message is never given
//! back: what is not settled comes again when its connection ends.

mod config;
mod connect;
mod listen;
mod profile;
mod publish;
mod topology;

use std::sync::Arc;

use actix::prelude::*;

pub use config::{Config, QueueType};

use super::{Broker, Capabilities, Error, Found, Link, Links, Listen};
use listen::Listener;
use publish::Publisher;
use topology::Fault;

/// The word for it in the ledger, in sources and in metrics.
pub(super) const NAME: &str = "rabbitmq";

pub(super) const CAPABILITIES: Capabilities = Capabilities { broker: true, positions: false, dead_letters: true };

/// Looks whether the queues are there, and makes them if not. What no waiting can mend is an error.
pub(super) async fn prepare(config: &Config) -> Result<Found, Error> {
    if let Err(error) = config.certificates() {
        let what = format!("the file `{}` of `rabbitmq.ca_file`", config.ca_file);
        return Err(Error::Topology { what, why: error.to_string() });
    }
    match topology::prepare(config).await {
        Ok(()) => Ok(Found::There),
        Err(Fault::Away(why)) => {
            tracing::warn!(
                why,
                "RabbitMQ cannot be reached yet; it is tried again and again. Are host and port in `rabbitmq.url` right?"
            );
            Ok(Found::Away)
        }
        Err(Fault::Login(why)) => {
            let advice =
                "Correct user, password and virtual host in `rabbitmq.url`, or what RabbitMQ lets this user do";
            Err(Error::Login { broker: "RabbitMQ", why, advice })
        }
        Err(Fault::Unusable { queue, why }) => {
            Err(Error::Topology { what: format!("the queue `{queue}` of RabbitMQ"), why })
        }
    }
}

/// Starts what publishes.
pub(super) fn open(config: &Config, found: Found, thread: &ArbiterHandle) -> Broker {
    let config = Arc::new(config.clone());
    let listen = {
        let config = Arc::clone(&config);
        Arc::new(move |link: Link| Box::new(Listener::new(Arc::clone(&config), link)) as Box<dyn Listen>)
    };
    Broker {
        name: NAME,
        events: Arc::new(Publisher::start(&config, "events", thread)),
        dead_letters: Arc::new(Publisher::start(&config, "dead letters", thread)),
        listen,
        links: Links::new(NAME, found == Found::Away),
    }
}
