//! Whether Kafka lets us in. The client tries a login that was refused again and again; to who waits for an answer it looks
//! like a broker that is away, and the reason is heard only by who polls.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;

use super::context::Quiet;
use super::{Config, properties};

/// How long the client may take to be refused.
const PATIENCE: Duration = Duration::from_secs(3);

impl ConsumerContext for Quiet {}

/// Why it does not, if it has said so. It blocks: call it where that is allowed.
pub(super) fn refusal(config: &Config) -> Option<String> {
    let consumer: BaseConsumer<Quiet> = properties::of_consumer(config).create_with_context(Quiet).ok()?;
    let end = Instant::now() + PATIENCE;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let Some(Err(error)) = consumer.poll(left) else { continue };
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication) => return Some(error.to_string()),
            // None of them answers: nobody has refused anything.
            Some(RDKafkaErrorCode::AllBrokersDown) => return None,
            _ => {}
        }
    }
    None
}
