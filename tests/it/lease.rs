//! Nodes and their leases on PostgreSQL: one that cannot renew it starts nothing and lives on, one that is gone is taken
//! over, and what it says afterwards changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use evenkeel::clock::Clock;
use evenkeel::lifecycle::{AttemptStatus, Status};
use evenkeel::persist::{self, Listed, Listing, Loss, Whole};
use evenkeel::telemetry::Metrics;
use evenkeel::{Deliver, Engine, Event, HandlerError, NewEvent, Payload};
use rustix::process::Signal;
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::harness::{Place, attempts, eventually, settled, stop, until};
use crate::line::{Line, Mode};
use crate::process::{Node, configure};
use crate::server::Server;
use crate::target::{Reply, Target};

/// Short, so that a test need not wait for it for long; a node gives three signs of life in it.
const LEASE: Duration = Duration::from_secs(2);

/// A line to the server of this place, and the place's URL through it.
async fn line_to(place: &Place) -> (Line, String) {
    let url = place.url();
    let server = url.split(['@', '/']).nth(3).unwrap().to_owned();
    let line = Line::to(&server).await;
    let through = url.replace(&server, &line.address.to_string());
    (line, format!("{through}?sslmode=disable"))
}

fn config(url: String) -> evenkeel::Config {
    let mut config = evenkeel::Config::default();
    (config.database.url, config.database.lease) = (url, LEASE);
    config
}

fn event() -> NewEvent {
    NewEvent::raw("a", Payload::default())
}

/// An engine whose handler waits for the gate, if it has one.
async fn node(url: String, gate: Option<Arc<Semaphore>>) -> Engine {
    let handler = move |_: Event<Payload>| {
        let gate = gate.clone();
        async move {
            if let Some(gate) = gate {
                gate.acquire().await?.forget();
            }
            Ok(())
        }
    };
    Engine::builder().config(config(url)).handler_fn("a", handler).start().await.unwrap()
}

fn closed() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

/// The ids of the nodes that are not fenced, the eldest first.
async fn live(place: &Place) -> Vec<Uuid> {
    let rows = place.rows("SELECT id FROM node WHERE fenced_at IS NULL ORDER BY id").await;
    rows.iter().map(|row| row.try_get("", "id").unwrap()).collect()
}

async fn whole(engine: &Engine, id: Uuid) -> Whole {
    engine.reads().whole(id).await.unwrap().unwrap()
}

fn listing(handler: &str) -> Listing {
    let handlers = vec![Listed { name: handler.to_owned(), types: vec![handler.to_owned()] }];
    Listing { bus: "embedded".to_owned(), handlers }
}

#[actix::test]
async fn a_network_that_fails_costs_a_node_its_lease_until_it_is_back() {
    let Some(place) = Place::on_postgres() else { return };
    let (line, url) = line_to(&place).await;
    let ledger = persist::open(&config(url).database, &Clock::default(), Metrics::new().unwrap()).await.unwrap();
    let lease = ledger.persist.lease().clone();
    assert!(!lease.holds(), "it has to be had first");
    ledger.persist.register("test", &listing("a")).await.unwrap();
    let node = lease.node();
    for mode in [Mode::Cut, Mode::Deaf, Mode::Mute] {
        assert_eq!((lease.holds(), lease.loss()), (true, None));
        line.set(mode);
        eventually("the lease runs out", async || (!lease.holds()).then_some(())).await;
        assert_eq!(lease.loss(), Some(Loss::Unrenewed), "{mode:?}");
        line.set(Mode::Open);
        eventually("it is had again", async || lease.holds().then_some(())).await;
        assert_eq!(lease.node(), node, "nobody has fenced it");
    }
    // Who lists what is told by its row.
    let other = persist::open(&config(place.url()).database, &Clock::default(), Metrics::new().unwrap()).await.unwrap();
    other.persist.register("other", &listing("b")).await.unwrap();
    let peers = eventually("they know each other", async || {
        let peers = lease.others();
        (!peers.is_empty()).then_some(peers)
    })
    .await;
    assert_eq!((peers.len(), peers[0].id, peers[0].name.as_str()), (1, other.persist.lease().node(), "other"));
    assert_eq!(peers[0].listing, listing("b"));
    assert!(lease.is_eldest() && !other.persist.lease().is_eldest());
    other.persist.close().await.unwrap();
    assert_eq!(live(&place).await, [node], "who stops waits for nobody");
    eventually("it is forgotten", async || lease.others().is_empty().then_some(())).await;
    ledger.persist.close().await.unwrap();
    assert!(!lease.holds());
}

/// Keeps its thread while the gate is closed, so that what is delivered next cannot start.
struct Blocker {
    blocked: Arc<AtomicBool>,
    calls: Arc<std::sync::Mutex<Vec<Instant>>>,
}

impl Actor for Blocker {
    type Context = Context<Self>;
}

impl actix::Handler<Deliver<Payload>> for Blocker {
    type Result = Result<(), HandlerError>;

    fn handle(&mut self, _: Deliver<Payload>, _: &mut Self::Context) -> Self::Result {
        self.calls.lock().unwrap().push(Instant::now());
        while self.blocked.load(Ordering::SeqCst) {
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }
}

#[actix::test]
async fn what_was_claimed_and_has_not_started_does_not_start_without_a_lease() {
    let Some(place) = Place::on_postgres() else { return };
    let (line, url) = line_to(&place).await;
    let (blocked, calls) = (Arc::new(AtomicBool::new(true)), Arc::<std::sync::Mutex<Vec<Instant>>>::default());
    let actor = {
        let (blocked, calls) = (Arc::clone(&blocked), Arc::clone(&calls));
        move || Blocker { blocked: Arc::clone(&blocked), calls: Arc::clone(&calls) }
    };
    let engine = Engine::builder().config(config(url)).handler_actor("a", actor).start().await.unwrap();
    let (first, second) = (engine.submit(event()).await.unwrap().id, engine.submit(event()).await.unwrap().id);
    for id in [first, second] {
        until(&engine, id, Status::Processing).await;
    }
    eventually("the first runs", async || (calls.lock().unwrap().len() == 1).then_some(())).await;
    line.set(Mode::Cut);
    let lost = Instant::now() + LEASE;
    eventually("the lease has run out", async || (Instant::now() > lost).then_some(())).await;
    blocked.store(false, Ordering::SeqCst);
    // Long enough for a handler that does start.
    let seen = lost + LEASE;
    eventually("nothing has started", async || (Instant::now() > seen).then_some(())).await;
    assert_eq!(calls.lock().unwrap().len(), 1);
    let back = Instant::now();
    line.set(Mode::Open);
    for id in [first, second] {
        assert_eq!(settled(&engine, id).await.attempt_count, 1);
        assert_eq!(attempts(&engine, id).await, [AttemptStatus::Success]);
    }
    assert!(calls.lock().unwrap()[1] > back);
    assert_eq!((engine.metrics().fenced.get(), live(&place).await.len()), (0, 1));
    stop(engine).await;
}

#[actix::test]
async fn a_fenced_node_goes_on_under_a_new_id_and_its_late_end_changes_nothing_but_the_note() {
    let Some(place) = Place::on_postgres() else { return };
    let (line, url) = line_to(&place).await;
    let (there, here) = (closed(), closed());
    let cut_off = node(url, Some(Arc::clone(&there))).await;
    let old = live(&place).await[0];
    let id = cut_off.submit(event()).await.unwrap().id;
    until(&cut_off, id, Status::Processing).await;
    let other = node(place.url(), Some(Arc::clone(&here))).await;
    line.set(Mode::Cut);
    // Taken over and in hand again, now there.
    let taken = eventually("it is taken over", async || {
        let whole = whole(&other, id).await;
        (whole.record.attempt_count == 2 && whole.record.status == Status::Processing).then_some(whole)
    })
    .await;
    assert_eq!((taken.record.crash_count, taken.attempts[0].node), (1, old));
    assert!(taken.attempts[0].error_message.as_deref().unwrap().contains("the process died"));
    assert_eq!(other.metrics().takeovers.with_label_values(&["PENDING"]).get(), 1);
    line.set(Mode::Open);
    eventually("it has a new id", async || {
        let live = live(&place).await;
        (live.len() == 2 && !live.contains(&old)).then_some(())
    })
    .await;
    assert_eq!(cut_off.metrics().fenced.get(), 1);
    there.add_permits(1);
    let noted = eventually("its end is noted", async || {
        let whole = whole(&other, id).await;
        whole.attempts[0].error_message.as_deref().unwrap().contains("then ended as SUCCESS").then_some(whole)
    })
    .await;
    assert_eq!((noted.record.status, noted.record.updated_at), (Status::Processing, taken.record.updated_at));
    here.add_permits(1);
    assert_eq!(settled(&other, id).await.status, Status::Success);
    assert_eq!(attempts(&other, id).await, [AttemptStatus::Abandoned, AttemptStatus::Success]);
    // It goes on, under another name; whoever claims the next event has a permit for it.
    [&there, &here].iter().for_each(|gate| gate.add_permits(1));
    let next = cut_off.submit(event()).await.unwrap().id;
    settled(&cut_off, next).await;
    let ran = whole(&cut_off, next).await.attempts[0].node;
    assert!(live(&place).await.contains(&ran));
    stop(cut_off).await;
    stop(other).await;
    assert!(live(&place).await.is_empty());
}

#[actix::test]
async fn what_a_node_had_in_hand_that_was_stopping_on_purpose_has_met_no_crash() {
    let Some(place) = Place::on_postgres() else { return };
    let (line, url) = line_to(&place).await;
    let there = closed();
    let stopping = node(url, Some(Arc::clone(&there))).await;
    let id = stopping.submit(event()).await.unwrap().id;
    until(&stopping, id, Status::Processing).await;
    let here = closed();
    let other = node(place.url(), Some(Arc::clone(&here))).await;
    let stopped = actix::spawn({
        let stopping = stopping.clone();
        async move { stopping.shutdown().await }
    });
    eventually("its row says so", async || {
        (place.rows("SELECT id FROM node WHERE draining").await.len() == 1).then_some(())
    })
    .await;
    line.set(Mode::Cut);
    let taken = eventually("it is taken over", async || {
        let whole = whole(&other, id).await;
        (whole.record.attempt_count == 2 && whole.record.status == Status::Processing).then_some(whole)
    })
    .await;
    assert_eq!((taken.record.crash_count, taken.attempts[0].status), (0, AttemptStatus::Abandoned));
    line.set(Mode::Open);
    there.add_permits(1);
    stopped.await.unwrap().unwrap();
    here.add_permits(1);
    assert_eq!(settled(&other, id).await.status, Status::Success);
    stop(other).await;
}

#[actix::test]
async fn after_an_outage_of_the_database_nobody_is_dead() {
    let Some(server) = Server::start() else { return };
    let place = server.place("");
    let nodes = [node(place.url(), None).await, node(place.url(), None).await];
    let before = live(&place).await;
    server.stop(Signal::INT).await;
    let lapsed = Instant::now() + LEASE;
    eventually("all leases have run out", async || (Instant::now() > lapsed).then_some(())).await;
    server.resume();
    // Whoever would fence has to have held its own for a whole lease first.
    let sure = Instant::now() + 3 * LEASE;
    eventually("there was time to fence", async || (Instant::now() > sure).then_some(())).await;
    assert_eq!(live(&place).await, before);
    for node in nodes {
        let id = node.submit(event()).await.unwrap().id;
        assert_eq!(settled(&node, id).await.status, Status::Success);
        assert_eq!(node.metrics().fenced.get(), 0);
        stop(node).await;
    }
}

#[actix::test]
async fn a_process_that_was_frozen_finds_its_claims_gone_and_starts_nothing_from_memory() {
    let Some(place) = Place::on_postgres() else { return };
    let target = Target::new(|delivery| match (delivery.event_id.as_str(), delivery.attempt) {
        ("runs", 1) => Reply::Hold,
        _ => Reply::Now(200),
    });
    let handler = target.handler("target", "*");
    configure(&place, &format!("database.lease = \"2s\"\n{handler}concurrency = 1\n"));
    let mut frozen = Node::serve(&place).await;
    let runs = frozen.submit(&json!({ "type": "a", "id": "runs" })).await;
    target.until_in_hand(1).await;
    let ids: Vec<String> = (0..20).map(|n| format!("waits {n}")).collect();
    let mut all = frozen.submit_all("a", &ids).await;
    all.push(runs.clone());
    let mut other = Node::serve(&place).await;
    frozen.process.signal(Signal::STOP);
    for id in &all {
        other.until(id, "SUCCESS").await;
    }
    let done = other.record(&runs).await;
    assert_eq!(crate::process::attempts(&done), ["ABANDONED", "SUCCESS"]);
    frozen.process.signal(Signal::CONT);
    target.release(1);
    let noted = eventually("its end is noted", async || {
        let record = other.record(&runs).await;
        record["attempts"][0]["error_message"].as_str().unwrap().contains("then ended as SUCCESS").then_some(record)
    })
    .await;
    assert_eq!((&noted["status"], &noted["updated_at"]), (&done["status"], &done["updated_at"]));
    eventually("it is ready again", async || (frozen.text("/readyz").await.0 == 200).then_some(())).await;
    assert_eq!(frozen.metric("evenkeel_fenced_total").await, Some(1.0));
    assert_eq!(frozen.metric("evenkeel_lease_held").await, Some(1.0));
    assert_ne!(frozen.get("/api/v1/stats").await["node"], noted["attempts"][0]["node"]);
    assert_eq!(target.seen().len(), ids.len() + 2, "what was in hand twice, all else once");
    for node in [&mut frozen, &mut other] {
        assert!(node.terminate().await.success());
    }
}

#[actix::test]
async fn readiness_says_that_the_lease_is_lost() {
    let Some(place) = Place::on_postgres() else { return };
    let (line, url) = line_to(&place).await;
    configure(&place, "database.lease = \"1s\"\n");
    let path = place.path().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace(&place.url(), &url);
    std::fs::write(path, text).unwrap();
    let mut node = Node::serve(&place).await;
    line.set(Mode::Cut);
    let said = "lost: the database did not let it be renewed in time";
    eventually("readiness says why", async || {
        let (status, text) = node.text("/readyz").await;
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        (status == 503 && answer["checks"]["lease"] == said).then_some(())
    })
    .await;
    assert_eq!(node.metric("evenkeel_lease_held").await, Some(0.0));
    line.set(Mode::Open);
    eventually("it is ready again", async || (node.text("/readyz").await.0 == 200).then_some(())).await;
    assert!(node.terminate().await.success());
}
