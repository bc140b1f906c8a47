//! Built-in handlers: what the configuration binds to event types, and what `evenkeel dev` shows.
//!
//! Each is an actor or a function like any handler of a user. Nothing here knows the engine, and nothing here
//! retries, times out or records: that is the engine's, for these handlers as for all others.

pub mod demo;
pub mod log;
pub mod webhook;
