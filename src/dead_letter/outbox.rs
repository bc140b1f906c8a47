//! The outbox: deaths of a broker's events are published to its dead-letter queue, at least once, one message a death.
//!
//! The ledger is the list of what is to do: a message is sent, confirmed and then written down as published, in this
//! order, so that a crash in between sends it again and never forgets it. Only Persistence writes that down. Of several
//! nodes one publishes, also what died on the others; when it is gone, the next goes on.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::bus::{Broker, Message as Published, Publish, PublishError};
use crate::persist::Death;
use crate::process::Pool;

/// How often the ledger is looked at when nobody announces a death: other nodes write theirs down without a word.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait before what could not be published is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// So many deaths are published at a time.
const BATCH: u64 = 100;

/// The longest text in a header, in bytes: a message's headers have to fit into one frame of the broker.
const LONGEST_TEXT: usize = 4_096;

/// The actor. A fault of our own costs it its run, and it begins another.
pub(crate) struct Outbox {
    pool: Pool,
    broker: Arc<Broker>,
    running: Option<JoinHandle<()>>,
}

impl Outbox {
    pub(crate) const fn new(pool: Pool, broker: Arc<Broker>) -> Self {
        Self { pool, broker, running: None }
    }

    fn look(&mut self) {
        if self.pool.is_draining() || self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        let run = run(self.pool.clone(), Arc::clone(&self.broker));
        if self.running.replace(actix::spawn(run)).is_some() {
            tracing::error!("the outbox died; started another");
            self.pool.metrics.actor_restarts.with_label_values(&["outbox"]).inc();
        }
    }
}

impl Actor for Outbox {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look();
        ctx.run_interval(AGAIN, |outbox, _| outbox.look());
    }
}

/// Publishes until the engine drains; what is left then waits for the next start.
async fn run(pool: Pool, broker: Arc<Broker>) {
    loop {
        let died = pool.died();
        let published = publish_all(&pool, &broker).await;
        if let Err(why) = &published {
            tracing::warn!(why, "dead letters cannot be published; trying again");
        }
        tokio::select! {
            biased;
            () = pool.drained() => return,
            () = died, if published.is_ok() => {}
            () = tokio::time::sleep(if published.is_ok() { LOOK } else { AGAIN }) => {}
        }
    }
}

/// Publishes what there is, oldest first, as long as it is this node's to do.
async fn publish_all(pool: &Pool, broker: &Broker) -> Result<(), String> {
    loop {
        if !is_ours(pool, broker) {
            return Ok(());
        }
        let deaths = pool.persist.reads().deaths(broker.name, BATCH).await.map_err(|error| error.to_string())?;
        if deaths.is_empty() {
            return Ok(());
        }
        for death in deaths {
            if !is_ours(pool, broker) {
                return Ok(());
            }
            publish(pool, broker, &death).await.map_err(|error| error.to_string())?;
            let key = vec![(death.record.id, death.round)];
            pool.persist.published(key, pool.clock.now()).await.map_err(|error| error.to_string())?;
        }
    }
}

fn is_ours(pool: &Pool, broker: &Broker) -> bool {
    !pool.is_draining() && pool.is_eldest_on(broker.name)
}

async fn publish(pool: &Pool, broker: &Broker, death: &Death) -> Result<(), PublishError> {
    let published = deliver(&*broker.dead_letters, message(death)).await;
    pool.metrics.published("dead_letters", &published, 1);
    published
}

/// Publishes a dead letter; one that is too large for the broker goes without its payload, or with no more attributes
/// than it must have, and says so.
async fn deliver(publish: &dyn Publish, mut message: Published) -> Result<(), PublishError> {
    let mut published = publish.publish(vec![message.clone()]).await;
    if let (Err(PublishError::TooLarge(_)), Some(body)) = (&published, message.body.take()) {
        let note = format!("{} bytes are too large for the broker", body.len());
        message.headers.insert(header("payload_omitted"), note.into());
        published = publish.publish(vec![message.clone()]).await;
    }
    if let Err(PublishError::TooLarge(_)) = published {
        message.attributes.retain(|name, _| ["id", "source", "specversion", "type"].contains(&name.as_str()));
        message.headers.insert(header("attributes_omitted"), true.into());
        published = publish.publish(vec![message]).await;
    }
    published
}

/// The event as it was, and what is to be known of its death.
fn message(death: &Death) -> Published {
    let record = &death.record;
    let mut message = Published::dead_letter(&death.event);
    let mut note = |name, value: Value| message.headers.insert(header(name), value);
    note("record_id", record.id.to_string().into());
    note("reason", death.reason.as_str().into());
    note("died_at", death.at.to_rfc3339().into());
    note("round", death.round.into());
    note("attempts", record.attempt_count.into());
    let handler = record.handler_name.as_deref().map(Value::from);
    let error = record.error.as_deref().map(|error| shortened(error).into());
    let topic = record.origin.topic.as_deref().map(Value::from);
    let partition = record.origin.partition.map(Value::from);
    let offset = record.origin.offset.map(Value::from);
    let known =
        [("handler", handler), ("error", error), ("topic", topic), ("partition", partition), ("offset", offset)];
    for (name, value) in known {
        if let Some(value) = value {
            note(name, value);
        }
    }
    message
}

fn header(name: &str) -> String {
    format!("evenkeel_{name}")
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::event::{Event, Extensions, Payload};

    /// A broker that takes nothing above ten bytes or five attributes, and keeps the rest.
    #[derive(Default)]
    struct Small(Mutex<Vec<Published>>);

    impl Publish for Small {
        fn publish(&self, mut messages: Vec<Published>) -> BoxFuture<'static, Result<(), PublishError>> {
            let fits = messages.iter().all(|message| {
                message.body.as_ref().is_none_or(|body| body.len() <= 10) && message.attributes.len() <= 5
            });
            let result = if fits { Ok(()) } else { Err(PublishError::TooLarge("above 10 bytes".to_owned())) };
            if fits {
                self.0.lock().unwrap().append(&mut messages);
            }
            async move { result }.boxed()
        }

        fn ping(&self) -> BoxFuture<'static, Result<(), PublishError>> {
            async { Ok(()) }.boxed()
        }
    }

    fn letter(data: &'static str) -> Published {
        let event = Event {
            id: "1".into(),
            source: "/s".into(),
            event_type: "t".into(),
            subject: None,
            time: None,
            extensions: Extensions::new(),
            data: Payload::json(data),
        };
        Published::dead_letter(&event)
    }

    #[actix::test]
    async fn what_is_too_large_for_the_broker_goes_without_its_payload_and_says_so() {
        let small = Small::default();
        for data in ["[1]", "\"0123456789\""] {
            deliver(&small, letter(data)).await.unwrap();
        }
        let kept = small.0.into_inner().unwrap();
        assert_eq!(kept[0], letter("[1]"));
        assert_eq!(kept[1].body, None);
        assert_eq!(kept[1].headers["evenkeel_payload_omitted"], "12 bytes are too large for the broker");
        assert_eq!(kept[1].attributes, letter("1").attributes);
    }

    #[actix::test]
    async fn too_many_attributes_are_no_reason_to_keep_a_death_back() {
        let (small, mut wide) = (Small::default(), letter("[1]"));
        for name in ["a", "b"] {
            wide.attributes.insert(name.to_owned(), "1".into());
        }
        deliver(&small, wide).await.unwrap();
        let kept = small.0.into_inner().unwrap();
        assert_eq!(kept[0].attributes, letter("1").attributes);
        assert_eq!((&kept[0].headers["evenkeel_attributes_omitted"], &kept[0].body), (&true.into(), &None));
    }

    #[test]
    fn a_long_error_is_cut_between_two_characters() {
        assert_eq!(shortened("short"), "short");
        let cut = shortened(&"€".repeat(2_000)).to_owned();
        assert_eq!((cut.len(), cut.chars().all(|character| character == '€')), (4_095, true));
    }
}
