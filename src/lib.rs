//! Evenkeel: an actor-based event processing engine.
//!
//! It takes events over HTTP, from Kafka, RabbitMQ or your own code, runs each through a handler actor with a timeout,
//! retries with exponential backoff, parks what cannot be handled as a dead letter, and records every event and every
//! attempt in a database.
//!
//! ```
//! use evenkeel::{Config, Engine, Event, NewEvent};
//!
//! #[derive(serde::Deserialize)]
//! struct Shipped {
//!     parcel: String,
//! }
//!
//! #[actix::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = std::env::temp_dir().join(format!("evenkeel-doc-{}", std::process::id()));
//!     let mut config = Config::default();
//!     config.database.url = format!("sqlite://{}/evenkeel.db", folder.display());
//!
//!     let engine = Engine::builder()
//!         .config(config)
//!         .handler_fn("order.shipped", |event: Event<Shipped>| async move {
//!             assert_eq!(event.data.parcel, "JD01");
//!             Ok(())
//!         })
//!         .start()
//!         .await?;
//!     let event = NewEvent::new("order.shipped", &serde_json::json!({ "parcel": "JD01" }))?;
//!     let accepted = engine.submit(event).await?; // durable when it returns
//!     let record = engine.settled(accepted.id).await?; // waits for the final status
//!     assert_eq!(record.status.as_str(), "SUCCESS");
//!     engine.shutdown().await?; // drains
//!     std::fs::remove_dir_all(folder)?;
//!     Ok(())
//! }
//! ```
//!
//! # The path of an event, which is the order to read in
//!
//! [`event`] and [`lifecycle`] are the words: what an event is, and the states it can be in; [`fingerprint`] says which
//! deaths are of one kind. It comes in through [`api`], [`Engine::submit`] or a listener of the [`bus`], is decoded and
//! accepted by [`ingest`], and written by [`persist`], whose one actor writes everything in group commits. [`process`]
//! claims it when a permit of its handler is free, invokes the handler in [`handle`]'s host, and decides from the outcome:
//! done, a retry ([`retry`] says when to look again), or a dead
//! letter ([`dead_letter`] is what operators do with it). [`engine`] puts the rooms together.

pub mod clock;
pub mod event;
pub mod fingerprint;
pub mod lifecycle;

pub mod bus;
pub mod ingest;
pub mod persist;
pub mod process;

pub mod handle;
pub mod handlers;

pub mod dead_letter;
pub mod retry;

pub mod admin;
pub mod alert;
pub mod api;
pub mod telemetry;

pub mod cli;
pub mod config;
pub mod engine;

pub use config::Config;
pub use engine::Engine;
pub use event::{Event, NewEvent, Payload};
pub use handle::{Attempt, Bind, Deliver, Emitter, HandlerError};

/// The examples of `docs/handlers.md` are compiled and run with those of this documentation.
#[cfg(doctest)]
#[doc = include_str!("../docs/handlers.md")]
mod handlers_page {}
