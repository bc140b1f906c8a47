//! The ledger's actor, its writes and its reads.

mod config;

pub use config::Config;
