//! `[rabbitmq]`: where it is, and the queues there.
//!
//! Plain values only: nothing here connects to anything.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// RabbitMQ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// `amqp://` or `amqps://`, with user, password, host and virtual host; the `/` of the default one is written `%2f`.
    pub url: String,
    /// A file of certificates in PEM that `amqps://` trusts beside those of the system; `""` is none. It is relative to the
    /// working directory.
    pub ca_file: String,
    /// The queue of the events. It is made if there is none and the user may do so.
    pub queue: String,
    /// The queue of the dead letters. It is made like the other one.
    pub dlq: String,
    /// How many messages a listener may have that it has not acknowledged yet.
    pub prefetch: u16,
    /// What kind of queue is made. One that is there already is used as it is.
    pub queue_type: QueueType,
}

/// The kinds of queues that can be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// A durable queue on one node of RabbitMQ.
    #[default]
    Classic,
    /// A queue that is replicated on several nodes.
    Quorum,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned(),
            ca_file: String::new(),
            queue: "eventQueue".to_owned(),
            dlq: "event-dlq".to_owned(),
            prefetch: 100,
            queue_type: QueueType::Classic,
        }
    }
}

impl Config {
    /// What is wrong with the URL, if anything is. It may hold a password, so it is not shown.
    pub(crate) fn fault_of_url(&self) -> Option<String> {
        self.url.parse::<lapin::uri::AMQPUri>().err().map(|why| format!("is no URL of RabbitMQ: {why}"))
    }

    /// The certificates of `ca_file`, read anew each time: they are replaced while the engine runs.
    pub(super) fn certificates(&self) -> std::io::Result<Option<String>> {
        if self.ca_file.is_empty() { Ok(None) } else { std::fs::read_to_string(&self.ca_file).map(Some) }
    }
}
