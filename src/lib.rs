//! Evenkeel: an actor-based event processing engine.

pub mod clock;
pub mod event;
pub mod lifecycle;

pub mod alert;
pub mod api;
pub mod bus;
pub mod cli;
pub mod config;
pub mod dead_letter;
pub mod engine;
pub mod handle;
pub mod handlers;
pub mod ingest;
pub mod persist;
pub mod process;
pub mod retry;
pub mod telemetry;

pub use config::Config;
pub use engine::Engine;
pub use event::{Event, NewEvent, Payload};
pub use handle::{Attempt, Bind, Deliver, HandlerError};
