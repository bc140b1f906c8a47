//! Posts events to a URL: the way to a handler in any language.
//!
//! A request is a structured CloudEvent with the headers of Standard Webhooks, and those of the event's trace; the
//! answer's status decides what follows. There is no timeout here but for connecting: the engine drops the future at the attempt's deadline, which
//! closes the connection.

mod address;
mod answer;
mod resolver;
mod signature;
mod target;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use signature::SecretError;
pub use target::{Error, Options, Target};

use std::future::ready;
use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder};

use self::answer::Answer;
use crate::clock::{Clock, Timestamp};
use crate::event::{Payload, TraceContext, to_structured};
use crate::handle::{Deliver, HandlerError};

/// The handler of kind `webhook`.
#[derive(Debug)]
pub struct Webhook {
    target: Arc<Target>,
    clock: Clock,
    /// Made for the first event, on the actor's own thread.
    client: Option<Client>,
}

impl Webhook {
    /// A handler that posts to this target; the timestamps of its signatures come from `clock`.
    #[must_use]
    pub fn new(target: Target, clock: Clock) -> Self {
        Self { target: Arc::new(target), clock, client: None }
    }

    fn client(&mut self) -> Result<Client, HandlerError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.target.client()?,
        };
        Ok(self.client.insert(client).clone())
    }
}

impl Actor for Webhook {
    type Context = Context<Self>;
}

impl Handler<Deliver<Payload>> for Webhook {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<Payload>, _: &mut Context<Self>) -> Self::Result {
        match self.client() {
            Ok(client) => Box::pin(deliver(client, Arc::clone(&self.target), self.clock.clone(), delivery)),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }
}

/// The receiver could not be asked, or did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{place} did not answer")]
struct NoAnswer {
    place: String,
    source: reqwest::Error,
}

async fn deliver(
    client: Client,
    target: Arc<Target>,
    clock: Clock,
    delivery: Deliver<Payload>,
) -> Result<(), HandlerError> {
    let request = request(&client, &target, &delivery, clock.now());
    // reqwest would name the whole URL, and that may hold secrets.
    let no_answer = |error: reqwest::Error| NoAnswer { place: target.place(), source: error.without_url() };
    let response = request.send().await.map_err(no_answer)?;
    Answer::read(response).await.verdict(clock.now())
}

impl Target {
    /// Posts this JSON once, signed if there is a secret, with the headers of Standard Webhooks.
    ///
    /// # Errors
    /// Why it was not taken, like the attempt of an event.
    pub(crate) async fn post(&self, id: &str, body: Vec<u8>, now: Timestamp) -> Result<(), HandlerError> {
        let client = self.client()?;
        let request = self.signed(client.post(self.url.clone()), id, now, body);
        let request = request.header(CONTENT_TYPE, "application/json");
        let no_answer = |error: reqwest::Error| NoAnswer { place: self.place(), source: error.without_url() };
        Answer::read(request.send().await.map_err(no_answer)?).await.verdict(now)
    }

    /// The request with this body and the headers of Standard Webhooks.
    fn signed(&self, mut request: RequestBuilder, id: &str, now: Timestamp, body: Vec<u8>) -> RequestBuilder {
        let timestamp = now.0.div_euclid(1_000_000);
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", secret.sign(id, timestamp, &body));
        }
        request.header("webhook-id", id).header("webhook-timestamp", timestamp).body(body)
    }
}

fn request(client: &Client, target: &Target, delivery: &Deliver<Payload>, now: Timestamp) -> RequestBuilder {
    let Deliver { event, attempt } = delivery;
    let mut request = client
        .post(target.url.clone())
        .header(CONTENT_TYPE, "application/cloudevents+json")
        .header("evenkeel-attempt", attempt.number);
    if let Some(trace) = TraceContext::of_event(&event.extensions) {
        request = trace.headers().fold(request, |request, (name, value)| request.header(name, value));
    }
    target.signed(request, &attempt.record_id.to_string(), now, to_structured(event))
}
