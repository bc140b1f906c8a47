//! Evenkeel: an actor-based event processing engine.

pub mod clock;
pub mod event;
pub mod lifecycle;

pub mod handle;
pub mod ingest;

pub use event::{Event, NewEvent, Payload};
pub use handle::{Attempt, Deliver, HandlerError};
