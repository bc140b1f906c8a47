//! What the engine tells of itself: metrics and logs.
//!
//! A thing that happened is told once: the call that counts it also logs it. Nothing is decided here.

mod config;
mod log;
mod metrics;
mod pulse;

pub use config::{Config, LogFormat};
pub use log::init;
pub use metrics::Metrics;
pub use pulse::{BUCKETS, Pulse, SLOT, SLOTS, Span};
