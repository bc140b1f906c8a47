//! The processors and the lanes.

mod config;

pub use config::{Config, Timeouts};
