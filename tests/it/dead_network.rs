//! A network to PostgreSQL that swallows what is said and ends no connection: the engine finds out by itself.

use std::time::Duration;

use evenkeel::lifecycle::Status;
use evenkeel::persist::Filter;
use evenkeel::{Engine, Event, NewEvent, Payload};

use crate::harness::{Place, eventually, settled, stop};
use crate::line::{Line, Mode};

/// A line to the server of this place, and an engine at its other end.
async fn over_a_line(place: &Place) -> (Line, Engine) {
    let url = place.url();
    let (credentials, server) = url.rsplit_once('@').unwrap();
    let (server, database) = server.split_once('/').unwrap();
    let line = Line::to(server).await;
    let mut config = place.config();
    config.database.url = format!("{credentials}@{}/{database}", line.address);
    config.database.max_connections = 2;
    config.database.acquire_timeout = Duration::from_secs(1);
    let engine = Engine::builder().config(config).handler_fn("a", |_: Event<Payload>| async { Ok(()) });
    (line, engine.start().await.unwrap())
}

async fn works(engine: &Engine) {
    let id = engine.submit(NewEvent::raw("a", Payload::default())).await.unwrap().id;
    assert_eq!(settled(engine, id).await.status, Status::Success);
}

#[actix::test]
async fn reads_and_writes_go_on_after_connections_whose_answers_never_came() {
    let Some(place) = Place::on_postgres() else { return };
    let (line, engine) = over_a_line(&place).await;
    works(&engine).await;
    let all = Filter::default();
    let read = || engine.reads().list(&all, None, 1);
    let (one, other) = tokio::join!(read(), read());
    assert!(one.is_ok() && other.is_ok(), "both connections are open");
    line.set(Mode::Mute);
    // Their callers give up. What they had asked for takes its connection along.
    for _ in 0..4 {
        assert!(tokio::time::timeout(Duration::from_millis(200), read()).await.is_err());
    }
    let writing = engine.submit(NewEvent::raw("a", Payload::default())).await;
    assert!(writing.is_err(), "{writing:?}");
    line.set(Mode::Open);
    assert!(read().await.is_err(), "the connections came back by themselves");
    eventually("it reads again", async || read().await.ok()).await;
    assert!(engine.metrics().reader_pools_replaced.get() >= 1);
    works(&engine).await;
    stop(engine).await;
}
