//! A handler actor of one's own, embedded in an application: state that lives in the actor, a retry, and the record.
//!
//! Run it with `cargo run --example own_handler`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use actix::prelude::*;
use evenkeel::retry::RetryOverride;
use evenkeel::{Bind, Config, Deliver, Engine, Event, HandlerError, NewEvent};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPaid {
    order: u32,
    cents: u64,
}

/// What it has earned stays in the actor; the factory makes a new one if it ever panics.
struct Charge {
    earned: u64,
}

impl Actor for Charge {
    type Context = Context<Self>;
}

impl Handler<Deliver<OrderPaid>> for Charge {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<OrderPaid>, _: &mut Context<Self>) -> Self::Result {
        let (order, attempt) = (delivery.event.data, delivery.attempt);
        if attempt.number == 1 {
            // Any error is retried; `HandlerError::permanent` and `::invalid` are not.
            return Box::pin(async { Err(HandlerError::retry("the bank is closed")) });
        }
        self.earned += order.cents;
        println!("order {} paid at attempt {}; {} cents so far", order.order, attempt.number, self.earned);
        Box::pin(async { Ok(()) })
    }
}

#[derive(Deserialize)]
struct Shipped {
    parcel: String,
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("evenkeel-own-handler-{}", std::process::id()));
    let mut config = Config::default();
    config.database.url = format!("sqlite://{}", folder.join("evenkeel.db").display());

    let soon = RetryOverride { initial_delay: Some(Duration::from_millis(100)), ..Default::default() };
    let engine = Engine::builder()
        .config(config)
        .handler_actor(Bind::to("order.paid").name("charge").concurrency(4).retry(soon), || Charge { earned: 0 })
        .handler_fn("order.shipped", |event: Event<Shipped>| async move {
            println!("parcel {} is on its way", event.data.parcel);
            Ok(())
        })
        .start()
        .await?;

    let paid = engine.submit(NewEvent::new("order.paid", &OrderPaid { order: 7, cents: 1_999 })?).await?;
    let shipped = engine.submit(NewEvent::new("order.shipped", &serde_json::json!({ "parcel": "JD01" }))?).await?;
    for id in [paid.id, shipped.id] {
        let record = engine.settled(id).await?;
        println!("{} is {} after {} attempts", record.event_type, record.status, record.attempt_count);
    }
    engine.shutdown().await?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
