//! The engine inside an application that has an actix-web server of its own: a request is answered once its event is
//! on disk, and what follows happens behind it.
//!
//! `cargo run --example embedded` starts the application, asks it as a customer would, and ends it.
//! `cargo run --example embedded -- 8090` leaves it running on that port until Ctrl-C or SIGTERM.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, get, post, web};
use evenkeel::ingest::SubmitError;
use evenkeel::{Bind, Config, Engine, Event, HandlerError, NewEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
struct Paid {
    order: u32,
}

/// Who pays twice by mistake sends the same event twice: the order makes its id, so the second is a duplicate.
#[post("/orders/{order}/paid")]
async fn pay(engine: web::Data<Engine>, order: web::Path<u32>) -> actix_web::Result<HttpResponse> {
    let paid = Paid { order: order.into_inner() };
    let event = NewEvent::new("order.paid", &paid)?.source("/shop").id(format!("order-{}-paid", paid.order));
    Ok(match engine.submit(event).await {
        Ok(accepted) => HttpResponse::Accepted().json(json!({ "id": accepted.id, "duplicate": accepted.duplicate })),
        Err(error @ SubmitError::Rejected(_)) => HttpResponse::BadRequest().body(error.to_string()),
        // The ledger is away, or the engine stops: it is for the customer to come again.
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    })
}

#[get("/events/{id}")]
async fn look(engine: web::Data<Engine>, id: web::Path<Uuid>) -> actix_web::Result<HttpResponse> {
    let whole = engine.reads().whole(*id).await.map_err(actix_web::error::ErrorServiceUnavailable)?;
    Ok(match whole {
        Some(whole) => {
            let attempts: Vec<_> = whole.attempts.iter().map(|attempt| attempt.status).collect();
            HttpResponse::Ok().json(json!({ "final_status": whole.record.final_status, "attempts": attempts }))
        }
        None => HttpResponse::NotFound().finish(),
    })
}

async fn ship(event: Event<Paid>) -> Result<(), HandlerError> {
    println!("order {} is shipped", event.data.order);
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: Option<u16> = std::env::args().nth(1).map(|port| port.parse()).transpose()?;
    let mut config = Config::default();
    config.database.url = "sqlite://evenkeel-data/shop.db".to_owned();
    // It opens no port and takes no signal: both are the application's.
    let engine = Engine::builder().config(config).handler_fn(Bind::to("order.paid").name("ship"), ship).start().await?;

    let shared = web::Data::new(engine.clone());
    let app = move || App::new().app_data(shared.clone()).service(pay).service(look);
    let server = HttpServer::new(app).workers(2).shutdown_timeout(10).bind(("127.0.0.1", port.unwrap_or(0)))?;
    let address = server.addrs()[0];
    let server = server.run();
    println!("the shop is on http://{address}");
    let customer = port.is_none().then(|| actix_web::rt::spawn(visit(address, server.handle())));

    // Ends by a signal, once the requests that run are answered. After that nothing comes in any more, and the engine
    // may let go: what its handlers have begun ends, the rest waits in the ledger for the next start.
    server.await?;
    println!("the shop is closed");
    engine.shutdown().await?;
    println!("the engine has stopped");
    match customer {
        Some(customer) => Ok(customer.await??),
        None => Ok(()),
    }
}

/// Pays, pays again, looks what has become of it, and closes the shop.
async fn visit(address: SocketAddr, shop: ServerHandle) -> reqwest::Result<()> {
    let visited = buy(address).await;
    shop.stop(true).await;
    visited
}

async fn buy(address: SocketAddr) -> reqwest::Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut id = Value::Null;
    for _ in 0..2 {
        let answer = http.post(format!("http://{address}/orders/7/paid")).send().await?.error_for_status()?;
        println!("paid: {}", answer.status());
        let body: Value = answer.json().await?;
        println!("duplicate: {}", body["duplicate"]);
        id = body["id"].clone();
    }
    let event = format!("http://{address}/events/{}", id.as_str().unwrap_or_default());
    loop {
        let state: Value = http.get(&event).send().await?.error_for_status()?.json().await?;
        if !state["final_status"].is_null() {
            println!("order 7 is {state}");
            return Ok(());
        }
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }
}
