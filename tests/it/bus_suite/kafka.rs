//! Kafka for the suite: two topics, and a client that knows how attributes are written there.

use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use evenkeel::Config;
use evenkeel::bus::Kind;
use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use serde_json::{Map, Value};

use super::bus::{Bus, Letter, Raw};
use crate::harness::eventually;
use crate::kafka_broker::Kafka;
use crate::line::Line;
use crate::process::Node;

const PREFIX: &str = "ce_";

/// The topics.
pub struct Topics {
    kafka: Kafka,
    /// How many dead letters have been taken.
    taken: AtomicI64,
    /// How often offsets are committed, as a line of a file.
    commits: &'static str,
}

impl Topics {
    const fn on(kafka: Kafka, commits: &'static str) -> Self {
        Self { kafka, taken: AtomicI64::new(0), commits }
    }
}

impl Bus for Topics {
    const KIND: Kind = Kind::Kafka;

    fn start() -> Option<Self> {
        Some(Self::on(Kafka::start()?, ""))
    }

    fn configure(&self, config: &mut Config) {
        self.kafka.configure(config);
    }

    /// As many partitions as listeners: with one, the order is that of all messages.
    fn toml(&self, listeners: usize) -> String {
        let Kafka { brokers, topic, dlq, group } = &self.kafka;
        format!(
            "bus.kind = \"kafka\"\nlistener.concurrency = {listeners}\nkafka.brokers = \"{brokers}\"\n\
             kafka.topic = \"{topic}\"\nkafka.dlq_topic = \"{dlq}\"\nkafka.group = \"{group}\"\n\
             kafka.partitions = {listeners}\n{}",
            self.commits
        )
    }

    /// One answer of the broker has what was sent together, and the next is asked for when that is gone.
    fn in_small_steps(&self) -> &'static str {
        "kafka.properties.fetch.message.max.bytes = 1000\nkafka.properties.queued.min.messages = 1\n\
         kafka.properties.auto.commit.interval.ms = 10\n"
    }

    /// A client of Kafka goes where Kafka says that it is, and never over a line.
    async fn unheard(&self) -> (Option<Line>, Self) {
        (None, Self::on(self.kafka.clone(), "kafka.properties.auto.commit.interval.ms = 600000\n"))
    }

    async fn until_shared(&self, listeners: usize) {
        let client = self.kafka.client();
        eventually("all have their share", async || (client.members() == Some(listeners)).then_some(())).await;
    }

    async fn publish(&self, _: &Node, messages: &[Raw]) -> Vec<Raw> {
        let messages = messages.iter().map(|message| {
            let content_type = ("content-type", message.content_type.to_owned());
            let headers =
                message.headers.iter().chain([&content_type]).fold(OwnedHeaders::new(), |all, (key, value)| {
                    all.insert(Header { key, value: Some(value.as_bytes()) })
                });
            (headers, &message.body[..])
        });
        self.kafka.client().publish_all(&self.kafka.topic, messages.collect()).await;
        Vec::new()
    }

    async fn unsettled(&self) -> Vec<Bytes> {
        self.kafka.client().uncommitted(&self.kafka.topic).await.into_iter().map(Bytes::from).collect()
    }

    async fn letter(&self) -> Letter {
        let letter = self.kafka.client().read(&self.kafka.dlq, self.taken.fetch_add(1, Ordering::Relaxed)).await;
        let (mut attributes, mut headers, mut content_type) = (Map::new(), Map::new(), None);
        for header in letter.headers().unwrap().iter() {
            let value = String::from_utf8(header.value.unwrap().to_vec()).unwrap();
            match header.key.strip_prefix(PREFIX) {
                Some(name) => drop(attributes.insert(name.to_owned(), value.into())),
                None if header.key == "content-type" => content_type = Some(value),
                None => drop(headers.insert(header.key.to_owned(), Value::from(value))),
            }
        }
        let body = letter.payload().unwrap_or_default().to_vec().into();
        Letter { attributes, headers, content_type, body }
    }

    async fn letters(&self) -> usize {
        let all = self.kafka.client().depth(&self.kafka.dlq);
        usize::try_from(all - self.taken.load(Ordering::Relaxed)).unwrap()
    }

    async fn end(self) {
        self.kafka.end().await;
    }
}
