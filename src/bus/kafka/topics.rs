//! The two topics: looked for first, and made only if they are not there. All of it blocks: call it where that is allowed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::context::Quiet;
use super::{Config, properties};

/// How long Kafka may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks for a topic that has just been made.
const LOOK: Duration = Duration::from_millis(20);

/// Why the topics cannot be used.
#[derive(Debug)]
pub(super) enum Fault {
    /// Kafka cannot be reached.
    Away(String),
    /// It can, and refuses a topic.
    Unusable { topic: String, why: String },
}

/// Sees to it that both topics are there, and says how many partitions that of the events has.
pub(super) fn prepare(config: &Config) -> Result<usize, Fault> {
    let unusable = |topic: &str, why: String| Fault::Unusable { topic: topic.to_owned(), why };
    let admin: AdminClient<Quiet> = properties::of_admin(config)
        .create_with_context(Quiet)
        .map_err(|error: KafkaError| unusable(&config.topic, error.to_string()))?;
    let wanted = [(config.topic.as_str(), config.partitions), (config.dlq_topic.as_str(), 1)];
    let there = partitions(&admin)?;
    // A topic that is there is used as it is, whatever it was made with, and needs no right to make one.
    let missing: Vec<NewTopic<'_>> = wanted
        .iter()
        .filter(|(topic, _)| !there.contains_key(*topic))
        // The broker's own default: how many brokers there are is its business.
        .map(|(topic, partitions)| NewTopic::new(topic, *partitions, TopicReplication::Fixed(-1)))
        .collect();
    if missing.is_empty() {
        return Ok(there[&config.topic]);
    }
    for made in make(&admin, &missing)? {
        match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) if is_away(code) => {
                return Err(Fault::Away(format!("it does not make {topic}: {code}")));
            }
            Err((topic, code)) => return Err(unusable(&topic, by_hand(config, &topic, code))),
        }
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let there = partitions(&admin)?;
        match there.get(&config.topic) {
            Some(partitions) if there.contains_key(&config.dlq_topic) => return Ok(*partitions),
            _ if Instant::now() >= end => {
                return Err(Fault::Away("it does not show the topics it has made".to_owned()));
            }
            _ => std::thread::sleep(LOOK),
        }
    }
}

/// The topics that there are. To ask for one that is missing could make it, with whatever the broker thinks right.
fn partitions(admin: &AdminClient<Quiet>) -> Result<HashMap<String, usize>, Fault> {
    let metadata = admin.inner().fetch_metadata(None, PATIENCE).map_err(|error| Fault::Away(error.to_string()))?;
    let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
    Ok(topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
}

fn make(admin: &AdminClient<Quiet>, topics: &[NewTopic<'_>]) -> Result<Vec<rdkafka::admin::TopicResult>, Fault> {
    let away = |why: String| Fault::Away(why);
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| away(error.to_string()))?;
    runtime.block_on(admin.create_topics(topics, &options)).map_err(|error| away(error.to_string()))
}

/// Whether it may be otherwise in a moment.
const fn is_away(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::NotController
            | RDKafkaErrorCode::BrokerNotAvailable
            | RDKafkaErrorCode::LeaderNotAvailable
    )
}

fn by_hand(config: &Config, topic: &str, code: RDKafkaErrorCode) -> String {
    let partitions = if topic == config.topic { config.partitions } else { 1 };
    format!(
        "it is not there, and Kafka does not make it: {code}. Make it by hand: kafka-topics.sh --bootstrap-server {} \
         --create --topic {topic} --partitions {partitions}",
        config.brokers
    )
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(why) => f.write_str(why),
            Self::Unusable { topic, why } => write!(f, "the topic `{topic}` cannot be used: {why}"),
        }
    }
}
