//! Publishing with confirms, on a connection that nothing else uses.
//!
//! An actor, so that a message goes on when its sender stops waiting, and the connection lives on a thread that does.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::protocol::AMQPSoftError;
use lapin::{Channel, Confirmation, Connection, ErrorKind};
use serde_json::Value;
use tokio::sync::Mutex;

use super::Config;
use super::connect::connect;
use super::profile::properties;
use super::topology::soft;
use crate::bus::{Destination, Message, Publish, PublishError, sum_up};

/// How long the broker may take to confirm.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of headers. They have to fit into one frame, which RabbitMQ lets have 128 KiB.
const MAX_HEADER_BYTES: usize = 96 << 10;

/// The way to the actor.
pub(super) struct Publisher(Addr<Sender>);

impl Publisher {
    pub(super) fn start(config: &Arc<Config>, purpose: &'static str, thread: &ArbiterHandle) -> Self {
        let config = Arc::clone(config);
        Self(Actor::start_in_arbiter(thread, move |_| Sender(Rc::new(Outlet::new(config, purpose)))))
    }

    fn ask(&self, messages: Vec<Message>) -> BoxFuture<'static, Result<(), PublishError>> {
        let asked = self.0.send(Send(messages));
        let gone = || PublishError::Unknown("the publisher is gone".to_owned());
        async move { asked.await.unwrap_or_else(|_| Err(gone())) }.boxed()
    }
}

impl Publish for Publisher {
    fn publish(&self, messages: Vec<Message>) -> BoxFuture<'static, Result<(), PublishError>> {
        self.ask(messages)
    }

    fn ping(&self) -> BoxFuture<'static, Result<(), PublishError>> {
        // No messages need no more than a channel.
        self.ask(Vec::new())
    }
}

/// Messages to be published.
#[derive(Message)]
#[rtype(result = "Result<(), PublishError>")]
struct Send(Vec<Message>);

/// The actor.
struct Sender(Rc<Outlet>);

impl Actor for Sender {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1_000);
    }
}

impl Handler<Send> for Sender {
    // Not bound to the caller: actix lets it run on when nobody waits for it.
    type Result = ResponseFuture<Result<(), PublishError>>;

    fn handle(&mut self, Send(messages): Send, _: &mut Self::Context) -> Self::Result {
        let outlet = Rc::clone(&self.0);
        Box::pin(async move { outlet.publish(messages).await })
    }
}

/// The connection, when there is one.
struct Outlet {
    config: Arc<Config>,
    purpose: &'static str,
    open: Mutex<Option<(Connection, Channel)>>,
    in_flight: AtomicUsize,
}

impl Outlet {
    fn new(config: Arc<Config>, purpose: &'static str) -> Self {
        Self { config, purpose, open: Mutex::new(None), in_flight: AtomicUsize::new(0) }
    }

    async fn publish(&self, messages: Vec<Message>) -> Result<(), PublishError> {
        // Such a message would end the connection, and with it what is known of all others.
        if let Some(bytes) = messages.iter().map(bytes_of_headers).find(|bytes| *bytes > MAX_HEADER_BYTES) {
            let why = format!("its headers have {bytes} bytes; {MAX_HEADER_BYTES} are allowed");
            return Err(PublishError::TooLarge(why));
        }
        let channel = self.channel().await?;
        let before = self.in_flight.fetch_add(messages.len(), Ordering::Relaxed);
        let alone = before == 0 && messages.len() == 1;
        let sent = messages.iter().map(|message| self.send(&channel, message, alone));
        let results = tokio::time::timeout(PATIENCE, join_all(sent)).await;
        self.in_flight.fetch_sub(messages.len(), Ordering::Relaxed);
        match results {
            Ok(results) => sum_up(results),
            Err(_) => Err(PublishError::Unknown(format!("no answer in {} s", PATIENCE.as_secs()))),
        }
    }

    /// The channel that is open, or a new one: the broker is asked for it once, and whoever needs it meanwhile waits.
    async fn channel(&self) -> Result<Channel, PublishError> {
        let mut open = self.open.lock().await;
        if let Some((connection, channel)) = &*open
            && connection.status().connected()
            && channel.status().connected()
        {
            // What is sent now would be kept in memory here until the alarm ends.
            if connection.status().blocked() {
                return Err(PublishError::Away("it takes no messages: its memory or its disk is full".to_owned()));
            }
            return Ok(channel.clone());
        }
        *open = None;
        let away = PublishError::Away;
        let connection = connect(&self.config, self.purpose).await.map_err(|fault| away(fault.to_string()))?;
        let channel = async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            lapin::Result::Ok(channel)
        };
        let channel = tokio::time::timeout(super::connect::PATIENCE, channel).await;
        let channel = channel.map_err(|_| away("it does not open a channel".to_owned()))?;
        let channel = channel.map_err(|error| away(error.to_string()))?;
        *open = Some((connection, channel.clone()));
        Ok(channel)
    }

    async fn send(&self, channel: &Channel, message: &Message, alone: bool) -> Result<(), PublishError> {
        // Returned, and so an error, if no queue takes it.
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let queue = match message.to {
            Destination::Events => &self.config.queue,
            Destination::DeadLetters => &self.config.dlq,
        };
        let body = message.body.as_deref().unwrap_or_default();
        // The exchange without a name brings a message to the queue that its key names.
        let sent = channel.basic_publish("".into(), queue.as_str().into(), options, body, properties(message));
        let confirmed = match sent.await {
            Ok(confirm) => confirm.await,
            Err(error) if never_began(&error) => return Err(PublishError::Away(error.to_string())),
            Err(error) => Err(error),
        };
        match confirmed {
            Ok(Confirmation::Ack(None)) => Ok(()),
            Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
                Err(PublishError::Refused(format!("no queue `{queue}` takes it: {}", returned.reply_text)))
            }
            Ok(Confirmation::Nack(None)) => Err(PublishError::Refused("it was not accepted".to_owned())),
            Ok(Confirmation::NotRequested) => Err(PublishError::Unknown("it confirms nothing".to_owned())),
            // A channel ends for one of its messages: of the others nobody knows.
            Err(error) if alone && soft(&error) == Some(AMQPSoftError::PRECONDITIONFAILED) => {
                Err(PublishError::TooLarge(error.to_string()))
            }
            Err(error) => Err(PublishError::Unknown(error.to_string())),
        }
    }
}

/// The bytes of all headers, with their names.
fn bytes_of_headers(message: &Message) -> usize {
    let length = |value: &Value| value.as_str().map_or(8, str::len);
    message.attributes.iter().chain(&message.headers).map(|(name, value)| name.len() + length(value)).sum()
}

/// Nothing was sent: the channel or the connection was known to be closed.
fn never_began(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_))
}
