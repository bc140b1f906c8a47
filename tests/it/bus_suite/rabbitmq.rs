//! RabbitMQ for the suite: two queues, and a client that knows how attributes are written there.

use bytes::Bytes;
use evenkeel::Config;
use evenkeel::bus::Kind;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Map, Value};

use super::bus::{Bus, Letter, Raw};
use crate::harness::eventually;
use crate::line::Line;
use crate::process::Node;
use crate::rabbit::Rabbit;

const PREFIX: &str = "cloudEvents_";

impl Bus for Rabbit {
    const KIND: Kind = Kind::Rabbitmq;

    fn start() -> Option<Self> {
        Self::start()
    }

    fn configure(&self, config: &mut Config) {
        self.configure(config);
    }

    fn toml(&self, listeners: usize) -> String {
        let toml = self.toml().replace("listener.concurrency = 2", &format!("listener.concurrency = {listeners}"));
        format!("{toml}rabbitmq.prefetch = 10\n")
    }

    fn in_small_steps(&self) -> &'static str {
        ""
    }

    async fn unheard(&self) -> (Option<Line>, Self) {
        let (line, far) = self.over_a_line().await;
        (Some(line), far)
    }

    async fn until_shared(&self, listeners: usize) {
        let (client, wanted) = (self.client().await, u32::try_from(listeners).unwrap());
        eventually("all listen", async || (client.listeners(&self.queue).await == wanted).then_some(())).await;
    }

    async fn publish(&self, _: &Node, messages: &[Raw]) -> Vec<Raw> {
        let messages = messages.iter().map(|message| {
            let mut headers = FieldTable::default();
            for (name, value) in &message.headers {
                headers.insert((*name).into(), AMQPValue::LongString(value.as_str().into()));
            }
            let properties = BasicProperties::default().with_content_type(message.content_type.into());
            (properties.with_headers(headers), &message.body[..])
        });
        self.client().await.publish_all(&self.queue, messages.collect()).await;
        Vec::new()
    }

    async fn unsettled(&self) -> Vec<Bytes> {
        let client = self.client().await;
        // What a process had that is gone comes back with the end of its connection.
        eventually("nobody listens", async || (client.listeners(&self.queue).await == 0).then_some(())).await;
        client.peek(&self.queue).await.into_iter().map(Bytes::from).collect()
    }

    async fn letter(&self) -> Letter {
        let letter = self.client().await.take(&self.dlq).await.delivery;
        assert_eq!(*letter.properties.delivery_mode(), Some(2), "it is kept on the disk");
        let (mut attributes, mut headers) = (Map::new(), Map::new());
        for (name, value) in letter.properties.headers().iter().flat_map(|headers| headers.inner()) {
            let value = match value {
                AMQPValue::LongString(text) => text.to_string().into(),
                AMQPValue::LongLongInt(number) => (*number).into(),
                other => Value::from(format!("{other:?}")),
            };
            match name.as_str().strip_prefix(PREFIX) {
                Some(name) => attributes.insert(name.to_owned(), value),
                None => headers.insert(name.as_str().to_owned(), value),
            };
        }
        let content_type = letter.properties.content_type().as_ref().map(|text| text.as_str().to_owned());
        Letter { attributes, headers, content_type, body: letter.data.into() }
    }

    async fn letters(&self) -> usize {
        self.client().await.depth(&self.dlq).await as usize
    }

    async fn end(self) {
        self.end().await;
    }
}
