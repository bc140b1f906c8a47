//! Publishing: an idempotent producer, which asks whether Kafka is there before it takes anything when there is a doubt.
//!
//! Once the client has a message, nobody can say of a failure that nothing was published: so it gets none while Kafka is
//! known to be away. What it has goes on without its sender.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::OwnedDeliveryResult;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _};
use tokio::time::Instant;

use super::topics::{self, Fault};
use super::{Config, binding, context, properties};
use crate::bus::{Destination, Message, Publish, PublishError, sum_up};

/// How long Kafka may take to say that it is there.
const PROBE: Duration = Duration::from_millis(1_500);

/// How long the answer holds that it is not.
const AWAY_FOR: Duration = Duration::from_millis(500);

/// How long the client may take to report: its own limit, and a little more.
const PATIENCE: Duration = properties::MESSAGE_TIMEOUT.saturating_add(Duration::from_secs(2));

/// What Kafka puts around a message and around a header, at most.
const AROUND: usize = 100;
const AROUND_HEADER: usize = 10;

type Producer = FutureProducer<Doubt>;

/// See [`Publish`].
pub(super) struct Publisher(Arc<Outlet>);

impl Publisher {
    pub(super) fn new(config: &Arc<Config>, purpose: &'static str) -> Self {
        let limit = config.properties.get("message.max.bytes").and_then(|bytes| bytes.parse().ok());
        Self(Arc::new(Outlet {
            config: Arc::clone(config),
            purpose,
            limit: limit.unwrap_or(properties::MAX_MESSAGE_BYTES),
            producer: Mutex::new(None),
            doubt: Doubt::default(),
            has_topics: AtomicBool::new(false),
            away: tokio::sync::Mutex::new(None),
        }))
    }
}

impl Publish for Publisher {
    fn publish(&self, messages: Vec<Message>) -> BoxFuture<'static, Result<(), PublishError>> {
        let outlet = Arc::clone(&self.0);
        async move { outlet.publish(messages).await }.boxed()
    }

    fn ping(&self) -> BoxFuture<'static, Result<(), PublishError>> {
        let outlet = Arc::clone(&self.0);
        async move {
            outlet.doubt.raise();
            outlet.producer().await.map(drop)
        }
        .boxed()
    }
}

/// The producer, when there is one.
struct Outlet {
    config: Arc<Config>,
    purpose: &'static str,
    /// The largest message, in bytes.
    limit: usize,
    producer: Mutex<Option<Producer>>,
    doubt: Doubt,
    /// The topics have been seen.
    has_topics: AtomicBool,
    /// When Kafka was away last, and why. Whoever asks while somebody else is asking waits for that answer.
    away: tokio::sync::Mutex<Option<(Instant, PublishError)>>,
}

impl Outlet {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), PublishError> {
        let messages: Vec<_> = messages.into_iter().map(|message| (binding::headers(&message), message)).collect();
        // Looked at before the first of them is on its way.
        let bytes = messages.iter().map(|(headers, message)| bytes(headers, message));
        if let Some(bytes) = bytes.into_iter().find(|bytes| *bytes > self.limit) {
            let why = format!("it has {bytes} bytes; `message.max.bytes` is {}", self.limit);
            return Err(PublishError::TooLarge(why));
        }
        let producer = self.producer().await?;
        let sent: Vec<_> = messages.iter().map(|(headers, message)| self.send(&producer, headers, message)).collect();
        let reports = sent.into_iter().map(|sent| async {
            match sent {
                Ok(report) => reported(report.await),
                Err(error) => Err(error),
            }
        });
        let published = match tokio::time::timeout(PATIENCE, join_all(reports)).await {
            Ok(results) => sum_up(results),
            Err(_) => Err(PublishError::Unknown(format!("no answer in {} s", PATIENCE.as_secs()))),
        };
        if published.is_err() {
            self.doubt.raise();
        }
        published
    }

    /// Hands one to the client, which copies it and waits for nothing.
    fn send(
        &self,
        producer: &Producer,
        headers: &[(String, String)],
        message: &Message,
    ) -> Result<DeliveryFuture, PublishError> {
        let topic = match message.to {
            Destination::Events => &self.config.topic,
            Destination::DeadLetters => &self.config.dlq_topic,
        };
        let record = FutureRecord {
            key: binding::key(message),
            payload: message.body.as_deref(),
            headers: Some(binding::owned(headers)),
            ..FutureRecord::to(topic)
        };
        producer.send_result(record).map_err(|(error, _)| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => PublishError::TooLarge(error.to_string()),
            // The client has not taken it.
            _ => PublishError::Away(error.to_string()),
        })
    }

    /// The producer, if Kafka is there as far as anybody knows.
    async fn producer(&self) -> Result<Producer, PublishError> {
        let producer = self.current()?;
        if !self.doubt.is_there() {
            return Ok(producer);
        }
        let mut away = self.away.lock().await;
        if !self.doubt.is_there() {
            return Ok(producer);
        }
        if let Some((since, why)) = &*away
            && since.elapsed() < AWAY_FOR
        {
            return Err(why.clone());
        }
        // Taken back first: a doubt that is raised meanwhile is another one.
        self.doubt.drop();
        match self.probe(producer.clone()).await {
            Ok(()) => {
                *away = None;
                Ok(producer)
            }
            Err(why) => {
                self.doubt.raise();
                *away = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    /// The producer that there is, or a new one in place of one that has failed for good.
    fn current(&self) -> Result<Producer, PublishError> {
        let mut current = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failed) = current.take_if(|producer| producer.client().fatal_error().is_some()) {
            tracing::warn!(error = ?failed.client().fatal_error(), "a producer has failed; it is made again");
            // To drop it takes its time, and an error here means that it is dropped on this thread.
            drop(std::thread::Builder::new().spawn(move || drop(failed)));
        }
        if let Some(producer) = &*current {
            return Ok(producer.clone());
        }
        let made = properties::of_producer(&self.config, self.purpose).create_with_context(self.doubt.clone());
        let made: Producer = made.map_err(|error: KafkaError| PublishError::Away(error.to_string()))?;
        self.doubt.raise();
        Ok(current.insert(made).clone())
    }

    /// Asks Kafka for the topic.
    async fn probe(&self, producer: Producer) -> Result<(), PublishError> {
        let (config, has_topics) = (Arc::clone(&self.config), self.has_topics.load(Ordering::Relaxed));
        let topic = if self.purpose == "events" { config.topic.clone() } else { config.dlq_topic.clone() };
        let probed = tokio::task::spawn_blocking(move || {
            if !has_topics {
                // Only to ask for a topic could make one, with whatever the broker thinks right.
                topics::prepare(&config).map_err(|fault| match fault {
                    Fault::Away(why) => PublishError::Away(why),
                    Fault::Unusable { .. } => PublishError::Refused(fault.to_string()),
                })?;
            }
            let metadata = producer.client().fetch_metadata(Some(&topic), PROBE);
            let metadata = metadata.map_err(|error| PublishError::Away(error.to_string()))?;
            match metadata.topics().iter().find_map(rdkafka::metadata::MetadataTopic::error) {
                None => Ok(()),
                Some(error) => Err(PublishError::Away(format!("{topic}: {}", RDKafkaErrorCode::from(error)))),
            }
        });
        probed.await.unwrap_or_else(|lost| Err(PublishError::Away(lost.to_string())))?;
        self.has_topics.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Whether Kafka may be away; what the client says about it, too.
#[derive(Clone, Debug, Default)]
struct Doubt(Arc<AtomicBool>);

impl Doubt {
    fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn drop(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn is_there(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl ClientContext for Doubt {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        context::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        self.raise();
    }
}

/// The bytes of a message with its headers.
fn bytes(headers: &[(String, String)], message: &Message) -> usize {
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len() + AROUND_HEADER).sum();
    let key = binding::key(message).map_or(0, str::len);
    headers + key + message.body.as_ref().map_or(0, bytes::Bytes::len) + AROUND
}

/// What a report says of its message.
fn reported<E>(report: Result<OwnedDeliveryResult, E>) -> Result<(), PublishError> {
    use RDKafkaErrorCode as Code;
    let error = match report {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err((error, _))) => error,
        Err(_) => return Err(PublishError::Unknown("the producer is gone".to_owned())),
    };
    let why = error.to_string();
    Err(match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) => PublishError::TooLarge(why),
        Some(
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::InvalidRecord
            | Code::PolicyViolation,
        ) => PublishError::Refused(why),
        // It was never sent.
        Some(Code::PurgeQueue) => PublishError::Away(why),
        _ => PublishError::Unknown(why),
    })
}
