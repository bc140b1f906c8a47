//! The listeners.

mod config;

pub use config::Config;
