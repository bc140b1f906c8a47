//! HTTP: every route for programs on one screen; one file a resource. The pages for people are in `admin`.
//!
//! Nothing is decided here that another room could decide: a request is read, a room is asked, its answer is written
//! down. What is refused becomes a problem document in one place.

pub(crate) mod actors;
mod alerts;
mod audit;
pub(crate) mod body;
mod chemicals;
mod config;
pub(crate) mod cursor;
mod dead_letters;
mod docs;
mod events;
mod export;
pub(crate) mod filter;
mod foreign;
pub(crate) mod groups;
pub(crate) mod handlers;
pub(crate) mod health;
mod metrics;
mod middleware;
mod nodes;
mod openapi;
pub(crate) mod operations;
pub(crate) mod operator;
pub(crate) mod page;
mod pages;
mod parameters;
pub(crate) mod path;
pub(crate) mod problem;
pub(crate) mod query;
mod resubmission;
mod schemas;
pub(crate) mod stats;
mod submission;

#[cfg(test)]
pub(crate) mod tests;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, Handler, HttpRequest, HttpResponse, HttpServer, Resource, Responder, Route, guard};

pub use config::Config;
pub(crate) use foreign::{is_loopback, name_of};

use crate::admin::{self, Live};
use crate::clock::Timestamp;
use crate::ingest::{Intake, Listeners};
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
    pub dashboard: admin::Config,
    pub intake: Intake,
    pub listeners: Option<Listeners>,
    pub pool: Pool,
}

/// [`Deps`], and since when.
pub(crate) struct State {
    pub config: Config,
    pub dashboard: admin::Config,
    pub intake: Intake,
    pub listeners: Option<Listeners>,
    pub pool: Pool,
    pub live: Live,
    pub started_at: Timestamp,
}

impl State {
    fn new(deps: &Deps) -> Self {
        let Deps { config, dashboard, intake, listeners, pool } = deps.clone();
        let started_at = pool.clock.now();
        Self { config, dashboard, intake, listeners, pool, live: Live::default(), started_at }
    }

    pub(crate) fn reads(&self) -> &Reads {
        self.pool.persist.reads()
    }
}

/// What a request comes to.
pub(crate) type Answer = Result<HttpResponse, Problem>;

/// Every route. Each is documented where it is answered, and listed in `openapi.rs`; a test compares the two.
pub(crate) fn routes() -> Vec<At> {
    vec![
        at("/api/v1/events", "GET, HEAD, POST", [get(events::list), post(submission::submit)]),
        at("/api/v1/events.ndjson", "GET, HEAD", [get(export::export)]),
        at("/api/v1/events/{id:.+}/cancel", "POST", [post(events::cancel)]),
        at("/api/v1/events/{id:.+}/resubmit", "POST", [post(resubmission::resubmit)]),
        at("/api/v1/events/{id:.+}", "GET, HEAD", [get(events::get)]),
        at("/api/v1/dead-letters", "GET, HEAD", [get(dead_letters::list)]),
        at("/api/v1/dead-letters/groups", "GET, HEAD", [get(groups::list)]),
        at("/api/v1/dead-letters/redrive", "POST", [post(dead_letters::redrive_all)]),
        at("/api/v1/dead-letters/discard", "POST", [post(dead_letters::discard_all)]),
        at("/api/v1/dead-letters/{id:.+}/redrive", "POST", [post(dead_letters::redrive)]),
        at("/api/v1/dead-letters/{id:.+}/discard", "POST", [post(dead_letters::discard)]),
        at("/api/v1/operations", "GET, HEAD, POST", [get(operations::list), post(operations::begin)]),
        at("/api/v1/operations/{id}/pause", "POST", [post(operations::pause)]),
        at("/api/v1/operations/{id}/resume", "POST", [post(operations::resume)]),
        at("/api/v1/operations/{id}/cancel", "POST", [post(operations::cancel)]),
        at("/api/v1/operations/{id}", "GET, HEAD", [get(operations::get)]),
        at("/api/v1/audit", "GET, HEAD", [get(audit::list)]),
        at("/api/v1/chemicals", "GET, HEAD", [get(chemicals::list)]),
        at("/api/v1/chemicals/{cas:.+}", "GET, HEAD", [get(chemicals::get)]),
        at("/api/v1/handlers", "GET, HEAD", [get(handlers::list)]),
        at("/api/v1/handlers/{name:.+}/pause", "POST", [post(handlers::pause)]),
        at("/api/v1/handlers/{name:.+}/resume", "POST", [post(handlers::resume)]),
        at("/api/v1/handlers/{name:.+}/restart", "POST", [post(handlers::restart)]),
        at("/api/v1/schemas", "GET, HEAD", [get(schemas::list)]),
        at("/api/v1/actors", "GET, HEAD", [get(actors::tree)]),
        at("/api/v1/nodes", "GET, HEAD", [get(nodes::list)]),
        at("/api/v1/alerts", "GET, HEAD", [get(alerts::list)]),
        at("/api/v1/alerts/test", "POST", [post(alerts::test)]),
        at("/api/v1/stats", "GET, HEAD", [get(stats::stats)]),
        at("/metrics", "GET, HEAD", [get(metrics::text)]),
        at("/livez", "GET, HEAD", [get(health::live)]),
        at("/readyz", "GET, HEAD", [get(health::ready)]),
        at("/openapi.json", "GET, HEAD", [get(openapi::document)]),
        at("/docs", "GET, HEAD", [get(docs::entrance)]),
        at("/docs/", "GET, HEAD", [get(docs::index)]),
        at("/docs/{file}", "GET, HEAD", [get(docs::file)]),
        at("/problems/{code}", "GET, HEAD", [get(pages::problem)]),
    ]
}

/// One path, and the methods that it takes.
pub(crate) struct At {
    pub path: &'static str,
    pub allow: &'static str,
    routes: Vec<Route>,
}

pub(crate) fn at<const N: usize>(path: &'static str, allow: &'static str, routes: [Route; N]) -> At {
    At { path, allow, routes: routes.into() }
}

/// The pattern of a route without what it says about the form of its parts.
pub(crate) fn plain(pattern: &str) -> String {
    pattern.replace(":.+}", "}")
}

pub(crate) fn get<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(handler)
}

pub(crate) fn post<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::post().to(handler)
}

/// Who uses a method that a path does not take hears which it takes.
fn serve(config: &mut ServiceConfig) {
    for At { path, allow, routes } in routes().into_iter().chain(admin::routes()) {
        let refuse = move |request: HttpRequest| async move {
            Answer::Err(Problem::method_not_allowed(request.method().as_str(), allow))
        };
        let resource = routes.into_iter().fold(web::resource(path), Resource::route);
        config.service(resource.default_service(web::to(refuse)));
    }
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
        .configure(serve)
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
