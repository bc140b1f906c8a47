//! Logs.

mod config;

pub use config::{Config, LogFormat};
