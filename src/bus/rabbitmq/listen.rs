//! Listening: a connection, a channel and a consumer of its own, built again for as long as somebody wants messages.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery as Delivered;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use super::Config;
use super::connect::{close, connect};
use super::profile::delivery;
use super::topology::{self, Fault};
use crate::bus::link::Cause;
use crate::bus::{Delivery, Link, Listen};

/// Longest wait between two tries to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// See [`Listen`].
pub(super) struct Listener {
    config: Arc<Config>,
    link: Link,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
    /// The tag of the last message that was given out, until it is settled.
    given: Option<u64>,
}

impl Listener {
    pub(super) const fn new(config: Arc<Config>, link: Link) -> Self {
        Self { config, link, open: None }
    }

    /// The consumer, in the end.
    async fn open(&mut self) -> &mut Open {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let open = self.insist().await;
                self.link.up();
                open
            }
        };
        self.open.insert(open)
    }

    /// Connects, however long that takes.
    async fn insist(&self) -> Open {
        let mut waits = waits();
        loop {
            match self.connect().await {
                Ok(open) => return open,
                Err(fault @ Fault::Login(_)) => self.link.down(Cause::Login, fault.to_string()),
                Err(fault) => self.link.down(Cause::Away, fault.to_string()),
            }
            tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT)).await;
        }
    }

    async fn connect(&self) -> Result<Open, Fault> {
        let connection = connect(&self.config, "listener").await?;
        let consuming = async {
            topology::prepare_on(&connection, &self.config).await?;
            consume(&connection, &self.config).await.map_err(|error| Fault::Away(error.to_string()))
        };
        let consuming = tokio::time::timeout(super::connect::PATIENCE, consuming).await;
        let late = |_| Fault::Away("it does not open a channel".to_owned());
        let (channel, consumer) = consuming.map_err(late)??;
        Ok(Open { connection, channel, consumer, given: None })
    }

    fn lose(&mut self, why: &str) {
        self.link.down(Cause::Away, why.to_owned());
        self.open = None;
    }
}

async fn consume(connection: &Connection, config: &Config) -> lapin::Result<(Channel, Consumer)> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(config.prefetch, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume(config.queue.as_str().into(), "".into(), options, FieldTable::default()).await?;
    Ok((channel, consumer))
}

impl Open {
    /// What has arrived, at least one.
    async fn take(&mut self, most: usize) -> Result<Vec<Delivered>, String> {
        let ended = || "its consumer was cancelled".to_owned();
        let first = self.consumer.next().await.ok_or_else(ended)?.map_err(|error| error.to_string())?;
        let mut taken = vec![first];
        while taken.len() < most {
            match self.consumer.next().now_or_never() {
                Some(Some(Ok(delivered))) => taken.push(delivered),
                // The end is found again by who asks next.
                Some(_) | None => break,
            }
        }
        self.given = taken.last().map(|last| last.delivery_tag);
        Ok(taken)
    }
}

impl Listen for Listener {
    fn next(&mut self) -> LocalBoxFuture<'_, Vec<Delivery>> {
        let most = usize::from(self.config.prefetch);
        async move {
            loop {
                match self.open().await.take(most).await {
                    Ok(taken) => {
                        let queue = &self.config.queue;
                        return taken.into_iter().map(|message| delivery(queue, message)).collect();
                    }
                    Err(why) => self.lose(&why),
                }
            }
        }
        .boxed_local()
    }

    fn settle(&mut self) -> LocalBoxFuture<'_, ()> {
        async move {
            let Some(open) = &mut self.open else { return };
            let Some(last) = open.given.take() else { return };
            // All of it came over this channel, and nothing else has come since.
            let acked = open.channel.basic_ack(last, BasicAckOptions { multiple: true }).await;
            if let Err(error) = acked {
                self.lose(&error.to_string());
            }
        }
        .boxed_local()
    }

    fn close(&mut self) -> LocalBoxFuture<'_, ()> {
        async move {
            self.link.end();
            if let Some(open) = self.open.take() {
                close(open.connection).await;
            }
        }
        .boxed_local()
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
