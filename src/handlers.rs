//! Built-in handlers: what the configuration binds to event types, and what `evenkeel dev` shows.
//!
//! Each is an actor or a function like any handler of a user. Nothing here knows the engine, and nothing here
//! retries, times out or records: that is the engine's, for these handlers as for all others.

pub mod demo;
pub mod log;
pub mod webhook;

use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::handle::{self, Bind, Registration};
use log::Log;
use webhook::{Target, Webhook};

/// The kinds that the configuration may name.
pub const KINDS: &[&str] = &["log", "webhook"];

/// Why a configured handler cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its options.
    #[error(transparent)]
    Options(#[from] config::Error),
    /// A webhook's target.
    #[error("handler `{name}`: {source}")]
    Webhook {
        /// Which handler.
        name: String,
        /// Why.
        source: webhook::Error,
    },
    /// A kind that is none of [`KINDS`]; checking the configuration finds it first.
    #[error("handler `{name}`: there is no kind `{kind}`; there are {}", KINDS.join(", "))]
    Kind {
        /// Which handler.
        name: String,
        /// Its kind.
        kind: String,
    },
}

/// The handler that an entry of `[[handler]]` describes.
///
/// # Errors
/// [`Error`], which names the handler and the key.
pub fn registration(loaded: &Loaded, handler: &handle::Config, clock: &Clock) -> Result<Registration, Error> {
    let bind = bind(handler);
    match handler.kind.as_str() {
        "log" => {
            let options: log::Options = loaded.options(handler)?;
            Ok(Registration::actor(bind, "log", move || Log::new(options)))
        }
        "webhook" => {
            let options: webhook::Options = loaded.options(handler)?;
            let target = Target::new(&options, clock.clone())
                .map_err(|source| Error::Webhook { name: handler.name.clone(), source })?;
            Ok(Registration::actor(bind, "webhook", move || Webhook::from(target.clone())))
        }
        kind => Err(Error::Kind { name: handler.name.clone(), kind: kind.to_owned() }),
    }
}

fn bind(handler: &handle::Config) -> Bind {
    Bind {
        patterns: handler.types.clone(),
        name: Some(handler.name.clone()),
        concurrency: handler.concurrency,
        queue_capacity: handler.queue_capacity,
        timeout: handler.timeout,
        retry: handler.retry.clone(),
    }
}
