//! What librdkafka calls fatal: a client that has met it does nothing any more, and has to be made again.
//!
//! The broker is the client library's own mock, which answers with whatever a test wants: no real one says such a thing on
//! demand.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Place, eventually};
use crate::kafka_broker::Kafka;
use crate::process::{Node, configure};

/// A broker that does as it is told, an engine on it, and how many events were accepted.
struct Mocked {
    cluster: MockCluster<'static, DefaultProducerContext>,
    kafka: Kafka,
    node: Node,
    sent: u64,
}

impl Mocked {
    async fn start(place: &Place) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let kafka = Kafka::on(cluster.bootstrap_servers());
        // It makes no topics for its clients.
        for topic in [&kafka.topic, &kafka.dlq] {
            cluster.create_topic(topic, 2, 1).unwrap();
        }
        let handler = "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"*\"]\n";
        configure(place, &format!("{}{handler}", kafka.toml()));
        Self { cluster, kafka, node: Node::serve(place).await, sent: 0 }
    }

    /// Sends one event, again until it is accepted.
    async fn send(&mut self) {
        let event = json!({ "type": "t", "source": "/s", "id": self.sent.to_string() });
        eventually("it is accepted", async || {
            (self.node.post("/api/v1/events", &event).await.0 == StatusCode::ACCEPTED).then_some(())
        })
        .await;
        self.sent += 1;
    }

    /// Everything that was accepted is handled, once, and its offsets are committed.
    async fn complete(mut self) {
        self.node.until_count("SUCCESS", self.sent).await;
        eventually("all offsets are committed", async || (self.kafka.lag() == 0).then_some(())).await;
        assert!(self.node.terminate().await.success());
    }

    fn told(&self, message: &str) -> usize {
        self.node.logged("message", message).len()
    }
}

#[actix::test]
async fn consumers_that_were_fenced_are_built_again_and_events_go_on() {
    let place = Place::new();
    let mut mocked = Mocked::start(&place).await;
    mocked.send().await;
    mocked.node.until_count("SUCCESS", 1).await;
    // One for each listener: with its next sign of life.
    let fenced = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID; 2];
    mocked.cluster.request_errors(RDKafkaApiKey::Heartbeat, &fenced);
    let trouble = "the broker cannot be listened to; it is tried again and again";
    eventually("a consumer has failed", async || (mocked.told(trouble) == 1).then_some(())).await;
    let why = mocked.node.logged("message", trouble)[0]["why"].to_string();
    assert!(why.contains("Fatal") || why.contains("fatal"), "{why}");
    for _ in 0..20 {
        mocked.send().await;
    }
    eventually("all are built again", async || (mocked.told("the broker is listened to again") > 0).then_some(()))
        .await;
    mocked.complete().await;
}

#[actix::test]
async fn a_producer_that_has_lost_its_sequence_is_made_again_and_events_go_on() {
    let place = Place::new();
    let mut mocked = Mocked::start(&place).await;
    mocked.send().await;
    let lost = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER];
    mocked.cluster.request_errors(RDKafkaApiKey::Produce, &lost);
    let event = json!({ "type": "t", "source": "/s", "id": mocked.sent.to_string() });
    let (status, answer) = mocked.node.post("/api/v1/events", &event).await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("outcome_unknown")));
    // The same again, as the answer says.
    for _ in 0..20 {
        mocked.send().await;
    }
    assert_eq!(mocked.told("a producer has failed; it is made again"), 1);
    mocked.complete().await;
}
