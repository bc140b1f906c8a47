//! The event bus: one file for each broker.

mod config;

pub use config::{Config, Kind};
