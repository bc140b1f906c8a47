//! From a batch of messages to records: decode, check, accept. It ends only when all of it is in the ledger, or when the
//! engine drains before.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use uuid::Uuid;

use crate::bus::{Broker, Delivery, RECORD_ID};
use crate::event::{Extensions, MAX_ID_BYTES, NewEvent, Payload};
use crate::ingest::arrival::{Arrival, Entered, Flaw, Outcome, take_in};
use crate::ingest::decode::decode_message;
use crate::ingest::schema::Schemas;
use crate::lifecycle::Status;
use crate::persist::{self, Interest, Origin};
use crate::process::Pool;

/// The type of a record whose message is no event.
const UNREADABLE: &str = "unknown";

/// How far an id that comes from outside may be in the future: clocks differ.
const TOLERANCE: Duration = Duration::from_secs(60);

/// How long an accept that has not begun is waited for once the engine drains.
const GRACE: Duration = Duration::from_secs(2);

/// Longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What all listeners share.
pub(crate) struct Reception {
    pub pool: Pool,
    pub schemas: Schemas,
    pub broker: Arc<Broker>,
    pub body_limit: usize,
    pub max_pending: u64,
}

/// Why a try came to nothing.
enum Failed {
    /// The ledger.
    Ledger(persist::Error),
    /// The engine drains, and nothing of it was or will be written.
    Draining,
}

impl Reception {
    /// How many events wait.
    pub(super) async fn waiting(&self) -> Result<u64, sea_orm::DbErr> {
        let counts = self.pool.persist.reads().counts().await?;
        let waiting: i64 = counts.iter().filter(|((_, status), _)| *status == Status::Pending).map(|(_, n)| n).sum();
        Ok(u64::try_from(waiting).unwrap_or(0))
    }

    /// Takes all of it in; false if the engine drains before that was possible.
    pub(super) async fn accept(&self, deliveries: Vec<Delivery>) -> bool {
        let mut arrivals: Vec<Arrival> = deliveries.into_iter().map(|delivery| self.arrival(delivery)).collect();
        self.drop_taken_ids(&mut arrivals).await;
        self.insist(arrivals).await
    }

    /// Makes an event of a message, or a record of what is wrong with it.
    fn arrival(&self, delivery: Delivery) -> Arrival {
        let origin = Origin {
            bus: self.broker.name.to_owned(),
            topic: Some(delivery.topic.clone()),
            partition: delivery.position.map(|(partition, _)| partition),
            offset: delivery.position.map(|(_, offset)| offset),
        };
        let redelivered = delivery.redelivered;
        let source = format!("/{}/{}", self.broker.name, delivery.topic);
        let limit = self.body_limit;
        let decoded = match delivery.body.len() {
            length if length > limit => Err(format!("the message has {length} bytes; `server.body_limit` is {limit}")),
            _ => decode_message(&delivery).map_err(|error| error.to_string()),
        };
        let (mut event, flaw) = match decoded {
            Ok(event) => {
                let breach = self.schemas.check(&event.event_type, &event.payload).err();
                (event, breach.map(Flaw::Schema))
            }
            Err(why) => (unreadable(delivery), Some(Flaw::Unreadable(why))),
        };
        event.source.get_or_insert(source);
        let id = self.hint(&event).unwrap_or_else(|| self.pool.clock.new_id());
        Arrival { id, event, flaw, origin, redelivered, remade: None }
    }

    /// The id that whoever published the event has promised for its record. It comes from outside: what it may not be is
    /// anything but a uuid v7 of the past, or the lists would not be in order.
    fn hint(&self, event: &NewEvent) -> Option<Uuid> {
        let id = Uuid::parse_str(event.extensions.get(RECORD_ID)?.as_str()?).ok()?;
        let (seconds, _) = id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
        let limit = self.pool.clock.now().after(TOLERANCE);
        (i64::try_from(seconds).ok()?.checked_mul(1_000_000)? <= limit.0).then_some(id)
    }

    /// An id that has a record already gets no second one: such an event has a new id.
    async fn drop_taken_ids(&self, arrivals: &mut [Arrival]) {
        let ids: Vec<Uuid> = arrivals.iter().map(|arrival| arrival.id).collect();
        // Without an answer all of them are new: a promise is broken, and nothing is lost.
        let taken = self.pool.persist.reads().taken(&ids).await;
        let mut seen: HashSet<Uuid> = taken.unwrap_or(ids).into_iter().collect();
        for arrival in arrivals {
            if !seen.insert(arrival.id) {
                arrival.id = self.pool.clock.new_id();
            }
        }
    }

    /// Tries until it is in the ledger.
    async fn insist(&self, mut arrivals: Vec<Arrival>) -> bool {
        let mut waits = waits();
        loop {
            let error = match self.attempt(arrivals.clone()).await {
                Ok(entered) => {
                    entered.iter().for_each(|entered| self.count(entered));
                    return true;
                }
                Err(Failed::Draining | Failed::Ledger(persist::Error::Closed)) => return false,
                Err(Failed::Ledger(error)) => error,
            };
            tracing::warn!(%error, messages = arrivals.len(), "messages could not be accepted; trying again");
            match error {
                // One of them is bad: each is tried alone.
                persist::Error::Refused(_) if arrivals.len() > 1 => {
                    for arrival in arrivals {
                        if !Box::pin(self.insist(vec![arrival])).await {
                            return false;
                        }
                    }
                    return true;
                }
                persist::Error::Refused(why) => arrivals.iter_mut().for_each(|arrival| self.mend(arrival, &why)),
                // What was written all the same is recognised, as a redelivery would be.
                persist::Error::Lost => arrivals.iter_mut().for_each(|arrival| {
                    arrival.id = self.pool.clock.new_id();
                    arrival.redelivered = true;
                }),
                persist::Error::Full | persist::Error::Closed => {}
            }
            tokio::select! {
                () = self.pool.drained() => return false,
                () = tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT)) => {}
            }
        }
    }

    /// One commit. While the ledger is away it waits there, and the broker keeps the rest.
    async fn attempt(&self, arrivals: Vec<Arrival>) -> Result<Vec<Entered>, Failed> {
        let (interest, wanted) = Interest::new();
        let mut entered = std::pin::pin!(take_in(&self.pool, arrivals, wanted));
        let drained = async {
            self.pool.drained().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            entered = &mut entered => return entered.map_err(Failed::Ledger),
            () = drained => {}
        }
        // What has begun is near its end; only what has not can be left to the broker.
        if interest.give_up() { Err(Failed::Draining) } else { entered.await.map_err(Failed::Ledger) }
    }

    /// Makes something that the ledger takes of what it has refused: another id first, then a record of the refusal.
    fn mend(&self, arrival: &mut Arrival, why: &str) {
        arrival.id = self.pool.clock.new_id();
        if arrival.event.extensions.remove(RECORD_ID).is_none() {
            let payload = std::mem::take(&mut arrival.event.payload);
            arrival.event = NewEvent { source: arrival.event.source.clone(), ..NewEvent::raw(UNREADABLE, payload) };
            arrival.flaw = Some(Flaw::Unreadable(format!("the ledger refused it: {why}")));
        }
    }

    fn count(&self, entered: &Entered) {
        let outcome = match &entered.outcome {
            Outcome::New(_) => "accepted",
            Outcome::Duplicate { .. } => "duplicate",
            Outcome::Redelivered => "redelivered",
            Outcome::Conflict { .. } | Outcome::Flawed(_) => "invalid",
        };
        self.pool.metrics.deliveries.with_label_values(&[outcome]).inc();
    }
}

/// A record of a message that is no event: its bytes as they came, and its headers as far as they are plain.
fn unreadable(delivery: Delivery) -> NewEvent {
    let plain = |text: &String| text.len() <= MAX_ID_BYTES && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let payload = Payload { content_type: delivery.content_type.filter(plain), bytes: Some(delivery.body) };
    let headers = delivery.headers.into_iter().filter(|(_, value)| !value.is_array() && !value.is_object());
    NewEvent { extensions: headers.collect::<Extensions>(), ..NewEvent::raw(UNREADABLE, payload) }
}

fn waits() -> backon::ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}
