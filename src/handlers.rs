//! Built-in handlers: what the configuration binds to event types, and what `evenkeel dev` shows.
//!
//! Each is an actor or a function like any handler of a user. Nothing here knows the engine, and nothing here
//! retries, times out or records: that is the engine's, for these handlers as for all others.

pub mod chemical_status;
pub mod demo;
pub mod email;
mod excerpt;
pub mod log;
pub mod report;
pub mod webhook;

use crate::clock::Clock;
use crate::config::{self, Kind, Loaded};
use crate::handle::{self, Bind, Emitter, Registration};
use crate::persist::Persist;
use chemical_status::ChemicalStatus;
use email::{Email, Mailer};
use log::Log;
use report::Report;
use webhook::{Target, Webhook};

/// The kinds that the configuration may name.
pub const KINDS: &[&str] = &["chemical_status", "email", "log", "report", "webhook"];

/// What each of them can be told, for the schema of the configuration and its reference.
pub const OPTIONS: &[Kind] = &[
    Kind::of::<chemical_status::Options>("chemical_status"),
    Kind::of::<email::Options>("email"),
    Kind::of::<log::Options>("log"),
    Kind::of::<report::Options>("report"),
    Kind::of::<webhook::Options>("webhook"),
];

/// Why a configured handler cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its options.
    #[error(transparent)]
    Options(#[from] config::Error),
    /// A mail's template or server.
    #[error("handler `{name}`: {source}")]
    Email {
        /// Which handler.
        name: String,
        /// Why.
        source: email::Error,
    },
    /// A report's options.
    #[error("handler `{name}`: {source}")]
    Report {
        /// Which handler.
        name: String,
        /// Why.
        source: report::Error,
    },
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

/// What the engine gives to the handlers that need more than their event.
#[derive(Clone, Debug)]
pub struct Means {
    /// The time.
    pub clock: Clock,
    /// The ledger: reads, and the writes of the handlers that keep tables there.
    pub persist: Persist,
    /// The way to send events.
    pub emitter: Emitter,
}

/// An entry of `[[handler]]` whose options are good; it is given its means when the engine starts.
pub struct Configured(Box<dyn FnOnce(&Means) -> Registration>);

impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Configured")
    }
}

impl Configured {
    /// All handlers of a configuration. Reads what they need, such as templates, and creates nothing.
    ///
    /// # Errors
    /// [`Error`], which names the handler and the key.
    pub fn all(loaded: &Loaded) -> Result<Vec<Self>, Error> {
        loaded.config.handler.iter().map(|handler| configured(loaded, handler)).collect()
    }

    /// A handler that is put together from its means.
    pub(crate) fn new(put_together: impl FnOnce(&Means) -> Registration + 'static) -> Self {
        Self(Box::new(put_together))
    }

    /// The handler, ready to be started.
    #[must_use]
    pub fn with(self, means: &Means) -> Registration {
        (self.0)(means)
    }
}

fn configured(loaded: &Loaded, handler: &handle::Config) -> Result<Configured, Error> {
    let bind = bind(handler);
    let made: Box<dyn FnOnce(&Means) -> Registration> = match handler.kind.as_str() {
        "chemical_status" => {
            let options: chemical_status::Options = loaded.options(handler)?;
            Box::new(move |means| ChemicalStatus::registration(bind, options, means))
        }
        "email" => {
            let options: email::Options = loaded.options(handler)?;
            let mailer = Mailer::new(&options, &loaded.base_dir)
                .map_err(|source| Error::Email { name: handler.name.clone(), source })?;
            Box::new(move |means| Email::registration(bind, mailer, means))
        }
        "log" => {
            let options: log::Options = loaded.options(handler)?;
            Box::new(move |_| Registration::actor(bind, "log", move || Log::new(options)))
        }
        "report" => {
            let options: report::Options = loaded.options(handler)?;
            let checked = options.check(&handler.name, &loaded.config.handler);
            checked.map_err(|source| Error::Report { name: handler.name.clone(), source })?;
            Box::new(move |means| Report::registration(bind, options, means))
        }
        "webhook" => {
            let options: webhook::Options = loaded.options(handler)?;
            let target =
                Target::new(&options).map_err(|source| Error::Webhook { name: handler.name.clone(), source })?;
            Box::new(move |means| {
                let clock = means.clock.clone();
                Registration::actor(bind, "webhook", move || Webhook::new(target.clone(), clock.clone()))
            })
        }
        kind => return Err(Error::Kind { name: handler.name.clone(), kind: kind.to_owned() }),
    };
    Ok(Configured(made))
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
