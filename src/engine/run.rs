//! The service: the engine with its HTTP server and its signals.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Builder, Engine, Error};
use crate::api;

/// How long after a first signal another one still belongs to it. Who ends a process and its whole group, as `timeout`
/// and some supervisors do, sends two at once and means one.
const ECHO: Duration = Duration::from_secs(1);

/// How long a start may go on that a signal has come into.
const LAST_START: Duration = Duration::from_secs(2);

/// Runs until a signal, then drains. `ready` is called once requests are answered.
pub(crate) async fn run(builder: Builder, ready: impl FnOnce(&Engine, std::net::SocketAddr)) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    // The port first: an address in use is found out before the ledger is touched.
    let listener = api::bind(&builder.loaded.config.server)?;
    let Some(engine) = start(builder, &mut signals).await? else { return Ok(()) };
    let server = match api::start(&engine.api(), listener) {
        Ok(server) => server,
        Err(error) => {
            engine.shutdown().await?;
            return Err(error.into());
        }
    };
    ready(&engine, server.address);
    signals.first().await;
    tracing::info!("draining; a second signal, a second later, ends at once");
    tokio::select! {
        drained = drain(&engine, &server) => drained,
        () = signals.second() => {
            tracing::warn!("ended by a second signal; what was in hand is taken over at the next start");
            std::process::exit(130);
        }
    }
}

/// Starts the engine, unless a signal ends that first: a database that is away may be waited for. A start that is near
/// its end is let come there, and drained like any other: it may have events in hand.
async fn start(builder: Builder, signals: &mut Signals) -> Result<Option<Engine>, Error> {
    let mut starting = Box::pin(builder.start());
    tokio::select! {
        started = &mut starting => return started.map(Some),
        () = signals.first() => {}
    }
    if let Ok(started) = tokio::time::timeout(LAST_START, starting).await {
        return started.map(Some);
    }
    tracing::info!("stopped before it was ready");
    Ok(None)
}

/// Front to back: readiness turns first, the engine drains, connections end, the ledger closes.
async fn drain(engine: &Engine, server: &api::Server) -> Result<(), Error> {
    // Requests are answered while it lasts: what is new with 503, and why, by `/readyz` too.
    engine.drain().await;
    server.stop(Duration::from_secs(1)).await;
    engine.close().await?;
    tracing::info!("stopped");
    Ok(())
}

/// The signals that ask for an end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// When the first of them came.
    came: Option<Instant>,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, came: None })
    }

    /// Waits for one, unless it has come already.
    async fn first(&mut self) {
        if self.came.is_none() {
            self.next().await;
            self.came = Some(Instant::now());
        }
    }

    /// Waits for one that is no echo of the first.
    async fn second(&mut self) {
        loop {
            self.next().await;
            if self.came.is_some_and(|came| came.elapsed() >= ECHO) {
                return;
            }
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
