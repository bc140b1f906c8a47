//! What librdkafka is told: what the engine's promises rest on, good defaults, and what the configuration adds to them.
//!
//! Nothing here connects to anything.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::Config;

/// How long a message may be on its way before publishing it has failed.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// What Kafka takes unless it is told otherwise, with all that goes around a message.
pub(super) const MAX_MESSAGE_BYTES: usize = 1_048_588;

/// What cannot be set, and why.
const REFUSED: [(&str, &str); 26] = [
    ("bootstrap.servers", BROKERS),
    ("metadata.broker.list", BROKERS),
    ("group.id", "is said with kafka.group"),
    ("group.instance.id", "would keep the partitions of a node that has died from the others"),
    ("group.protocol", ASSIGNMENT),
    ("group.remote.assignor", ASSIGNMENT),
    ("partition.assignment.strategy", ASSIGNMENT),
    ("enable.auto.commit", OFFSETS),
    ("auto.commit.enable", OFFSETS),
    ("enable.auto.offset.store", OFFSETS),
    ("offset.store.method", OFFSETS),
    ("auto.offset.reset", EARLIEST),
    ("enable.partition.eof", "would end batches for nothing"),
    ("acks", CONFIRMED),
    ("request.required.acks", CONFIRMED),
    ("enable.idempotence", CONFIRMED),
    ("transactional.id", CONFIRMED),
    ("enable.gapless.guarantee", CONFIRMED),
    ("message.timeout.ms", BOUNDED),
    ("delivery.timeout.ms", BOUNDED),
    ("max.poll.interval.ms", "has to be longer than what the ledger may take on a rebalance"),
    ("statistics.interval.ms", "is how the engine knows whether its listeners are connected"),
    ("delivery.report.only.error", CONFIRMED),
    ("dr_cb", CONFIRMED),
    ("log.queue", "is how librdkafka's log comes to the engine's"),
    ("plugin.library.paths", "would load foreign code into the engine"),
];

const BROKERS: &str = "is said with kafka.brokers";
const ASSIGNMENT: &str =
    "cannot be changed: a rebalance gives all partitions back, so that what is in flight is settled";
const OFFSETS: &str = "cannot be changed: an offset is committed only after its message is in the ledger";
const EARLIEST: &str = "cannot be changed: a group that is new reads what was sent before it";
const CONFIRMED: &str = "cannot be changed: an answer of 202 says that Kafka has confirmed the event";
const BOUNDED: &str = "cannot be changed: publishing ends in bounded time";

/// What is wrong with this property, if anything is. The value is not shown.
pub(super) fn fault(name: &str, value: &str) -> Option<String> {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Some((*why).to_owned());
    }
    let why = match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => return None,
        Err(KafkaError::ClientConfig(_, why, _, _)) => why,
        // The client is C.
        Err(_) => return Some("holds a NUL".to_owned()),
    };
    if why.starts_with("No such configuration property") {
        return Some("librdkafka has no such property".to_owned());
    }
    if why.contains("not available at build time") || why.contains("OpenSSL") {
        let hint = "this build has no OpenSSL; build it with `cargo build --release --features kafka-tls`";
        return Some(format!("{hint}, which needs its headers"));
    }
    Some(format!("librdkafka does not take this value: {}", without(value, &why)))
}

/// librdkafka repeats a value that it does not take.
fn without(value: &str, why: &str) -> String {
    if value.is_empty() { why.to_owned() } else { why.replace(value, "…") }
}

/// What every client is told.
fn base(config: &Config, purpose: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers);
    client.set("client.id", format!("evenkeel {purpose}"));
    client.set("socket.keepalive.enable", "true");
    client.set("reconnect.backoff.max.ms", "2000");
    // Its log is ours at `debug`: what matters of it is told by who uses the client.
    client.set_log_level(RDKafkaLogLevel::Info);
    client
}

/// Puts what the configuration says over the defaults.
fn with_properties(mut client: ClientConfig, config: &Config) -> ClientConfig {
    client.extend(config.properties.clone());
    client
}

/// Of who looks at topics and makes them.
pub(super) fn of_admin(config: &Config) -> ClientConfig {
    with_properties(base(config, "topics"), config)
}

/// Of who publishes.
pub(super) fn of_producer(config: &Config, purpose: &str) -> ClientConfig {
    let mut client = base(config, purpose);
    client.set("acks", "all");
    client.set("enable.idempotence", "true");
    client.set("message.timeout.ms", MESSAGE_TIMEOUT.as_millis().to_string());
    client.set("message.max.bytes", MAX_MESSAGE_BYTES.to_string());
    client.set("linger.ms", "1");
    // As Java's clients choose it, so that one key has one partition whoever sends it.
    client.set("partitioner", "murmur2_random");
    with_properties(client, config)
}

/// Of who listens.
pub(super) fn of_consumer(config: &Config) -> ClientConfig {
    let mut client = base(config, "listener");
    client.set("group.id", &config.group);
    client.set("enable.auto.offset.store", "false");
    // What is stored is committed at this pace, and at once when a partition is given back. What a crash leaves
    // uncommitted comes again, and is known again by its position.
    client.set("enable.auto.commit", "true");
    client.set("auto.commit.interval.ms", "500");
    client.set("auto.offset.reset", "earliest");
    // Partitions are given back all at once: then a listener starts from committed offsets alone, and nothing that it
    // has in its hands outlives a rebalance. Cooperative assignment would save the others a pause, and cost that.
    client.set("partition.assignment.strategy", "range,roundrobin");
    client.set("session.timeout.ms", "10000");
    client.set("heartbeat.interval.ms", "2000");
    // What one listener may hold beside its batch.
    client.set("queued.max.messages.kbytes", "4096");
    // When that is full, or was a moment ago. The client's own second would make it a limit of 4 MiB a second.
    client.set("fetch.queue.backoff.ms", "10");
    client.set("statistics.interval.ms", "1000");
    with_properties(client, config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_promises_rest_on_is_refused_with_its_reason() {
        for (name, why) in REFUSED {
            assert_eq!(fault(name, "x").as_deref(), Some(why));
        }
        assert!(fault("group.instance.id", "a").unwrap().contains("a node that has died"));
    }

    #[test]
    fn unknown_properties_and_bad_values_are_told_without_the_value() {
        assert_eq!(fault("sesion.timeout.ms", "1").as_deref(), Some("librdkafka has no such property"));
        let why = fault("session.timeout.ms", "hidden").unwrap();
        assert!(why.starts_with("librdkafka does not take this value: ") && !why.contains("hidden"), "{why}");
        assert_eq!(fault("client.id", "a\0b").as_deref(), Some("holds a NUL"));
        for (name, value) in [("session.timeout.ms", "6000"), ("compression.type", "lz4"), ("sasl.username", "a")] {
            assert_eq!(fault(name, value), None, "{name}");
        }
    }

    #[test]
    #[cfg(not(feature = "kafka-tls"))]
    fn tls_wants_a_build_with_openssl_and_says_which() {
        assert!(fault("security.protocol", "ssl").unwrap().contains("--features kafka-tls"));
    }

    #[test]
    fn every_client_can_be_told_all_that_it_is_told() {
        let mut config = Config::default();
        config.properties.insert("client.id".to_owned(), "mine".to_owned());
        for client in [of_admin(&config), of_producer(&config, "events"), of_consumer(&config)] {
            client.create_native_config().unwrap();
            assert_eq!(client.get("client.id"), Some("mine"));
        }
    }
}
