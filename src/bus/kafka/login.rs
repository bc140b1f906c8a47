//! Why Kafka does not answer, where it does not let us in or is not the one that we trust. The client tries such a
//! connection again and again; to who waits for an answer the broker looks away, and only who polls hears the reason.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{Config, context, properties};

/// How long the client may take to find out.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why a connection was not made, by the other side or by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The broker has refused the login.
    Login(String),
    /// The two do not come to terms about TLS.
    Tls(String),
}

/// The first of it that the client says, if it says any. It blocks: call it where that is allowed.
pub(super) fn refusal(config: &Config) -> Option<Refusal> {
    let consumer: BaseConsumer<Ear> = properties::of_consumer(config).create_with_context(Ear::default()).ok()?;
    let end = Instant::now() + PATIENCE;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let polled = consumer.poll(left);
        if let Some(refusal) = consumer.context().heard() {
            return Some(refusal);
        }
        if let Some(Err(error)) = polled
            && error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown)
        {
            return None;
        }
    }
    None
}

/// What the client calls back; the words are only told here.
#[derive(Debug, Default)]
struct Ear(Mutex<Option<Refusal>>);

impl Ear {
    fn heard(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        context::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let refusal = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication) => Refusal::Login(reason.to_owned()),
            Some(RDKafkaErrorCode::SSL) => Refusal::Tls(reason.to_owned()),
            _ => return,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(refusal);
    }
}

impl ConsumerContext for Ear {}
