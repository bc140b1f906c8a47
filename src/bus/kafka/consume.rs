//! The thread of one listener: a consumer of the group that polls whatever happens, built again for as long as somebody
//! wants messages.
//!
//! It may block, and so it is a thread: what is called back on a rebalance waits for an accept in flight, and closing a
//! consumer waits for the group. An offset is stored here alone, and only what the hatch says to be settled.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, Statistics, TopicPartitionList};

use super::hatch::{Ends, Hatch};
use super::{Config, binding, context, properties, topics};
use crate::bus::link::Cause;
use crate::bus::{Delivery, Link};

/// Longest wait between two tries to listen.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Longest wait for a message.
const TICK: Duration = Duration::from_millis(100);

/// How long nobody may want a batch before the partitions are paused. Most accepts are shorter, and a pause is dear: the
/// client throws away what it has fetched, and fetches it again.
const PAUSE_AFTER: Duration = Duration::from_secs(1);

/// How long an accept in flight may hold up a rebalance.
const LAST_ACCEPT: Duration = Duration::from_secs(5);

/// How long leaving the group may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// A batch is full with so many messages,
const MOST: usize = 500;

/// or so many bytes.
const MOST_BYTES: usize = 4 << 20;

/// Runs until the listener has gone.
pub(super) fn run(config: &Config, hatch: &Arc<Hatch>, link: &Link) {
    let _end = End(hatch);
    let mut waits = waits();
    while !hatch.is_closing() {
        let Err(why) = consume(config, hatch, link) else { break };
        link.down(Cause::Away, why);
        if hatch.rest(waits.next().unwrap_or(LONGEST_WAIT)) {
            break;
        }
    }
    link.end();
}

/// Says that the thread has ended, also when it has died.
struct End<'a>(&'a Hatch);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// One consumer's life. An error is a reason to build another.
fn consume(config: &Config, hatch: &Arc<Hatch>, link: &Link) -> Result<(), String> {
    let member = Member { hatch: Arc::clone(hatch), link: link.clone(), generation: AtomicU64::new(0) };
    let consumer = properties::of_consumer(config).create_with_context(member);
    let consumer: BaseConsumer<Member> = consumer.map_err(|error: KafkaError| error.to_string())?;
    let mut turns = Turns { config, consumer, hatch, held: Vec::new(), bytes: 0, generation: 0, paused: None };
    let ended = turns.run();
    let_go(turns.consumer);
    ended
}

/// Leaves the group, in bounded time: one that cannot is left to a thread of its own.
fn let_go(consumer: BaseConsumer<Member>) {
    let (done, ended) = mpsc::channel::<()>();
    let closing = std::thread::Builder::new().name("kafka goodbye".to_owned()).spawn(move || {
        drop(consumer);
        drop(done);
    });
    // The channel ends with the thread, which is all that is waited for.
    if closing.is_ok() && ended.recv_timeout(GOODBYE) == Err(mpsc::RecvTimeoutError::Timeout) {
        tracing::warn!("a consumer does not end; Kafka gives its partitions to others in time");
    }
}

/// A consumer, and what it has polled.
struct Turns<'a> {
    config: &'a Config,
    consumer: BaseConsumer<Member>,
    hatch: &'a Arc<Hatch>,
    held: Vec<Delivery>,
    bytes: usize,
    /// The assignment that what is held belongs to.
    generation: u64,
    /// The assignment that is paused, if it is.
    paused: Option<u64>,
}

impl Turns<'_> {
    fn run(&mut self) -> Result<(), String> {
        self.reach()?;
        self.consumer.subscribe(&[&self.config.topic]).map_err(|error| error.to_string())?;
        while !self.hatch.is_closing() {
            self.turn()?;
        }
        self.store(&self.hatch.settled());
        Ok(())
    }

    /// Kafka is there, and has the topic.
    fn reach(&self) -> Result<(), String> {
        let metadata = self.consumer.fetch_metadata(Some(&self.config.topic), topics::PATIENCE);
        let metadata = metadata.map_err(|error| error.to_string())?;
        if metadata.topics().iter().all(|topic| topic.error().is_none()) {
            return Ok(());
        }
        topics::prepare(self.config).map(drop).map_err(|fault| fault.to_string())
    }

    /// One batch for who wants one; as long as nobody does, only signs of life.
    fn turn(&mut self) -> Result<(), String> {
        let wanted = self.hatch.wait_for_want(PAUSE_AFTER);
        self.store(&self.hatch.settled());
        if !wanted {
            self.pause();
            // Who does not poll is put out of the group.
            return self.poll(Duration::ZERO).map(drop);
        }
        self.resume();
        let mut longest = if self.held.is_empty() { TICK } else { Duration::ZERO };
        while self.held.len() < MOST && self.bytes < MOST_BYTES && self.poll(longest)? {
            longest = Duration::ZERO;
        }
        if !self.held.is_empty() {
            let batch = std::mem::take(&mut self.held);
            self.bytes = 0;
            let ends = batch.iter().filter_map(|delivery| delivery.position);
            let ends: Ends = ends.map(|(partition, offset)| (partition, offset + 1)).collect();
            self.hatch.give(batch, ends);
        }
        Ok(())
    }

    /// Holds the next message; false if there is none.
    fn poll(&mut self, longest: Duration) -> Result<bool, String> {
        let polled = self.consumer.poll(longest).map(|polled| polled.map(|message| binding::delivery(&message)));
        let generation = self.consumer.context().generation.load(Ordering::SeqCst);
        if generation != self.generation {
            // What was held is read by whoever has its partition now.
            self.held.clear();
            (self.bytes, self.generation) = (0, generation);
        }
        match polled {
            None => Ok(false),
            Some(Ok(delivery)) => {
                self.bytes += delivery.body.len();
                self.held.push(delivery);
                Ok(true)
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => Err(error.to_string()),
            Some(Err(error)) => {
                self.consumer.context().link.down(cause(&error), error.to_string());
                Ok(false)
            }
        }
    }

    fn pause(&mut self) {
        if self.paused == Some(self.generation) {
            return;
        }
        match self.consumer.assignment().and_then(|assignment| self.consumer.pause(&assignment)) {
            Ok(()) => self.paused = Some(self.generation),
            Err(error) => tracing::debug!(%error, "partitions could not be paused"),
        }
    }

    fn resume(&mut self) {
        if self.paused.take().is_none() {
            return;
        }
        if let Err(error) = self.consumer.assignment().and_then(|assignment| self.consumer.resume(&assignment)) {
            tracing::warn!(%error, "partitions could not be resumed");
            // Tried again with the next turn.
            self.paused = Some(self.generation);
        }
    }

    fn store(&self, ends: &Ends) {
        store(&self.consumer, &self.config.topic, ends);
    }
}

/// From here on they are committed at the consumer's own pace.
fn store(consumer: &BaseConsumer<Member>, topic: &str, ends: &Ends) {
    if ends.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::with_capacity(ends.len());
    let added =
        ends.iter().try_for_each(|(partition, end)| list.add_partition_offset(topic, *partition, Offset::Offset(*end)));
    if let Err(error) = added.and_then(|()| consumer.store_offsets(&list)) {
        tracing::warn!(%error, "offsets could not be stored; their messages come again");
    }
}

/// What the client calls back, on the thread that polls.
struct Member {
    hatch: Arc<Hatch>,
    link: Link,
    /// Changes with the assignment.
    generation: AtomicU64,
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        context::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        // All others are said again by who polls, or mend themselves.
        let is_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if is_down || cause(&error) == Cause::Login {
            self.link.down(cause(&error), reason.to_owned());
        }
    }

    fn stats(&self, statistics: Statistics) {
        // The only way to see that a connection is back when no message comes over it.
        let group = statistics.cgrp.unwrap_or_default();
        if group.state == "up" && group.join_state == "steady" {
            self.link.up();
        }
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        let Rebalance::Revoke(partitions) = rebalance else { return };
        // Who has been put out of the group already has nothing to store any more.
        let lost = consumer.assignment_lost();
        let ends = self.hatch.give_up(if lost { Duration::ZERO } else { LAST_ACCEPT });
        let elements = partitions.elements();
        if let (false, Some(first)) = (lost, elements.first()) {
            store(consumer, first.topic(), &ends);
            match consumer.commit_consumer_state(CommitMode::Sync) {
                Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
                Err(error) => tracing::debug!(%error, "offsets could not be committed; their messages come again"),
            }
        }
    }
}

fn cause(error: &KafkaError) -> Cause {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::Authentication) => Cause::Login,
        _ => Cause::Away,
    }
}

/// Endless, capped, and spread out: listeners that lost a broker together do not come back together.
fn waits() -> backon::ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}
