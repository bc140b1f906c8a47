//! The event bus: two small traits, and one file for each broker that keeps them.
//!
//! A broker's client is imported in its own file and nowhere else. Nothing here knows the ledger: what is settled and
//! when is said by those who listen.

mod config;
mod embedded;
mod kafka;
mod link;
mod message;
mod rabbitmq;

use std::sync::Arc;

use futures_util::future::{BoxFuture, LocalBoxFuture};

pub use config::{Config, Kind};
pub use kafka::Config as KafkaConfig;
pub(crate) use link::{Link, LinkState, Links};
pub(crate) use message::RECORD_ID;
pub use message::{Delivery, Destination, Message};
pub use rabbitmq::{Config as RabbitConfig, QueueType};

/// Publishing to a broker.
///
/// - `Ok` is said only after the broker has confirmed that it keeps all of the messages, durably as far as its queues
///   are durable, and that they have reached a queue.
/// - Of an error that is [`Away`](PublishError::Away), [`Refused`](PublishError::Refused) or
///   [`TooLarge`](PublishError::TooLarge) nothing was kept; after [`Unknown`](PublishError::Unknown) any of them may
///   have been, so that the same messages may be there twice when they are sent again.
/// - It ends in bounded time, whatever the broker does. It goes on if its caller stops waiting.
pub trait Publish: Send + Sync {
    /// Publishes all of them, in order.
    fn publish(&self, messages: Vec<Message>) -> BoxFuture<'static, Result<(), PublishError>>;

    /// Whether the broker could be reached now.
    fn ping(&self) -> BoxFuture<'static, Result<(), PublishError>>;
}

/// Listening to a broker.
///
/// - What [`next`](Listen::next) gives stays the broker's until [`settle`](Listen::settle) has been called: if this
///   process dies before, it is delivered again. It is never given back on purpose, so that a ledger that is away
///   causes no storm of redeliveries.
/// - No more than a fixed number of messages is outstanding, however long nobody settles.
/// - A broker that is away is waited for, for ever; nobody has to ask for that.
pub trait Listen {
    /// The next messages, at least one, in the broker's order. What was given before and not settled may come again.
    /// It may be dropped while it waits: nothing is lost then.
    fn next(&mut self) -> LocalBoxFuture<'_, Vec<Delivery>>;

    /// Tells the broker that everything that [`next`](Listen::next) gave last is in the ledger. If that does not reach
    /// the broker, it delivers again what it has not heard of.
    fn settle(&mut self) -> LocalBoxFuture<'_, ()>;

    /// Leaves the rest to the broker.
    fn close(&mut self) -> LocalBoxFuture<'_, ()>;
}

/// What a bus can do; what holds for all of them is told by [`Publish`] and [`Listen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Events go through a broker: REST answers before they are in the ledger.
    pub broker: bool,
    /// A message has a position of its own, by which it is known again.
    pub positions: bool,
    /// Dead letters are published.
    pub dead_letters: bool,
}

/// Why nothing was published, or nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The broker cannot be reached; nothing was published.
    #[error("the broker cannot be reached: {0}")]
    Away(String),
    /// The broker did not take it; nothing was published.
    #[error("the broker did not take it: {0}")]
    Refused(String),
    /// The message is larger than the broker allows; nothing was published.
    #[error("the message is too large for the broker: {0}")]
    TooLarge(String),
    /// The broker's answer is missing, or it took some of several messages.
    #[error("the broker did not confirm: {0}")]
    Unknown(String),
}

/// What became of several messages: nothing was published only if that holds for each of them.
fn sum_up(results: Vec<Result<(), PublishError>>) -> Result<(), PublishError> {
    let total = results.len();
    let mut errors: Vec<PublishError> = results.into_iter().filter_map(Result::err).collect();
    let unknown = errors.iter().position(|error| matches!(error, PublishError::Unknown(_)));
    match (unknown, errors.len()) {
        (_, 0) => Ok(()),
        (Some(first), _) => Err(errors.swap_remove(first)),
        (None, failed) if failed == total => Err(errors.swap_remove(0)),
        (None, failed) => Err(PublishError::Unknown(format!("{failed} of {total} failed: {}", errors[0]))),
    }
}

/// Why the bus did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker was reached, and what is needed cannot be used there.
    #[error("{what} cannot be used: {why}")]
    Topology {
        /// Which queue or topic.
        what: String,
        /// Why, and what to do about it.
        why: String,
    },
    /// The broker was reached, and does not let us in.
    #[error("{broker} does not let us in: {why}. {advice}")]
    Login {
        /// Which.
        broker: &'static str,
        /// Why.
        why: String,
        /// What to do about it.
        advice: &'static str,
    },
}

impl Kind {
    /// What this bus can do.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        match self {
            Self::Embedded => embedded::CAPABILITIES,
            Self::Kafka => kafka::CAPABILITIES,
            Self::Rabbitmq => rabbitmq::CAPABILITIES,
        }
    }
}

/// A broker, and the ways to it.
pub(crate) struct Broker {
    /// The word for it in the ledger, in sources and in metrics.
    pub name: &'static str,
    /// For events.
    pub events: Arc<dyn Publish>,
    /// For dead letters, on a connection of its own: what is wrong with them is no trouble for events.
    pub dead_letters: Arc<dyn Publish>,
    /// Makes a listener, on the thread that it is to live on. What is wrong with its connection is told to the link.
    pub listen: Arc<dyn Fn(Link) -> Box<dyn Listen> + Send + Sync>,
    /// How its listeners are connected.
    pub links: Links,
}

/// Which broker it is, and what is to be known of each.
pub(crate) struct Choice<'a> {
    pub kind: Kind,
    pub kafka: &'a KafkaConfig,
    pub rabbitmq: &'a RabbitConfig,
    /// How many listeners there will be.
    pub listeners: usize,
}

/// Whether a broker was there when it was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    There,
    /// That has been told.
    Away,
}

/// Sees to it that what a bus needs is there. A broker that is away is no error: it is waited for.
///
/// # Errors
/// [`Error`], if the broker is there and cannot be used.
pub(crate) async fn prepare(choice: &Choice<'_>) -> Result<Found, Error> {
    match choice.kind {
        Kind::Embedded => Ok(Found::There),
        Kind::Kafka => kafka::prepare(choice.kafka, choice.listeners).await,
        Kind::Rabbitmq => rabbitmq::prepare(choice.rabbitmq).await,
    }
}

/// Makes the ways to the broker, if this bus has one. What of them needs a thread with a runtime lives on this one.
pub(crate) fn open(choice: &Choice<'_>, found: Found, thread: &actix::ArbiterHandle) -> Option<Broker> {
    match choice.kind {
        Kind::Embedded => None,
        Kind::Kafka => Some(kafka::open(choice.kafka, found)),
        Kind::Rabbitmq => Some(rabbitmq::open(choice.rabbitmq, found, thread)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Result<(), PublishError> {
        Err(PublishError::Refused("full".to_owned()))
    }

    #[test]
    fn nothing_was_published_only_if_that_holds_for_each_message() {
        assert_eq!(sum_up(vec![]), Ok(()));
        assert_eq!(sum_up(vec![Ok(()), Ok(())]), Ok(()));
        assert_eq!(sum_up(vec![refused(), refused()]), refused());
        assert!(matches!(sum_up(vec![Ok(()), refused()]), Err(PublishError::Unknown(_))));
        let unknown = Err(PublishError::Unknown("no answer".to_owned()));
        assert_eq!(sum_up(vec![refused(), unknown.clone()]), unknown);
    }
}
