//! Evenkeel: an actor-based event processing engine.

pub mod clock;
pub mod event;
pub mod lifecycle;

pub mod api;
pub mod bus;
pub mod handle;
pub mod ingest;
pub mod persist;
pub mod process;
pub mod retry;

pub mod config;
pub mod telemetry;

pub use config::Config;
pub use event::{Event, NewEvent, Payload};
pub use handle::{Attempt, Deliver, HandlerError};
