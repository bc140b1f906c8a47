//! HTTP: every route on one screen; one file a resource.
//!
//! Nothing is decided here that another room could decide: a request is read, a room is asked, its answer is written
//! down. What is refused becomes a problem document in one place.

mod actors;
mod body;
mod chemicals;
mod config;
mod cursor;
mod dead_letters;
mod events;
mod filter;
mod handlers;
mod health;
mod metrics;
mod middleware;
mod operator;
mod page;
mod pages;
mod path;
mod problem;
mod query;
mod schemas;
mod stats;
mod submission;

#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, Handler, HttpRequest, HttpResponse, HttpServer, Resource, Responder, Route, guard};

pub use config::Config;

use crate::clock::Timestamp;
use crate::ingest::Intake;
use crate::persist::Reads;
use crate::process::Pool;
use problem::{Code, Problem};

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

/// [`Deps`], and since when.
struct State {
    config: Config,
    intake: Intake,
    pool: Pool,
    started_at: Timestamp,
}

impl State {
    fn new(deps: &Deps) -> Self {
        let Deps { config, intake, pool } = deps.clone();
        let started_at = pool.clock.now();
        Self { config, intake, pool, started_at }
    }

    fn reads(&self) -> &Reads {
        self.pool.persist.reads()
    }
}

/// What a request comes to.
type Answer = Result<HttpResponse, Problem>;

/// Every route.
fn routes(config: &mut ServiceConfig) {
    config
        .service(at("/api/v1/events", "GET, HEAD, POST", [get(events::list), post(submission::submit)]))
        .service(at("/api/v1/events/{id:.+}/cancel", "POST", [post(events::cancel)]))
        .service(at("/api/v1/events/{id:.+}", "GET, HEAD", [get(events::get)]))
        .service(at("/api/v1/dead-letters", "GET, HEAD", [get(dead_letters::list)]))
        .service(at("/api/v1/dead-letters/redrive", "POST", [post(dead_letters::redrive_all)]))
        .service(at("/api/v1/dead-letters/discard", "POST", [post(dead_letters::discard_all)]))
        .service(at("/api/v1/dead-letters/{id:.+}/redrive", "POST", [post(dead_letters::redrive)]))
        .service(at("/api/v1/dead-letters/{id:.+}/discard", "POST", [post(dead_letters::discard)]))
        .service(at("/api/v1/chemicals", "GET, HEAD", [get(chemicals::list)]))
        .service(at("/api/v1/chemicals/{cas:.+}", "GET, HEAD", [get(chemicals::get)]))
        .service(at("/api/v1/handlers", "GET, HEAD", [get(handlers::list)]))
        .service(at("/api/v1/handlers/{name:.+}/pause", "POST", [post(handlers::pause)]))
        .service(at("/api/v1/handlers/{name:.+}/resume", "POST", [post(handlers::resume)]))
        .service(at("/api/v1/schemas", "GET, HEAD", [get(schemas::list)]))
        .service(at("/api/v1/actors", "GET, HEAD", [get(actors::tree)]))
        .service(at("/api/v1/stats", "GET, HEAD", [get(stats::stats)]))
        .service(at("/metrics", "GET, HEAD", [get(metrics::text)]))
        .service(at("/livez", "GET, HEAD", [get(health::live)]))
        .service(at("/readyz", "GET, HEAD", [get(health::ready)]))
        .service(at("/problems/{code}", "GET, HEAD", [get(pages::problem)]))
        .service(at("/", "GET, HEAD", [get(pages::index)]));
}

/// One path; who uses a method that it does not take hears which it takes.
fn at<const N: usize>(path: &str, allow: &'static str, routes: [Route; N]) -> Resource {
    let refuse = move |request: HttpRequest| async move {
        Answer::Err(Problem::method_not_allowed(request.method().as_str(), allow))
    };
    routes.into_iter().fold(web::resource(path), Resource::route).default_service(web::to(refuse))
}

fn get<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(handler)
}

fn post<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::post().to(handler)
}

async fn unknown_path(request: HttpRequest) -> Answer {
    Err(Problem::new(Code::UnknownPath, format!("there is nothing at `{}`", request.uri().path())))
}

/// The whole application, as the server runs it and the tests do.
fn app(
    state: Data<State>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(state)
        .wrap(actix_web::middleware::from_fn(middleware::around))
        .configure(routes)
        .default_service(web::to(unknown_path))
}

/// A running HTTP server.
pub(crate) struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    handle: actix_web::dev::ServerHandle,
    running: tokio::task::AbortHandle,
}

impl Server {
    /// Ends it: requests that run may end within this time, what runs longer is cut off.
    pub(crate) async fn stop(&self, within: Duration) {
        if tokio::time::timeout(within, self.handle.stop(true)).await.is_err() {
            tracing::info!("connections that are still open are cut off");
            // A server that is dropped closes its connections, however far they are.
            self.running.abort();
        }
    }
}

/// Takes the port.
pub(crate) fn bind(config: &Config) -> Result<TcpListener, Error> {
    TcpListener::bind(&config.bind).map_err(|source| Error::Bind { address: config.bind.clone(), source })
}

/// Answers requests on this port.
pub(crate) fn start(deps: &Deps, listener: TcpListener) -> Result<Server, Error> {
    let address = listener.local_addr()?;
    let state = Data::new(State::new(deps));
    let server = HttpServer::new(move || app(state.clone()))
        .workers(THREADS)
        .client_request_timeout(SLOWEST_HEAD)
        .shutdown_timeout(2)
        // The engine drains in its own order, see there.
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    let running = actix_web::rt::spawn(server).abort_handle();
    Ok(Server { address, handle, running })
}

/// Requests mostly wait; what they wait for runs on other threads.
const THREADS: usize = 2;

/// How long the head of a request may take to arrive.
const SLOWEST_HEAD: Duration = Duration::from_secs(10);
