//! A function as a handler, the smallest there is: its type says what data it takes, and an event with other data is
//! `INVALID` without a line of code.
//!
//! Run it with `cargo run --example handler_fn`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use evenkeel::{Config, Engine, Event, HandlerError, NewEvent};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Shipped {
    parcel: String,
}

async fn shipped(event: Event<Shipped>) -> Result<(), HandlerError> {
    println!("parcel {} is on its way", event.data.parcel);
    Ok(())
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    config.database.url = "sqlite://evenkeel-data/parcels.db".to_owned();
    let engine = Engine::builder().config(config).handler_fn("order.shipped", shipped).start().await?;

    for data in [json!({ "parcel": "JD01" }), json!({ "parcel": 7 })] {
        let accepted = engine.submit(NewEvent::new("order.shipped", &data)?).await?;
        let record = engine.settled(accepted.id).await?;
        println!("{data} is {}{}", record.status, record.error.map_or(String::new(), |why| format!(": {why}")));
    }
    engine.shutdown().await?;
    Ok(())
}
