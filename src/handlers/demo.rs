//! The handlers of `evenkeel dev`: one for each thing that can happen to an event.
//!
//! They are what a first handler of one's own looks like: functions where the event is all they need, an actor
//! where the attempt matters too.

use std::future::ready;
use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture};
use serde::Deserialize;
use serde_json::Value;

use super::Means;
use super::chemical_status::{ChemicalStatus, Options};
use crate::event::{Event, Payload};
use crate::handle::{Bind, Deliver, HandlerError, Registration};

/// `demo.hello`: greets whom `data.name` names, or the world.
///
/// # Errors
/// None.
pub async fn hello(event: Event<Payload>) -> Result<(), HandlerError> {
    // Whatever the data is, it is greeted: only JSON can name somebody.
    let data: Value = event.data.decode().unwrap_or_default();
    let name = data["name"].as_str().unwrap_or("world");
    tracing::info!(event_id = event.id.as_str(), name, "hello");
    Ok(())
}

/// What `demo.slow` may be told; all of it may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// How long the handler takes, in milliseconds: 1000 unless told.
    pub ms: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { ms: 1_000 }
    }
}

/// `demo.slow`: takes `data.ms` milliseconds.
///
/// # Errors
/// None; a time beyond the handler's timeout ends as one.
pub async fn slow(event: Event<Option<Pace>>) -> Result<(), HandlerError> {
    let pace = event.data.unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(pace.ms)).await;
    Ok(())
}

/// `demo.fail`: always fails, until its retries are used up.
///
/// # Errors
/// Always, a retry.
pub async fn fail(_: Event<Payload>) -> Result<(), HandlerError> {
    Err(HandlerError::retry("demo.fail always fails"))
}

/// `demo.panic`: panics, and takes nothing else down with it.
///
/// # Errors
/// None.
///
/// # Panics
/// Always.
pub async fn panic(_: Event<Payload>) -> Result<(), HandlerError> {
    panic!("demo.panic always panics")
}

/// What `demo.flaky` may be told; all of it may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Failures {
    /// How many attempts fail before one succeeds: 2 unless told.
    pub failures: u32,
}

impl Default for Failures {
    fn default() -> Self {
        Self { failures: 2 }
    }
}

/// `demo.flaky`: its first `data.failures` attempts fail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flaky;

impl Actor for Flaky {
    type Context = Context<Self>;
}

impl Handler<Deliver<Option<Failures>>> for Flaky {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<Option<Failures>>, _: &mut Context<Self>) -> Self::Result {
        let Failures { failures } = delivery.event.data.unwrap_or_default();
        let number = delivery.attempt.number;
        let outcome = if number <= failures {
            Err(HandlerError::retry(format!("demo.flaky fails {failures} times; this was attempt {number}")))
        } else {
            Ok(())
        };
        Box::pin(ready(outcome))
    }
}

/// All that need nothing but their event, bound as `evenkeel dev` has them. `com.github.*` goes to the log.
#[must_use]
pub fn registrations() -> Vec<Registration> {
    let named = |pattern: &str, name: &str| Bind::to(pattern).name(name);
    vec![
        Registration::function(named("demo.hello", "hello"), "demo", hello),
        Registration::actor(named("demo.flaky", "flaky"), "demo", || Flaky),
        Registration::function(named("demo.slow", "slow"), "demo", slow),
        Registration::function(named("demo.fail", "fail"), "demo", fail),
        Registration::function(named("demo.panic", "panic"), "demo", panic),
        Registration::actor(named("com.github.*", "log"), "log", super::log::Log::default),
    ]
}

/// `chemical.*`, bound as `evenkeel dev` has it: the table of chemicals is kept in the ledger.
#[must_use]
pub fn chemicals(means: &Means) -> Registration {
    ChemicalStatus::registration(Bind::to("chemical.*").name("chemical_status"), Options::default(), means)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::handle::{FromPayload, Kind};
    use crate::handlers::webhook::sample;

    fn event<T: FromPayload>(payload: Payload) -> Event<T> {
        let event = sample::delivery(payload).event;
        event.with(T::from_payload(&event.data).unwrap())
    }

    async fn flaky(number: u32, payload: Payload) -> Result<(), HandlerError> {
        let delivery = sample::delivery(payload);
        let attempt = crate::Attempt { number, ..delivery.attempt };
        let event = delivery.event.with(FromPayload::from_payload(&delivery.event.data).unwrap());
        Flaky.start().send(Deliver { event, attempt }).await.unwrap()
    }

    #[actix::test]
    async fn two_attempts_of_flaky_fail_and_the_third_succeeds() {
        for number in [1, 2] {
            assert_eq!(flaky(number, Payload::default()).await.unwrap_err().kind(), Kind::Retry);
        }
        flaky(3, Payload::default()).await.unwrap();
    }

    #[actix::test]
    async fn flaky_fails_as_often_as_it_is_told() {
        flaky(1, Payload::json(r#"{"failures":0}"#)).await.unwrap();
        flaky(3, Payload::json(r#"{"failures":3,"more":[]}"#)).await.unwrap_err();
        flaky(3, Payload::json("{}")).await.unwrap();
    }

    #[tokio::test]
    async fn hello_takes_any_data_or_none() {
        for payload in [Payload::default(), Payload::json(r#"{"name":"Ada"}"#), Payload::json("[1]")] {
            hello(event(payload)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn slow_takes_as_long_as_it_is_told() {
        slow(event(Payload::json(r#"{"ms":0,"more":true}"#))).await.unwrap();
        assert!(slow(event(Payload::default())).now_or_never().is_none());
    }

    #[tokio::test]
    async fn fail_asks_for_a_retry() {
        assert_eq!(fail(event(Payload::default())).await.unwrap_err().kind(), Kind::Retry);
    }

    #[tokio::test]
    async fn panic_panics_in_its_future_and_not_before() {
        let future = panic(event(Payload::default()));
        let text = std::panic::AssertUnwindSafe(future).catch_unwind().await.unwrap_err();
        assert_eq!(text.downcast_ref(), Some(&"demo.panic always panics"));
    }
}
