//! The HTTP API.

mod config;

pub use config::Config;
