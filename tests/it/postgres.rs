//! PostgreSQL as it is met: away, restarted, wrongly set, somebody else's. Nothing is lost, and the reason is told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel::lifecycle::{AttemptStatus, Status};
use evenkeel::{Engine, Event, NewEvent, Payload};
use futures_util::future::join_all;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{self, Calls, Place, eventually, on_each_ledger, settled, stop};
use crate::process::{Node, Process, attempts, configure, run};
use crate::server::Server;
use crate::target::{Reply, Target};
use crate::wire::{Fate, Wire};

const CLIENTS: usize = 4;

/// What the clients were told: each event's id, and its record's.
type Accepted = Arc<Mutex<HashMap<String, String>>>;

/// Sends events until it is told to stop, each again until it is taken.
async fn send(node: &Node, client: usize, accepted: &Accepted, stop: &Mutex<bool>) {
    for n in 0.. {
        if *stop.lock().unwrap() {
            return;
        }
        let id = format!("c{client}-{n}");
        let event = json!({ "type": "restart.test", "source": "/restart", "id": id });
        let record = eventually("the event is taken", async || {
            let (status, answer) = node.post("/api/v1/events", &event).await;
            if status == StatusCode::ACCEPTED {
                return Some(answer["id"].as_str().unwrap().to_owned());
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
            None
        })
        .await;
        accepted.lock().unwrap().insert(id, record);
    }
}

async fn until_ready(node: &Node, ready: bool) {
    let wanted = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    eventually("readiness turns", async || (node.text("/readyz").await.0 == wanted).then_some(())).await;
}

#[actix::test]
async fn a_server_that_restarts_and_crashes_under_load_loses_no_event() {
    let Some(server) = Server::start() else { return };
    let place = server.place("");
    // Some take their time, so that attempts end while nothing can be written; some have to be retried.
    let target = Target::new(|delivery| {
        let letters: u64 = delivery.event_id.bytes().map(u64::from).sum();
        let fails = letters.is_multiple_of(7) && delivery.attempt == 1;
        Reply::Later(Duration::from_millis(letters % 40), if fails { 503 } else { 200 })
    });
    let handler = target.handler("target", "restart.*");
    configure(&place, &format!("retry.initial_delay = \"50ms\"\n{handler}concurrency = 20\n"));
    let mut node = Node::serve(&place).await;
    let (accepted, stop) = (Accepted::default(), Mutex::new(false));
    let load = join_all((0..CLIENTS).map(|client| send(&node, client, &accepted, &stop)));
    let faults = async {
        for signal in [Signal::INT, Signal::QUIT, Signal::QUIT] {
            let before = accepted.lock().unwrap().len();
            eventually("there is load", async || (accepted.lock().unwrap().len() > before + 100).then_some(())).await;
            server.stop(signal).await;
            until_ready(&node, false).await;
            server.resume().await;
            until_ready(&node, true).await;
        }
        *stop.lock().unwrap() = true;
    };
    tokio::join!(load, faults);
    node.idle().await;

    let accepted = std::mem::take(&mut *accepted.lock().unwrap());
    // Whoever was told that the outcome is unknown has sent again: what had been taken after all is a duplicate then.
    let mut records = node.list("source=%2Frestart").await;
    records.retain(|record| record["status"] != "DUPLICATE");
    assert_eq!(records.len(), accepted.len());
    for record in &records {
        assert_eq!(accepted[record["event_id"].as_str().unwrap()], record["id"].as_str().unwrap());
        assert_eq!(record["final_status"], "COMPLETED", "{record}");
    }
    every_delivery_is_an_attempt(&node, &target).await;
    assert!(node.terminate().await.success());
}

/// No attempt is made twice, and none without a trace.
async fn every_delivery_is_an_attempt(node: &Node, target: &Target) {
    let mut delivered = HashMap::<String, HashSet<u64>>::new();
    for delivery in target.seen() {
        assert!(delivered.entry(delivery.record).or_default().insert(delivery.attempt), "an attempt was made twice");
    }
    for (record, numbers) in delivered {
        let count = attempts(&node.record(&record).await).len() as u64;
        assert!(numbers.iter().all(|number| (1..=count).contains(number)), "{record}: {numbers:?} of {count}");
    }
}

/// Runs a command that is to fail; gives what it says.
async fn refusal(place: &Place, url: &str, command: &str) -> String {
    let config = format!("server.bind = \"127.0.0.1:0\"\ndatabase.url = \"{url}\"\n");
    std::fs::write(place.path().join("config.toml"), config).unwrap();
    let (code, out, err) = run(place.path(), &[command, "--config", "config.toml"]).await;
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(!err.contains("hidden"), "a password is shown: {err}");
    err
}

#[actix::test]
async fn a_database_that_cannot_be_opened_is_named_with_what_to_do() {
    let Some(place) = Place::on_postgres() else { return };
    let url = place.url();
    let (server, address) = (url.rsplit_once('/').unwrap().0, url.split(['@', '/']).nth(3).unwrap());
    for (url, findings) in [
        ("postgres://evenkeel:hidden@127.0.0.1:1/a", ["cannot reach PostgreSQL at 127.0.0.1:1/a", "Is it running"]),
        ("postgres://evenkeel:hidden@127.0.0.1:port/a", ["`database.url` cannot be read", "give `postgres://"]),
        (
            &format!("postgres://evenkeel:hidden@{address}/a"),
            ["does not let `evenkeel` in", "Correct user and password"],
        ),
        (&format!("{server}/nowhere"), ["there is no database", "createdb"]),
    ] {
        let text = refusal(&place, url, "migrate").await;
        assert!(findings.iter().all(|finding| text.contains(finding)), "{text}");
    }
    let guest = format!("guest_{}", url.rsplit_once('/').unwrap().1);
    place
        .sql(&format!("CREATE ROLE {guest} LOGIN PASSWORD 'hidden'; REVOKE CREATE ON SCHEMA public FROM public"))
        .await;
    let text = refusal(&place, &url.replace("evenkeel:evenkeel", &format!("{guest}:hidden")), "migrate").await;
    assert!(text.contains(&format!("`{guest}` may not make tables")) && text.contains("grant it CREATE"), "{text}");
    place.sql(&format!("DROP ROLE {guest}")).await;
    assert!(refusal(&place, "postgres://", "check").await.contains("names no server"));
}

#[actix::test]
async fn a_start_waits_for_a_server_that_comes_up_later_and_says_so_once() {
    let Some(server) = Server::start() else { return };
    let place = server.place("");
    configure(&place, "");
    server.stop(Signal::INT).await;
    let waits = "the database is not there yet; it is tried again for 15 s";
    let mut process = Process::start(place.path(), &["serve", "--config", "config.toml"]);
    eventually("the start waits", async || process.err().contains(waits).then_some(())).await;
    server.resume().await;
    eventually("it is ready", async || process.out().contains("Evenkeel is ready").then_some(())).await;
    let said = process.err();
    assert_eq!((said.matches(waits).count(), said.matches("the database is there").count()), (1, 1), "{said}");
    process.signal(Signal::TERM);
    assert!(process.ended().await.success());
}

#[actix::test]
async fn a_start_gives_a_server_that_does_not_come_up_up_and_can_be_ended_before() {
    let place = Place::new();
    let config = "server.bind = \"127.0.0.1:0\"\ndatabase.url = \"postgres://evenkeel:hidden@127.0.0.1:1/a\"\n";
    std::fs::write(place.path().join("config.toml"), config).unwrap();
    let serve = || Process::start(place.path(), &["serve", "--config", "config.toml"]);
    let (mut patient, mut ended) = (serve(), serve());
    eventually("both wait", async || {
        [&patient, &ended].iter().all(|process| process.err().contains("not there yet")).then_some(())
    })
    .await;
    ended.signal(Signal::TERM);
    assert!(ended.ended().await.success());
    assert!(ended.err().contains("stopped before it was ready"), "{}", ended.err());
    assert_eq!(patient.ended().await.code(), Some(1));
    let said = patient.err();
    assert!(said.contains("cannot reach PostgreSQL at 127.0.0.1:1/a") && said.contains("Is it running"), "{said}");
    assert!(!said.contains("hidden"), "{said}");
}

on_each_ledger!(tables_of_a_later_version_are_an_error_at_once);
async fn tables_of_a_later_version_are_an_error_at_once(place: Place) {
    configure(&place, "");
    let serve = ["serve", "--config", "config.toml"];
    let (code, _, err) = run(place.path(), &["migrate", "--config", "config.toml"]).await;
    assert_eq!(code, 0, "{err}");
    place.sql("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m999_of_next_year', 0)").await;
    let (code, _, err) = run(place.path(), &serve).await;
    assert!(code == 1 && err.contains("are of a later version of Evenkeel"), "{err}");
    assert!(!err.contains("not there yet"), "{err}");
}

#[actix::test]
async fn check_asks_no_server_and_migrate_makes_the_tables() {
    let Some(place) = Place::on_postgres() else { return };
    configure(&place, "");
    let (code, out, err) = run(place.path(), &["check", "--config", "config.toml"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("good, with 0 handlers"), "{out}");
    assert!(tables(&place).await.is_empty());
    for _ in 0..2 {
        let (code, out, err) = run(place.path(), &["migrate", "--config", "config.toml"]).await;
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("is up to date") && !out.contains("evenkeel:evenkeel"), "{out}");
    }
    assert!(tables(&place).await.iter().any(|name| name == "event_record"));
}

async fn tables(place: &Place) -> Vec<String> {
    let rows = place.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").await;
    rows.iter().map(|row| row.try_get("", "tablename").unwrap()).collect()
}

#[actix::test]
async fn a_second_process_on_the_same_ledger_works_beside_the_first() {
    let Some(place) = Place::on_postgres() else { return };
    let target = Target::new(|_| Reply::Now(200));
    configure(&place, &target.handler("target", "*"));
    let mut nodes = [Node::serve(&place).await, Node::serve(&place).await];
    for node in &nodes {
        let id = node.submit(&json!({ "type": "a" })).await;
        let record = node.until(&id, "SUCCESS").await;
        assert_eq!(record["attempts"][0]["node"], node.get("/api/v1/stats").await["node"]);
    }
    // What one of them has taken in is there for both.
    let seen = [nodes[0].list("").await, nodes[1].list("").await];
    assert_eq!((seen[0].len(), &seen[0]), (2, &seen[1]));
    for node in &mut nodes {
        assert!(node.terminate().await.success());
    }
}

#[actix::test]
async fn processes_that_start_at_once_on_an_empty_database_do_no_harm_and_all_go_on() {
    let Some(place) = Place::on_postgres() else { return };
    configure(&place, "");
    let mut all: Vec<Process> =
        (0..3).map(|_| Process::start(place.path(), &["serve", "--config", "config.toml"])).collect();
    for process in &mut all {
        eventually("it is ready", async || process.out().contains("ready").then_some(())).await;
    }
    let rows = place.rows("SELECT id FROM node WHERE fenced_at IS NULL").await;
    assert_eq!(rows.len(), 3);
    for process in &mut all {
        process.signal(Signal::TERM);
        assert!(process.ended().await.success());
    }
    assert!(place.rows("SELECT id FROM node WHERE fenced_at IS NULL").await.is_empty(), "each has left");
}

#[actix::test]
async fn a_server_that_does_not_write_through_is_refused_and_one_that_answers_early_is_warned_about() {
    let Some(server) = Server::start() else { return };
    let place = server.place("");
    server.stop(Signal::INT).await;
    server.configure("fsync = off");
    server.resume().await;
    assert!(refusal(&place, &place.url(), "serve").await.contains("fsync = off"));
    server.stop(Signal::INT).await;
    server.configure("fsync = on\nsynchronous_commit = off");
    server.resume().await;
    configure(&place, "");
    let mut node = Node::serve(&place).await;
    let warned: Vec<Value> = node.logged("synchronous_commit", "off");
    assert_eq!(warned.len(), 1);
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn events_are_handled_over_tls() {
    let Some(server) = Server::start() else { return };
    server.stop(Signal::INT).await;
    server.certify();
    server.resume().await;
    // Without TLS this would not connect at all.
    let place = server.place("?sslmode=require");
    let engine = place.engine().handler_fn("a", |_: Event<Payload>| async { Ok(()) }).start().await.unwrap();
    for _ in 0..20 {
        let id = engine.submit(NewEvent::raw("a", Payload::default())).await.unwrap().id;
        assert_eq!(settled(&engine, id).await.status, Status::Success);
    }
    stop(engine).await;
}

#[actix::test]
async fn commits_whose_answers_are_lost_are_done_again_and_recognise_themselves() {
    let Some(place) = Place::on_postgres() else { return };
    let wire = Wire::to(&place.url()).await;
    let mut config = place.config();
    config.database.url = wire.url(&place.url());
    let (cut, calls) = (wire.clone(), Calls::default());
    let count = calls.clone();
    let handler = move |event: Event<Payload>| {
        count.next();
        // The next commit is the one that writes down how this ends.
        match event.subject.as_deref() {
            Some("lost") => cut.breaks(Fate::AnswerLost),
            Some("unsent") => cut.breaks(Fate::NeverSent),
            _ => {}
        }
        async { Ok(()) }
    };
    let engine = Engine::builder().config(config).handler_fn("a", handler).start().await.unwrap();
    let mut ids = Vec::new();
    for n in 0..5 {
        for accepting in [None, Some(Fate::AnswerLost), Some(Fate::NeverSent)] {
            for finishing in ["-", "lost", "unsent"] {
                if let Some(fate) = accepting {
                    wire.breaks(fate);
                }
                let event = NewEvent::raw("a", Payload::default()).id(format!("{n} {accepting:?} {finishing}"));
                let accepted = engine.submit(event.subject(finishing)).await.unwrap();
                assert!(!accepted.duplicate);
                let record = settled(&engine, accepted.id).await;
                assert_eq!((record.status, record.attempt_count), (Status::Success, 1));
                ids.push(accepted.id);
            }
        }
    }
    assert_eq!(calls.count(), ids.len());
    assert_eq!(engine.reads().list(&Default::default(), None, 100).await.unwrap().len(), ids.len());
    for id in ids {
        assert_eq!(harness::attempts(&engine, id).await, [AttemptStatus::Success]);
    }
    // Two thirds of the accepts and of the finishes.
    assert_eq!(engine.metrics().commit_failures.with_label_values(&["unknown"]).get(), 60);
    stop(engine).await;
}
