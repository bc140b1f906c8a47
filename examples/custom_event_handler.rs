//! A handler actor of one's own: state that lives in the actor, a retry, and the record of what happened.
//!
//! Run it with `cargo run --example custom_event_handler`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use actix::prelude::*;
use evenkeel::{Bind, Config, Deliver, Engine, HandlerError, NewEvent};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPaid {
    order: u32,
    cents: u64,
}

/// What it has earned stays in the actor; the factory makes a new one if it ever panics.
struct CustomEventHandler {
    earned: u64,
}

impl Actor for CustomEventHandler {
    type Context = Context<Self>;
}

impl Handler<Deliver<OrderPaid>> for CustomEventHandler {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<OrderPaid>, _: &mut Context<Self>) -> Self::Result {
        let (paid, attempt) = (delivery.event.data, delivery.attempt);
        if attempt.number == 1 {
            // Any error is retried; `HandlerError::permanent` and `::invalid` are not.
            return Box::pin(async { Err(HandlerError::retry("the bank is closed")) });
        }
        self.earned += paid.cents;
        println!("order {} is paid at attempt {}; {} cents so far", paid.order, attempt.number, self.earned);
        Box::pin(async { Ok(()) })
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    config.database.url = "sqlite://evenkeel-data/orders.db".to_owned();
    let engine = Engine::builder()
        .config(config)
        .handler_actor(Bind::to("order.paid").name("custom").concurrency(4), || CustomEventHandler { earned: 0 })
        .start()
        .await?;

    let event = NewEvent::new("order.paid", &OrderPaid { order: 7, cents: 1_999 })?;
    let accepted = engine.submit(event).await?; // on disk when it returns
    let record = engine.settled(accepted.id).await?; // waits for the final status
    println!("{} is {} after {} attempts", record.event_type, record.status, record.attempt_count);
    engine.shutdown().await?; // lets what runs end
    Ok(())
}
