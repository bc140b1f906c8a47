//! The service: the engine with its HTTP server and its signals.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Builder, Engine, Error};
use crate::api;

/// Runs until a signal, then drains. `ready` is called once requests are answered.
pub(crate) async fn run(builder: Builder, ready: impl FnOnce(&Engine, std::net::SocketAddr)) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    // The port first: an address in use is found out before the ledger is touched.
    let listener = api::bind(&builder.loaded.config.server)?;
    let engine = builder.start().await?;
    let server = match api::start(&engine.api(), listener) {
        Ok(server) => server,
        Err(error) => {
            engine.shutdown().await?;
            return Err(error.into());
        }
    };
    ready(&engine, server.address);
    signals.next().await;
    tracing::info!("draining; a second signal ends at once");
    tokio::select! {
        drained = drain(&engine, &server) => drained,
        () = signals.next() => {
            tracing::warn!("ended by a second signal; what was in hand is taken over at the next start");
            std::process::exit(130);
        }
    }
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
}

impl Signals {
    fn new() -> Result<Self, Error> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
