//! The commands that run or look after a node in this process.

use std::net::SocketAddr;

use super::{CheckArgs, DevArgs, Exit, MigrateArgs, Screen, ServeArgs};
use crate::handlers::{self, demo};
use crate::{Config, Engine, engine, ingest, persist, telemetry};

pub(super) fn dev(args: &DevArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let mut config = Config::default();
    config.server.bind = format!("127.0.0.1:{}", args.port);
    config.database.url = format!("sqlite://{}", args.data_dir.join("evenkeel.db").display());
    telemetry::init(&config.telemetry)?;
    let builder = Engine::builder().config(config);
    let builder = demo::registrations().into_iter().fold(builder, engine::Builder::handler);
    let builder = builder.handler_with(demo::chemicals);
    let data = args.data_dir.display().to_string();
    let ready = |_: &Engine, address: SocketAddr| greet(screen, address, &data);
    actix::System::new().block_on(engine::run(builder, ready))?;
    Ok(Exit::Done)
}

fn greet(screen: &mut Screen<'_>, address: SocketAddr, data: &str) {
    let url = format!("http://{address}");
    let port = if address.port() == 8080 { String::new() } else { format!(" --url {url}") };
    let lines = [
        format!(
            "Evenkeel {} is ready. Its ledger is in {data}; Ctrl-C stops it, and nothing is lost.",
            env!("CARGO_PKG_VERSION")
        ),
        String::new(),
        format!("  Dashboard  {url}/"),
        format!("  API        {url}/api/v1/events"),
        format!("  Actors     {url}/api/v1/actors"),
        format!("  Metrics    {url}/metrics"),
        format!("  Docs       {url}/docs/"),
        String::new(),
        "Try next, in another terminal:".to_owned(),
        format!("  curl -i {url}/api/v1/events -H 'content-type: application/json' \\"),
        "       -d '{\"type\":\"demo.hello\",\"data\":{\"name\":\"Ada\"}}'".to_owned(),
        format!("  evenkeel send demo.flaky '{{\"failures\":2}}' --wait{port}"),
        format!("  evenkeel events ls{port}"),
    ];
    for line in lines {
        // A closed terminal is no reason to stop.
        drop(screen.line(&line));
    }
}

pub(super) fn serve(args: &ServeArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let loaded = Config::load(args.config.file().as_deref())?;
    loaded.check(handlers::KINDS)?;
    telemetry::init(&loaded.config.telemetry)?;
    let source = loaded.source.clone().unwrap_or_else(|| "the embedded defaults".to_owned());
    let ready = |engine: &Engine, address: SocketAddr| {
        let handlers = engine.config().handler.len();
        drop(screen.line(format!("Evenkeel is ready on http://{address} with {handlers} handlers, from {source}.")));
    };
    actix::System::new().block_on(engine::run(Engine::builder().loaded(loaded), ready))?;
    Ok(Exit::Done)
}

pub(super) fn check(args: &CheckArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let loaded = Config::load(args.config.file().as_deref())?;
    loaded.check(handlers::KINDS)?;
    handlers::Configured::all(&loaded)?;
    ingest::Schemas::load(&loaded.config.schema, &loaded.base_dir)?;
    persist::Location::of(&loaded.config.database.url)?;
    let source = loaded.source.as_deref().unwrap_or("the embedded defaults");
    let (handlers, schemas) = (loaded.config.handler.len(), loaded.config.schema.len());
    screen.line(format!("{source}: good, with {handlers} handlers and {schemas} schemas"))?;
    Ok(Exit::Done)
}

pub(super) fn migrate(args: &MigrateArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let loaded = Config::load(args.config.file().as_deref())?;
    loaded.check(handlers::KINDS)?;
    actix::System::new().block_on(persist::migrate(&loaded.config.database))?;
    screen.line(format!("{} is up to date", persist::Location::of(&loaded.config.database.url)?))?;
    Ok(Exit::Done)
}
