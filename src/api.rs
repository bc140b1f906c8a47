//! HTTP: every route on one screen; one file a resource.

mod config;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

pub use config::Config;

use crate::ingest::Intake;
use crate::process::Pool;

/// Why the HTTP server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be bound.
    #[error(
        "cannot listen on {address}: {source}. Is another process using it? Set `server.bind`, or `--port`, to a free one"
    )]
    Bind {
        /// Which.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server.
    #[error("the HTTP server cannot start: {0}")]
    Server(#[from] std::io::Error),
}

/// What requests are answered from.
#[derive(Clone)]
pub(crate) struct Deps {
    pub config: Config,
    pub intake: Intake,
    pub pool: Pool,
}

/// A running HTTP server.
pub(crate) struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    handle: actix_web::dev::ServerHandle,
}

impl Server {
    /// Ends it: requests that run may end within this time.
    pub(crate) async fn stop(&self, _within: Duration) {
        self.handle.stop(true).await;
    }
}

/// Takes the port.
pub(crate) fn bind(config: &Config) -> Result<TcpListener, Error> {
    TcpListener::bind(&config.bind).map_err(|source| Error::Bind { address: config.bind.clone(), source })
}

/// Answers requests on this port.
pub(crate) fn start(_deps: &Deps, listener: TcpListener) -> Result<Server, Error> {
    let address = listener.local_addr()?;
    let server = actix_web::HttpServer::new(actix_web::App::new).disable_signals().listen(listener)?.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok(Server { address, handle })
}
