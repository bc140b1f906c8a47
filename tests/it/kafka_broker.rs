//! Kafka for one test: topics and a group of its own on the server of `EVENKEEL_TEST_KAFKA_BROKERS`, or a server of its
//! own.
//!
//! `scripts/test` starts that server. Without it the tests on Kafka are left out and say so; with
//! `EVENKEEL_TEST_REQUIRE=all` they fail.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel::Config;
use evenkeel::bus::Kind;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::eventually;

const VARIABLE: &str = "EVENKEEL_TEST_KAFKA_BROKERS";

/// How long the server may take to answer a question of a test.
const ANSWER: Duration = Duration::from_secs(10);

fn left_out<T>(why: &str) -> Option<T> {
    eprintln!("left out: {why}");
    None
}

/// Two topics and a group that nobody else uses.
#[derive(Clone)]
pub struct Kafka {
    pub brokers: String,
    pub topic: String,
    pub dlq: String,
    pub group: String,
}

impl Kafka {
    /// On the server of the tests; nothing if there is none.
    pub fn start() -> Option<Self> {
        let Some(brokers) = std::env::var(VARIABLE).ok().filter(|brokers| !brokers.is_empty()) else {
            let required = std::env::var("EVENKEEL_TEST_REQUIRE").is_ok_and(|which| which == "all");
            assert!(!required, "{VARIABLE} is missing: scripts/test sets it");
            return left_out("no EVENKEEL_TEST_KAFKA_BROKERS; scripts/test starts a server");
        };
        Some(Self::on(brokers))
    }

    /// On this server.
    pub fn on(brokers: String) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("evenkeel-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        Self { brokers, topic: name.clone(), dlq: format!("{name}-dlq"), group: name }
    }

    /// Makes it the bus.
    pub fn configure(&self, config: &mut Config) {
        config.bus.kind = Kind::Kafka;
        config.kafka.brokers.clone_from(&self.brokers);
        config.kafka.topic.clone_from(&self.topic);
        config.kafka.dlq_topic.clone_from(&self.dlq);
        config.kafka.group.clone_from(&self.group);
        config.kafka.partitions = 4;
        config.listener.concurrency = 2;
    }

    /// The same as lines of a file; further lines are properties of librdkafka.
    pub fn toml(&self) -> String {
        let Self { brokers, topic, dlq, group } = self;
        format!(
            "[bus]\nkind = \"kafka\"\n[listener]\nconcurrency = 2\n[kafka]\nbrokers = \"{brokers}\"\n\
             topic = \"{topic}\"\ndlq_topic = \"{dlq}\"\ngroup = \"{group}\"\npartitions = 4\n[kafka.properties]\n"
        )
    }

    /// A client that is not the engine's.
    pub fn client(&self) -> Client {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("group.id", &self.group);
        Client {
            // Whoever wants a few messages at a time can have them: the broker hands out what was sent together.
            producer: config.clone().set("acks", "all").set("batch.num.messages", "10").create().unwrap(),
            // It looks, and leaves the group's offsets alone.
            reader: config.clone().set("enable.auto.commit", "false").create().unwrap(),
            admin: config.create().unwrap(),
            group: self.group.clone(),
        }
    }

    /// Makes the topic of the events before an engine does.
    pub async fn with_partitions(self, partitions: i32) -> Self {
        self.client().make(&self.topic, partitions).await;
        self
    }

    /// How many messages nobody has taken in.
    pub fn lag(&self) -> i64 {
        self.client().lag(&self.topic)
    }

    /// Takes the topics away. Nothing may be left in that of the events; an engine that still runs commits at its pace.
    pub async fn end(self) {
        eventually("no message is left", async || (self.lag() == 0).then_some(())).await;
        let topics = [self.topic.as_str(), &self.dlq];
        self.client().admin.delete_topics(&topics, &AdminOptions::new()).await.unwrap();
    }
}

/// See [`Kafka::client`].
pub struct Client {
    producer: FutureProducer,
    reader: BaseConsumer,
    admin: AdminClient<DefaultClientContext>,
    group: String,
}

impl Client {
    /// Publishes; the broker has it when this returns. Says where it is.
    pub async fn publish(&self, topic: &str, headers: &[(&str, &str)], value: Option<&[u8]>) -> (i32, i64) {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value.as_bytes()) }));
        let record = FutureRecord::<[u8], [u8]> { payload: value, ..FutureRecord::to(topic) };
        let sent = self.producer.send(record.headers(headers), ANSWER).await.unwrap();
        (sent.partition, sent.offset)
    }

    /// Publishes, in turn to each partition; the broker has all of it when this returns.
    pub async fn publish_all(&self, topic: &str, messages: Vec<(OwnedHeaders, &[u8])>) {
        let partitions = self.partitions(topic);
        let sent = messages.into_iter().enumerate().map(|(number, (headers, value))| {
            let partition = i32::try_from(number % partitions).unwrap();
            let record = FutureRecord::<[u8], [u8]>::to(topic).partition(partition).headers(headers).payload(value);
            self.producer.send_result(record).unwrap_or_else(|(error, _)| panic!("{error}"))
        });
        for sent in sent.collect::<Vec<_>>() {
            sent.await.unwrap().unwrap();
        }
    }

    /// Makes a topic.
    pub async fn make(&self, topic: &str, partitions: i32) {
        let topics = [NewTopic::new(topic, partitions, TopicReplication::Fixed(-1))];
        let made = self.admin.create_topics(&topics, &AdminOptions::new()).await.unwrap();
        made.into_iter().for_each(|made| drop(made.unwrap()));
        eventually("the topic is there", async || (self.partitions(topic) > 0).then_some(())).await;
    }

    /// How many members its group has, once all of them have their share.
    pub fn members(&self) -> Option<usize> {
        let groups = self.reader.fetch_group_list(Some(&self.group), ANSWER).unwrap();
        let group = groups.groups().iter().find(|group| group.state() == "Stable")?;
        Some(group.members().len())
    }

    /// How many partitions a topic has.
    pub fn partitions(&self, topic: &str) -> usize {
        let metadata = self.reader.fetch_metadata(None, ANSWER).unwrap();
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        found.map_or(0, |found| found.partitions().len())
    }

    /// How many messages of a topic its group has not committed.
    pub fn lag(&self, topic: &str) -> i64 {
        self.rest(topic).into_iter().map(|(_, from, to)| to - from).sum()
    }

    /// All of what its group has not committed, partition by partition.
    pub async fn uncommitted(&self, topic: &str) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        for (partition, from, to) in self.rest(topic) {
            self.go_to(topic, partition, from);
            for _ in from..to {
                values.push(self.next().await.payload().unwrap_or_default().to_vec());
            }
        }
        values
    }

    /// Of each partition, from where to where its group has not committed it.
    fn rest(&self, topic: &str) -> Vec<(i32, i64, i64)> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..self.partitions(topic) {
            asked.add_partition(topic, i32::try_from(partition).unwrap());
        }
        let committed = self.reader.committed_offsets(asked, ANSWER).unwrap();
        let of_partition = |(partition, committed): (i32, Offset)| {
            let (low, high) = self.reader.fetch_watermarks(topic, partition, ANSWER).unwrap();
            (partition, if let Offset::Offset(committed) = committed { committed } else { low }, high)
        };
        committed.elements().iter().map(|element| of_partition((element.partition(), element.offset()))).collect()
    }

    /// How many messages a topic has.
    pub fn depth(&self, topic: &str) -> i64 {
        let partitions = 0..i32::try_from(self.partitions(topic)).unwrap();
        let watermarks = partitions.map(|partition| self.reader.fetch_watermarks(topic, partition, ANSWER).unwrap());
        watermarks.map(|(low, high)| high - low).sum()
    }

    /// Waits for the message at this offset of the first partition.
    pub async fn read(&self, topic: &str, offset: i64) -> OwnedMessage {
        eventually("a message arrives", async || (self.depth(topic) > offset).then_some(())).await;
        self.go_to(topic, 0, offset);
        self.next().await
    }

    /// Reads from there on.
    fn go_to(&self, topic: &str, partition: i32, offset: i64) {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        self.reader.assign(&place).unwrap();
    }

    async fn next(&self) -> OwnedMessage {
        eventually("a message is read", async || {
            self.reader.poll(Duration::from_millis(10)).and_then(Result::ok).map(|message| message.detach())
        })
        .await
    }
}

/// A server that one test has for itself, to stop it and start it again.
pub struct Server(TempDir);

impl Server {
    /// Starts one, where the tests have Kafka at all.
    pub fn start() -> Option<Self> {
        Self::start_with(|_| {})
    }

    /// One that has a second listener at this address, which speaks this protocol, with these lines in its settings.
    pub fn start_guarded(address: &str, protocol: &str, lines: &str) -> Option<Self> {
        let protocols = "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:";
        Self::start_with(|folder| {
            std::fs::write(folder.join("listener"), format!("GUARDED://{address}")).unwrap();
            std::fs::write(folder.join("settings.more"), format!("{protocols}{protocol}\n{lines}")).unwrap();
        })
    }

    fn start_with(prepare: impl FnOnce(&Path)) -> Option<Self> {
        drop(Kafka::start()?);
        let server = Self(tempfile::tempdir().unwrap());
        let folder = server.0.path().join("kafka");
        std::fs::create_dir(&folder).unwrap();
        prepare(&folder);
        server.resume();
        if server.variable().is_none() {
            return left_out("no Kafka on this machine that a test may stop");
        }
        Some(server)
    }

    /// Topics on it.
    pub fn kafka(&self) -> Kafka {
        Kafka::on(self.variable().unwrap())
    }

    /// Starts it again, on its old port with its data; it is ready when this returns.
    pub fn resume(&self) {
        self.script("start", &["--no-install", "kafka"]);
    }

    /// Ends it in good order.
    pub fn stop(&self) {
        self.script("stop", &["kafka"]);
    }

    /// Ends it without a chance to do anything about it.
    pub fn kill9(&self) {
        self.signal(Signal::KILL);
        // What is left to do is to wait for its end.
        self.stop();
    }

    pub fn signal(&self, signal: Signal) {
        let id = std::fs::read_to_string(self.0.path().join("kafka/pid")).unwrap();
        kill_process(Pid::from_raw(id.trim().parse().unwrap()).unwrap(), signal).unwrap();
    }

    fn variable(&self) -> Option<String> {
        let variables = std::fs::read_to_string(self.0.path().join("env")).unwrap();
        variables.lines().find_map(|line| Some(line.strip_prefix(VARIABLE)?.strip_prefix('=')?.to_owned()))
    }

    fn script(&self, verb: &str, arguments: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-services");
        let mut command = Command::new(script);
        command.arg(verb).arg(self.0.path()).args(arguments).env_remove(VARIABLE);
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
        assert!(ended.success(), "scripts/test-services {verb} ended with {ended}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
