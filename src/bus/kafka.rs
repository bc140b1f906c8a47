//! Kafka: the only place that knows its client, librdkafka.
//!
//! What blocks in it has threads of its own: the path of an event never waits for a call into the client. An offset is
//! stored only after its message is in the ledger, and never one of a partition that has gone to somebody else.

mod binding;
mod config;
mod consume;
mod context;
mod hatch;
mod listen;
mod login;
mod properties;
mod publish;
mod topics;

use std::sync::Arc;

pub use config::Config;

use super::{Broker, Capabilities, Error, Found, Link, Links, Listen};
use listen::Listener;
use login::Refusal;
use publish::Publisher;
use topics::Fault;

/// The word for it in the ledger, in sources and in metrics.
pub(super) const NAME: &str = "kafka";

pub(super) const CAPABILITIES: Capabilities = Capabilities { broker: true, positions: true, dead_letters: true };

/// Looks whether the topics are there, and makes them if not.
pub(super) async fn prepare(config: &Config, listeners: usize) -> Result<Found, Error> {
    let kafka = config.clone();
    let prepared = tokio::task::spawn_blocking(move || topics::prepare(&kafka)).await;
    match prepared.unwrap_or_else(|lost| Err(Fault::Away(lost.to_string()))) {
        Ok(partitions) => {
            if partitions < listeners {
                let topic = &config.topic;
                tracing::info!(topic, partitions, listeners, "some listeners have no partition: one has one reader");
            }
            Ok(Found::There)
        }
        Err(Fault::Away(why)) => away(config, why).await,
        Err(Fault::Unusable { topic, why }) => {
            Err(Error::Topology { what: format!("the topic `{topic}` of Kafka"), why })
        }
    }
}

/// It has not answered: an error if that is for a login that it refuses, which no waiting mends.
async fn away(config: &Config, why: String) -> Result<Found, Error> {
    let kafka = config.clone();
    let refusal = tokio::task::spawn_blocking(move || login::refusal(&kafka)).await.unwrap_or_default();
    let why = match refusal {
        Some(Refusal::Login(why)) => {
            let advice = "Correct what `[kafka.properties]` says of `sasl` and `security.protocol`";
            return Err(Error::Login { broker: "Kafka", why, advice });
        }
        Some(Refusal::Tls(why)) => why,
        None => why,
    };
    tracing::warn!(
        why,
        "Kafka cannot be reached yet; it is tried again and again. Are host and port in `kafka.brokers` right?"
    );
    Ok(Found::Away)
}

/// Makes the ways to it; they connect when they are used.
pub(super) fn open(config: &Config, found: Found) -> Broker {
    let config = Arc::new(config.clone());
    let listen = {
        let config = Arc::clone(&config);
        Arc::new(move |link: Link| Box::new(Listener::new(Arc::clone(&config), link)) as Box<dyn Listen>)
    };
    Broker {
        name: NAME,
        events: Arc::new(Publisher::new(&config, "events")),
        dead_letters: Arc::new(Publisher::new(&config, "dead letters")),
        listen,
        links: Links::new(NAME, found == Found::Away),
    }
}
