//! RabbitMQ for one test: queues of its own on the server of `EVENKEEL_TEST_RABBITMQ_URL`, or a server of its own.
//!
//! `scripts/test` starts that server. Without it the tests on RabbitMQ are left out and say so; with
//! `EVENKEEL_TEST_REQUIRE=all` they fail.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use evenkeel::bus::Kind;
use evenkeel::{Config, Engine};
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Queue};
use tempfile::TempDir;

use crate::harness::{Calls, Place, counting, eventually};
use crate::line::Line;

const VARIABLE: &str = "EVENKEEL_TEST_RABBITMQ_URL";

#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn left_out<T>(why: &str) -> Option<T> {
    eprintln!("left out: {why}");
    None
}

/// Two queues that nobody else uses.
pub struct Rabbit {
    pub url: String,
    pub queue: String,
    pub dlq: String,
}

impl Rabbit {
    /// On the server of the tests; nothing if there is none.
    pub fn start() -> Option<Self> {
        let Ok(url) = std::env::var(VARIABLE) else {
            let required = std::env::var("EVENKEEL_TEST_REQUIRE").is_ok_and(|which| which == "all");
            assert!(!required, "{VARIABLE} is missing: scripts/test sets it");
            return left_out("no EVENKEEL_TEST_RABBITMQ_URL; scripts/test starts a server");
        };
        Some(Self::on(url))
    }

    /// On this server.
    pub fn on(url: String) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("evenkeel-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        Self { url, queue: name.clone(), dlq: format!("{name}-dlq") }
    }

    /// Makes it the bus.
    pub fn configure(&self, config: &mut Config) {
        config.bus.kind = Kind::Rabbitmq;
        config.rabbitmq.url.clone_from(&self.url);
        config.rabbitmq.queue.clone_from(&self.queue);
        config.rabbitmq.dlq.clone_from(&self.dlq);
        config.listener.concurrency = 2;
    }

    /// The same as lines of a file, keys with dots.
    pub fn toml(&self) -> String {
        let Self { url, queue, dlq } = self;
        format!(
            "bus.kind = \"rabbitmq\"\nrabbitmq.url = \"{url}\"\nrabbitmq.queue = \"{queue}\"\n\
             rabbitmq.dlq = \"{dlq}\"\nlistener.concurrency = 2\n"
        )
    }

    /// A line to the server, and the same queues over the line.
    pub async fn over_a_line(&self) -> (Line, Self) {
        let (credentials, server) = self.url.rsplit_once('@').unwrap();
        let (server, vhost) = server.split_once('/').unwrap();
        let line = Line::to(server).await;
        let url = format!("{credentials}@{}/{vhost}", line.address);
        (line, Self { url, queue: self.queue.clone(), dlq: self.dlq.clone() })
    }

    /// An engine on it that counts what it handles, and prefetches little.
    pub async fn engine(&self, place: &Place, calls: &Calls) -> Engine {
        let mut config = place.config();
        self.configure(&mut config);
        config.rabbitmq.prefetch = 10;
        Engine::builder().config(config).handler_fn("*", counting(calls)).start().await.unwrap()
    }

    /// A client that is not the engine's.
    pub async fn client(&self) -> Client {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Client { channel, connection }
    }

    /// Takes the queues away. Nothing may be left in that of the events.
    pub async fn end(self) {
        let client = self.client().await;
        assert_eq!(client.depth(&self.queue).await, 0, "messages are left");
        for queue in [&self.queue, &self.dlq] {
            client.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        }
    }
}

/// See [`Rabbit::client`].
pub struct Client {
    pub channel: Channel,
    connection: Connection,
}

impl Client {
    /// Makes a durable queue with these properties.
    pub async fn make(&self, queue: &str, properties: FieldTable) {
        self.channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), properties).await.unwrap();
    }

    /// Publishes; the broker has it when this returns.
    pub async fn publish(&self, queue: &str, properties: BasicProperties, body: &[u8]) {
        self.publish_all(queue, vec![(properties, body)]).await;
    }

    /// Publishes in order; the broker has all of it when this returns.
    pub async fn publish_all(&self, queue: &str, messages: Vec<(BasicProperties, &[u8])>) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let mut confirms = Vec::new();
        for (properties, body) in messages {
            let sent = self.channel.basic_publish("".into(), queue.into(), options, body, properties);
            confirms.push(sent.await.unwrap());
        }
        for confirm in confirms {
            let confirmed = confirm.await.unwrap();
            assert!(confirmed.is_ack() && confirmed.take_message().is_none());
        }
    }

    /// How many messages nobody has.
    pub async fn depth(&self, queue: &str) -> u32 {
        self.look(queue).await.message_count()
    }

    /// How many listeners there are.
    pub async fn listeners(&self, queue: &str) -> u32 {
        self.look(queue).await.consumer_count()
    }

    async fn look(&self, queue: &str) -> Queue {
        let options = QueueDeclareOptions::durable().passive();
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap()
    }

    /// All messages that nobody has, in their order. They go back.
    pub async fn peek(self, queue: &str) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        while let Some(message) = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap() {
            bodies.push(message.delivery.data);
        }
        self.connection.close(200, "OK".into()).await.unwrap();
        bodies
    }

    /// Waits for a message and takes it.
    pub async fn take(&self, queue: &str) -> BasicGetMessage {
        let options = BasicGetOptions { no_ack: true };
        eventually("a message arrives", async || self.channel.basic_get(queue.into(), options).await.unwrap()).await
    }
}

/// A server that one test has for itself, to stop it and start it again.
pub struct Server(TempDir);

impl Server {
    /// Starts one, where the tests have RabbitMQ at all.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// One that starts with these files; `settings.conf` is its configuration.
    pub async fn start_with(files: &[(&str, String)]) -> Option<Self> {
        drop(Rabbit::start()?);
        let server = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(server.path()).unwrap();
        for (name, text) in files {
            std::fs::write(server.path().join(name), text).unwrap();
        }
        server.resume().await;
        if server.variable().is_none() {
            return left_out("no RabbitMQ on this machine that a test may stop");
        }
        Some(server)
    }

    /// Where its files are.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("rabbitmq")
    }

    /// Two queues on it.
    pub fn rabbit(&self) -> Rabbit {
        Rabbit::on(self.variable().unwrap())
    }

    /// Starts it again, on its old port with its data; it is ready when this returns. What else the test does goes on
    /// meanwhile.
    pub async fn resume(&self) {
        let folder = self.0.path().to_owned();
        let start = move || script("start", &folder, &["--no-install", "rabbitmq"]);
        tokio::task::spawn_blocking(start).await.unwrap();
    }

    /// Ends it in good order; its clients' connections are closed.
    pub async fn stop(&self) {
        let folder = self.0.path().to_owned();
        tokio::task::spawn_blocking(move || script("stop", &folder, &["rabbitmq"])).await.unwrap();
    }

    fn variable(&self) -> Option<String> {
        let variables = std::fs::read_to_string(self.0.path().join("env")).unwrap();
        variables.lines().find_map(|line| Some(line.strip_prefix(VARIABLE)?.strip_prefix('=')?.to_owned()))
    }
}

fn script(verb: &str, folder: &Path, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-services");
    let mut command = Command::new(script);
    command.arg(verb).arg(folder).args(arguments).env_remove(VARIABLE);
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert!(ended.success(), "scripts/test-services {verb} ended with {ended}");
}

impl Drop for Server {
    fn drop(&mut self) {
        script("stop", self.0.path(), &["rabbitmq"]);
    }
}
