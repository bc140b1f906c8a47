//! Several nodes that share a broker and one ledger on PostgreSQL, as real processes under load: they come and go, one is
//! killed, one freezes. Nothing is lost, nothing is stuck, and nothing is done twice that did not have to be.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::BasicProperties;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Place, eventually};
use crate::kafka_broker::{self, Kafka};
use crate::nodes::{abandoned, assert_counts, assert_repeats, id, live, records, serve, states};
use crate::process::{Node, configure};
use crate::rabbit::{self, Rabbit};
use crate::target::{Reply, Target};

/// So many events are published at a time, and so often: a pace that three nodes of a debug build keep up with.
const BATCH: usize = 10;
const PACE: Duration = Duration::from_millis(40);

/// How many events the handler of a node may have in hand.
const CONCURRENCY: usize = 10;

/// A broker, and a client of it that is not the engine's.
enum Bus {
    Kafka(Kafka, kafka_broker::Client),
    Rabbit(Rabbit, rabbit::Client),
}

impl Bus {
    async fn kafka() -> Option<Self> {
        let kafka = Kafka::start()?.with_partitions(6).await;
        let client = kafka.client();
        Some(Self::Kafka(kafka, client))
    }

    async fn rabbitmq() -> Option<Self> {
        let rabbit = Rabbit::start()?;
        let client = rabbit.client().await;
        client.make(&rabbit.queue, Default::default()).await;
        Some(Self::Rabbit(rabbit, client))
    }

    fn toml(&self) -> String {
        match self {
            Self::Kafka(kafka, _) => kafka.toml(),
            Self::Rabbit(rabbit, _) => rabbit.toml(),
        }
    }

    async fn publish(&self, numbers: Range<usize>) {
        let body = |number: usize| json!({ "type": "t", "id": number.to_string(), "source": "/s" }).to_string();
        let bodies: Vec<String> = numbers.map(body).collect();
        match self {
            Self::Kafka(kafka, client) => {
                let sent = bodies.iter().map(|body| client.publish(&kafka.topic, &[], Some(body.as_bytes())));
                futures_util::future::join_all(sent).await;
            }
            Self::Rabbit(rabbit, client) => {
                let messages = bodies.iter().map(|body| (BasicProperties::default(), body.as_bytes())).collect();
                client.publish_all(&rabbit.queue, messages).await;
            }
        }
    }

    /// Takes what it had away; every message has been acknowledged.
    async fn end(self) {
        match self {
            Self::Kafka(kafka, _) => {
                eventually("all offsets are committed", async || (kafka.lag() == 0).then_some(())).await;
                kafka.end().await;
            }
            Self::Rabbit(rabbit, _) => rabbit.end().await,
        }
    }
}

/// What is published until it is told to stop, and the handler of all nodes.
struct Load {
    bus: Bus,
    target: Target,
    handled: Arc<AtomicUsize>,
    sent: Cell<usize>,
    done: Cell<bool>,
}

impl Load {
    /// Over this bus, with the ledger of this place.
    fn over(bus: Bus, place: &Place) -> Self {
        let handled = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&handled);
        let target = Target::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Reply::Later(Duration::from_millis(10), 200)
        });
        let (toml, handler) = (bus.toml(), target.handler("target", "*"));
        let lease = "database.lease = \"3s\"\n";
        configure(place, &format!("{lease}{toml}{handler}concurrency = {CONCURRENCY}\n"));
        Self { bus, target, handled, sent: Cell::new(0), done: Cell::new(false) }
    }

    async fn run(&self) {
        while !self.done.get() {
            let number = self.sent.get();
            self.bus.publish(number..number + BATCH).await;
            self.sent.set(number + BATCH);
            tokio::time::sleep(PACE).await;
        }
    }

    /// Waits until so many more were handled.
    async fn goes_on(&self, more: usize) {
        let handled = || self.handled.load(Ordering::SeqCst);
        let before = handled();
        eventually("events are handled", async || (handled() >= before + more).then_some(())).await;
    }

    /// Waits until all that was sent so far has come to its end, whoever had it.
    async fn all_so_far(&self, place: &Place) {
        let (sent, sql) = (self.sent.get(), "SELECT count(*) AS n FROM event_record WHERE status = 'SUCCESS' AND");
        let sql = format!("{sql} event_id::int < {sent}");
        eventually("all that was sent is handled", async || {
            let done: i64 = place.rows(&sql).await[0].try_get("", "n").unwrap();
            (done == i64::try_from(sent).unwrap()).then_some(())
        })
        .await;
    }

    /// All of it is there once, has ended once, and was repeated only where its node had gone. So many nodes had.
    async fn assert_complete(self, place: &Place, gone: usize) {
        let records = records(place).await;
        let ids: std::collections::BTreeSet<&str> = records.values().map(|row| row.event_id.as_str()).collect();
        assert_eq!((records.len(), ids.len()), (self.sent.get(), self.sent.get()));
        for row in records.values() {
            let (last, before) = row.attempts.split_last().unwrap();
            assert_eq!((row.status.as_str(), last.as_str()), ("SUCCESS", "SUCCESS"));
            assert!(before.iter().all(|attempt| attempt == "ABANDONED"), "{}: {before:?}", row.event_id);
        }
        assert!(abandoned(&records) <= gone * CONCURRENCY, "{} were abandoned", abandoned(&records));
        assert_repeats(&self.target, &records);
        assert_counts(place).await;
        self.bus.end().await;
    }
}

/// It has a share of the messages, and takes in what comes.
async fn takes_part(node: &Node) {
    let accepted = async || node.metric("evenkeel_deliveries_total{outcome=\"accepted\"}").await.unwrap_or(0.0);
    let before = accepted().await;
    eventually("it takes part", async || (accepted().await > before).then_some(())).await;
}

#[actix::test]
async fn three_nodes_that_come_and_go_in_a_group_of_kafka_lose_nothing_and_do_nothing_twice() {
    let (Some(bus), Some(place)) = (Bus::kafka().await, Place::on_postgres()) else { return };
    let load = Load::over(bus, &place);
    let changes = async {
        let mut first = Node::serve(&place).await;
        takes_part(&first).await;
        let mut second = Node::serve(&place).await;
        let mut third = Node::serve(&place).await;
        takes_part(&second).await;
        takes_part(&third).await;
        second.process.kill9();
        assert!(first.terminate().await.success());
        let first = Node::serve(&place).await;
        let second = Node::serve(&place).await;
        assert!(third.terminate().await.success());
        let third = Node::serve(&place).await;
        for node in [&first, &second, &third] {
            takes_part(node).await;
        }
        load.done.set(true);
        [first, second, third]
    };
    let ((), nodes) = futures_util::join!(load.run(), changes);
    load.all_so_far(&place).await;
    for mut node in nodes {
        assert!(node.terminate().await.success());
    }
    let again = place.rows("SELECT 1 FROM event_record WHERE status <> 'SUCCESS'").await;
    assert!(again.is_empty(), "a message that comes again is no second send");
    load.assert_complete(&place, 1).await;
}

async fn one_is_killed_and_one_freezes(bus: Bus, place: Place) {
    let load = Load::over(bus, &place);
    let mut nodes = serve(&place, 3).await;
    let faults = async {
        for node in &nodes {
            takes_part(node).await;
        }
        nodes[0].process.kill9();
        load.goes_on(100).await;
        let frozen = id(&nodes[1]).await;
        nodes[1].process.signal(Signal::STOP);
        eventually("its lease runs out", async || (states(&nodes[2]).await[&frozen] == "gone").then_some(())).await;
        // Its messages come to the last one as well, when the broker has given it up.
        load.all_so_far(&place).await;
        nodes[1].process.signal(Signal::CONT);
        eventually("it is back", async || (live(&nodes[2]).await.len() == 2).then_some(())).await;
        assert!(!live(&nodes[2]).await.contains(&frozen), "under a new id");
        takes_part(&nodes[1]).await;
        load.goes_on(100).await;
        load.done.set(true);
    };
    futures_util::join!(load.run(), faults);
    load.all_so_far(&place).await;
    for node in &mut nodes[1..] {
        node.idle().await;
        assert!(node.terminate().await.success());
    }
    load.assert_complete(&place, 2).await;
}

#[actix::test]
async fn over_kafka_a_node_that_is_killed_and_one_that_freezes_cost_no_event_and_only_their_own_attempts() {
    let (Some(bus), Some(place)) = (Bus::kafka().await, Place::on_postgres()) else { return };
    one_is_killed_and_one_freezes(bus, place).await;
}

#[actix::test]
async fn over_rabbitmq_a_node_that_is_killed_and_one_that_freezes_cost_no_event_and_only_their_own_attempts() {
    let (Some(bus), Some(place)) = (Bus::rabbitmq().await, Place::on_postgres()) else { return };
    one_is_killed_and_one_freezes(bus, place).await;
}
