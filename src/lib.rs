//! Evenkeel: an actor-based event processing engine.

pub mod clock;
pub mod event;
pub mod lifecycle;

pub mod alert;
pub mod handle;
pub mod persist;
pub mod process;
pub mod retry;
pub mod telemetry;

pub use event::{Event, NewEvent, Payload};
pub use handle::{Attempt, Deliver, HandlerError};
