//! The engine: the rooms put together, started back to front and drained front to back.

mod chronicle;
mod lookout;
mod run;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::dev::MessageResponse;
use actix::prelude::*;
use uuid::Uuid;

use crate::alert::Alerts;
use crate::bus;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::dead_letter::{self, ForAll, Operations, Operator, Outbox};
use crate::event::{Event, NewEvent};
use crate::handle::{Bind, BindError, Deliver, Emitter, FromPayload, HandlerError, Registration, Response};
use crate::handlers::{Configured, Means, webhook};
use crate::ingest::{Accepted, Intake, Listeners, Reception, Rejected, SchemaError, Schemas, SubmitError};
use crate::lifecycle::OperationVerb;
use crate::persist::{self, Listed, Listing, OpenError, OperationRecord, Reads, Record, insist};
use crate::process::{self, Begun, Lane, Parts, Pool, ProcessorPool};
use crate::retry::RetryScheduler;
use crate::telemetry::Metrics;
use lookout::Lookout;

/// Why the engine did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The bindings of the handlers.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A built-in handler's options.
    #[error(transparent)]
    Handler(#[from] crate::handlers::Error),
    /// A schema's file.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Where alerts are posted.
    #[error("`alerts.webhook`: {0}")]
    Alerts(#[from] webhook::Error),
    /// The ledger could not be read or written at the start or the end.
    #[error("the ledger does not answer: {0}")]
    Ledger(#[from] sea_orm::DbErr),
    /// The instruments.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The log's filter.
    #[error("`telemetry.log_level` is no filter: {0}")]
    Log(#[from] tracing_subscriber::filter::ParseError),
    /// The broker.
    #[error(transparent)]
    Bus(#[from] bus::Error),
    /// The HTTP server.
    #[error(transparent)]
    Http(#[from] crate::api::Error),
    /// The ledger could not be written.
    #[error("the ledger cannot be written: {0}")]
    Write(#[from] persist::Error),
    /// No handler of this name.
    #[error("there is no handler `{0}`")]
    NoSuchHandler(String),
    /// The operating system, asked for signals.
    #[error("signals cannot be received: {0}")]
    Signals(#[from] std::io::Error),
    /// No record with this id.
    #[error("there is no record {0}")]
    Missing(Uuid),
}

/// Puts an engine together.
#[derive(Debug, Default)]
pub struct Builder {
    loaded: config::Loaded,
    clock: Clock,
    emitter: Emitter,
    handlers: Vec<Registration>,
    with_means: Vec<Configured>,
}

impl Builder {
    /// Takes the configuration from a file, and from `EVENKEEL__SECTION__KEY` variables over it.
    ///
    /// # Errors
    /// [`config::Error`], which names file, line and key.
    pub fn config_file(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        self.loaded = Config::load(Some(path.as_ref()))?;
        Ok(self)
    }

    /// Takes this configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.loaded.config = config;
        self
    }

    /// Takes a configuration with the places that its values came from.
    #[must_use]
    pub fn loaded(mut self, loaded: config::Loaded) -> Self {
        self.loaded = loaded;
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The way for this engine's handlers to send events of their own: give a clone of it to a factory or a function.
    /// Until the engine has started, nobody takes them.
    #[must_use]
    pub fn emitter(&self) -> Emitter {
        self.emitter.clone()
    }

    /// Binds a handler actor. The factory makes one whenever one is needed: at the start, and when one has died.
    #[must_use]
    pub fn handler_actor<A, T>(self, bind: impl Into<Bind>, factory: impl Fn() -> A + Send + Sync + 'static) -> Self
    where
        A: Actor<Context = Context<A>> + actix::Handler<Deliver<T>>,
        <A as actix::Handler<Deliver<T>>>::Result: Response + MessageResponse<A, Deliver<T>>,
        T: FromPayload,
    {
        self.handler(Registration::actor::<A, T, _>(bind, "actor", factory))
    }

    /// Binds a function as a handler.
    #[must_use]
    pub fn handler_fn<T, F, R>(self, bind: impl Into<Bind>, function: F) -> Self
    where
        T: FromPayload,
        F: Fn(Event<T>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), HandlerError>> + 'static,
    {
        self.handler(Registration::function(bind, "function", function))
    }

    /// Binds a handler that was put together elsewhere.
    #[must_use]
    pub fn handler(mut self, handler: Registration) -> Self {
        self.handlers.push(handler);
        self
    }

    /// Binds a handler that is put together from what the engine gives to its own: the clock, the ledger, the way to
    /// send events.
    #[must_use]
    pub fn handler_with(mut self, put_together: impl FnOnce(&Means) -> Registration + 'static) -> Self {
        self.with_means.push(Configured::new(put_together));
        self
    }

    /// Starts the engine beside the application's own actors: opens no port and takes no signal. Needs a running actix
    /// System.
    ///
    /// # Errors
    /// [`Error`], which says what to do.
    pub async fn start(mut self) -> Result<Engine, Error> {
        self.loaded.check(crate::handlers::KINDS)?;
        // Before anything is opened: what is wrong with a handler or a schema is found out first.
        let configured = Configured::all(&self.loaded)?;
        let schemas = Schemas::load(&self.loaded.config.schema, &self.loaded.base_dir)?;
        let config = self.loaded.config;
        let found = bus::prepare(&choice(&config)).await?;
        let metrics = Metrics::new()?;
        let ledger = persist::open(&config.database, &self.clock, metrics.clone()).await?;
        let alerts = Alerts::start(&config.alerts, self.clock.clone(), metrics.clone(), node_name())?;
        let (persist, emitter) = (ledger.persist, self.emitter);
        let means = Means { clock: self.clock.clone(), persist: persist.clone(), emitter: emitter.clone() };
        self.handlers.extend(self.with_means.into_iter().chain(configured).map(|handler| handler.with(&means)));
        let pool = Pool::new(Parts {
            clock: self.clock,
            persist: persist.clone(),
            metrics,
            alerts,
            pool: config.pool.clone(),
            timeouts: config.timeouts.clone(),
            retry: config.retry.clone(),
            handlers: self.handlers,
        })?;
        if let Err(error) = prepare(&pool, config.bus.kind).await {
            // The first error says more than that of the close.
            drop(pool.persist.close().await);
            pool.alerts.end().await;
            return Err(error);
        }
        let path = Arbiter::new().handle();
        let broker = bus::open(&choice(&config), found, &path).map(Arc::new);
        let intake = start_path(&pool, schemas.clone(), broker.clone(), &path, &emitter).await;
        path.spawn(chronicle::keep(pool.clone()));
        let watched = broker.clone();
        // Last: from here on events come in.
        let listeners = broker.map(|broker| {
            let outbox = Outbox::new(pool.clone(), Arc::clone(&broker));
            Actor::start_in_arbiter(&path, move |_| outbox);
            let (body_limit, max_pending) = (config.server.body_limit, config.listener.max_pending);
            let reception = Reception { pool: pool.clone(), schemas, broker, body_limit, max_pending };
            Listeners::start(reception, config.listener.concurrency, &path)
        });
        let lookout = Lookout::new(lookout::View {
            pool: pool.clone(),
            broker: watched,
            listeners: listeners.clone(),
            config: config.alerts.clone(),
        });
        Actor::start_in_arbiter(&path, move |_| lookout);
        Ok(Engine(Arc::new(Inner { config, intake, listeners, pool, path, lock: Mutex::new(ledger.lock) })))
    }

    /// Runs the service: the engine, its HTTP server, and signals; returns after a drain.
    ///
    /// # Errors
    /// [`Error`], which says what to do.
    pub async fn run(self) -> Result<(), Error> {
        let telemetry = self.loaded.config.telemetry.clone();
        crate::telemetry::init(&telemetry)?;
        run::run(self, |_, address| tracing::info!(%address, "ready")).await
    }
}

/// How long the listeners may take to settle what is being accepted.
const LAST_ACCEPT: Duration = Duration::from_secs(5);

fn choice(config: &Config) -> bus::Choice<'_> {
    bus::Choice {
        kind: config.bus.kind,
        kafka: &config.kafka,
        rabbitmq: &config.rabbitmq,
        listeners: config.listener.concurrency,
    }
}

/// What has to be done before anything is claimed.
async fn prepare(pool: &Pool, bus: bus::Kind) -> Result<(), Error> {
    let listed = |lane: &Arc<Lane>| Listed { name: lane.name.to_string(), types: lane.patterns.clone() };
    let listing = Listing { bus: bus.name().to_owned(), handlers: pool.lanes().map(listed).collect() };
    let name = node_name();
    insist(async || pool.persist.register(&name, &listing).await).await?;
    insist(async || pool.look_elsewhere().await).await?;
    insist(async || process::take_over(pool).await).await?;
    insist(async || process::rebind(pool).await).await?;
    insist(async || pool.obey().await).await?;
    Ok(())
}

/// The node's name for people: this machine's, and the process's, as there may be several on one machine.
fn node_name() -> String {
    let machine = std::fs::read_to_string("/etc/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "evenkeel".to_owned());
    format!("{machine}/{}", std::process::id())
}

/// Starts the actors of the path on a thread of their own, and waits until events can be worked off.
async fn start_path(
    pool: &Pool,
    schemas: Schemas,
    broker: Option<Arc<bus::Broker>>,
    path: &ArbiterHandle,
    emitter: &Emitter,
) -> Intake {
    let intake = Intake::start(pool.clone(), schemas, broker, path);
    // Before the first handler runs.
    emitter.emit_to(intake.for_handlers());
    let processors = Actor::start_in_arbiter(path, {
        let pool = pool.clone();
        move |_| ProcessorPool::new(pool)
    });
    let (clock, reads) = (pool.clock.clone(), pool.persist.reads().clone());
    let lanes = pool.lanes().map(|lane| Arc::clone(&lane.name)).collect();
    let due = processors.clone().recipient();
    pool.announce_to(Actor::start_in_arbiter(path, move |_| RetryScheduler::new(clock, reads, due, lanes)));
    let operations = Operations::new(pool.clone());
    pool.operations_by(Actor::start_in_arbiter(path, move |_| operations));
    // An error means that the pool has died at once; the tree of actors says so.
    let _ = processors.send(Begun).await;
    intake
}

pub(crate) use run::run;

/// A running engine; cheap to clone. It runs until [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    config: Config,
    intake: Intake,
    listeners: Option<Listeners>,
    pool: Pool,
    path: ArbiterHandle,
    lock: Mutex<Option<std::fs::File>>,
}

impl Engine {
    /// Puts an engine together, beginning with the embedded default.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Submits an event. It is durable when this returns, in the ledger or with the broker, and reaches a final status
    /// whatever happens then.
    ///
    /// # Errors
    /// [`SubmitError`]: nothing was taken, except for [`SubmitError::OutcomeUnknown`].
    pub async fn submit(&self, event: NewEvent) -> Result<Accepted, SubmitError> {
        self.0.intake.submit_one(event).await
    }

    /// Submits events in one commit, or with the broker's confirmation of all; each has its own result, in order.
    ///
    /// # Errors
    /// [`SubmitError`]: nothing at all was taken, except for [`SubmitError::OutcomeUnknown`].
    pub async fn submit_all(&self, events: Vec<NewEvent>) -> Result<Vec<Result<Accepted, Rejected>>, SubmitError> {
        self.0.intake.submit(events).await
    }

    /// Waits for the final status of this record.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such record, [`Error::Ledger`] if the ledger cannot be read.
    pub async fn settled(&self, id: Uuid) -> Result<Record, Error> {
        self.0.pool.settled(id).await?.ok_or(Error::Missing(id))
    }

    /// Starts a new round for one dead letter, or for one event that had no handler.
    ///
    /// # Errors
    /// [`dead_letter::Error`], when nothing was changed.
    pub async fn redrive(&self, id: Uuid, operator: &Operator) -> Result<(), dead_letter::Error> {
        dead_letter::redrive(&self.0.pool, id, operator).await
    }

    /// Lays one dead letter to rest.
    ///
    /// # Errors
    /// [`dead_letter::Error`], when nothing was changed.
    pub async fn discard(&self, id: Uuid, operator: &Operator) -> Result<(), dead_letter::Error> {
        dead_letter::discard(&self.0.pool, id, operator).await
    }

    /// Begins an operation on all dead letters that match. It goes on in the background, through restarts; [`Reads`] says
    /// how far it has come.
    ///
    /// # Errors
    /// [`dead_letter::Error`], when nothing was begun.
    pub async fn for_all(&self, asked: ForAll, operator: &Operator) -> Result<OperationRecord, dead_letter::Error> {
        dead_letter::begin(&self.0.pool, asked, operator).await
    }

    /// Pauses, resumes or cancels an operation.
    ///
    /// # Errors
    /// [`dead_letter::Error`], when nothing was changed.
    pub async fn turn(
        &self,
        operation: Uuid,
        verb: OperationVerb,
        operator: &Operator,
    ) -> Result<OperationRecord, dead_letter::Error> {
        dead_letter::turn(&self.0.pool, operation, verb, operator).await
    }

    /// Stops an event that has not started.
    ///
    /// # Errors
    /// [`dead_letter::Error`], when nothing was changed.
    pub async fn cancel(&self, id: Uuid, operator: &Operator) -> Result<(), dead_letter::Error> {
        dead_letter::cancel(&self.0.pool, id, operator).await
    }

    /// Lets a handler claim nothing until it is resumed, through restarts too; what it runs ends as usual.
    ///
    /// # Errors
    /// [`Error::NoSuchHandler`], or the ledger's.
    pub async fn pause(&self, handler: &str, operator: &Operator) -> Result<(), Error> {
        self.set_paused(handler, true, operator).await
    }

    /// Lets a handler claim again.
    ///
    /// # Errors
    /// [`Error::NoSuchHandler`], or the ledger's.
    pub async fn resume(&self, handler: &str, operator: &Operator) -> Result<(), Error> {
        self.set_paused(handler, false, operator).await
    }

    /// Builds a handler's actor again; what it has in hand ends as it would.
    ///
    /// # Errors
    /// [`Error::NoSuchHandler`], or the ledger's.
    pub async fn restart(&self, handler: &str, operator: &Operator) -> Result<(), Error> {
        let lane = self.0.pool.lane(handler).ok_or_else(|| Error::NoSuchHandler(handler.to_owned()))?;
        Ok(self.0.pool.restart(&lane, operator).await?)
    }

    async fn set_paused(&self, handler: &str, paused: bool, operator: &Operator) -> Result<(), Error> {
        let pool = &self.0.pool;
        if pool.lane(handler).is_none() && pool.types_elsewhere(handler).is_none() {
            return Err(Error::NoSuchHandler(handler.to_owned()));
        }
        Ok(pool.pause(handler, paused, operator).await?)
    }

    /// The reading side of the ledger.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        self.0.pool.persist.reads()
    }

    /// The instruments.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.pool.metrics
    }

    /// The configuration it runs with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn api(&self) -> crate::api::Deps {
        let inner = &self.0;
        crate::api::Deps {
            config: inner.config.server.clone(),
            dashboard: inner.config.dashboard.clone(),
            intake: inner.intake.clone(),
            listeners: inner.listeners.clone(),
            pool: inner.pool.clone(),
        }
    }

    /// Drains: takes nothing more in, lets what runs end within `server.shutdown_timeout`, hands the rest back, and
    /// closes the ledger. Costs no event a retry.
    ///
    /// # Errors
    /// The database's, when it cannot be closed.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.drain().await;
        self.close().await
    }

    /// Takes nothing more in, and lets what runs end.
    async fn drain(&self) {
        let pool = &self.0.pool;
        pool.drain();
        if let Some(listeners) = &self.0.listeners {
            listeners.ended(LAST_ACCEPT).await;
        }
        if let Err(error) = pool.persist.draining().await {
            tracing::warn!(%error, "the ledger could not be told of the stop");
        }
        pool.finish_all(self.0.config.server.shutdown_timeout).await;
    }

    async fn close(&self) -> Result<(), Error> {
        chronicle::end(&self.0.pool).await;
        let closed = self.0.pool.persist.close().await;
        self.0.pool.alerts.end().await;
        self.0.path.stop();
        drop(self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(closed?)
    }
}
