//! Several nodes on one PostgreSQL, as real processes: one is killed, one is frozen, one is stopped, the server goes away
//! under all of them. Nothing is lost, nothing happens twice, and the others go on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel::clock::{Clock, Timestamp};
use futures_util::future::join_all;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Place, eventually};
use crate::process::{Node, configure};
use crate::server::Server;
use crate::target::{Delivery, Reply, Target};

/// Another node has to have taken over by then, and brought what it took over to its end.
const TAKEN_OVER: i64 = 30_000_000;

/// How long a node is frozen: longer than its lease lasts, and than others wait before they take over.
const FROZEN: Duration = Duration::from_secs(40);

/// A client gives a node that does not answer up, and goes to the next.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// So much is sent at a time, and so often by one client.
const BATCH: usize = 20;
const PACE: Duration = Duration::from_millis(250);

/// Some fail the first time, a few are slow, the rest take some milliseconds.
fn reply(delivery: &Delivery) -> Reply {
    let letters: u64 = delivery.event_id.bytes().map(u64::from).sum();
    let delay = if letters.is_multiple_of(23) { 2_000 } else { letters % 20 };
    let fails = letters.is_multiple_of(7) && delivery.attempt == 1;
    Reply::Later(Duration::from_millis(delay), if fails { 503 } else { 200 })
}

pub async fn serve(place: &Place, count: usize) -> Vec<Node> {
    join_all((0..count).map(|_| Node::serve(place))).await
}

/// What clients send to all nodes, and what they were told.
#[derive(Default)]
struct Load {
    /// Each event's id, and its record's.
    accepted: Mutex<HashMap<String, String>>,
    sent: AtomicUsize,
    stop: AtomicBool,
}

impl Load {
    fn count(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    /// Waits until so many more were taken.
    async fn goes_on(&self, more: usize) {
        let before = self.count();
        eventually("events are taken", async || (self.count() >= before + more).then_some(())).await;
    }

    /// One client: it begins with this node, and goes to the next whenever one does not take its events.
    async fn send(&self, urls: &[String], first: usize) {
        let http = reqwest::Client::builder().no_proxy().timeout(IMPATIENCE).build().unwrap();
        let (mut node, mut pace) = (first, tokio::time::interval(PACE));
        while !self.stop.load(Ordering::SeqCst) {
            pace.tick().await;
            let number = self.sent.fetch_add(BATCH, Ordering::SeqCst);
            let event = |n: usize| json!({ "type": "nodes.test", "source": "/nodes", "id": format!("e-{n}") });
            let events = Value::Array((number..number + BATCH).map(event).collect());
            eventually("some node takes the events", async || {
                let url = format!("{}/api/v1/events", urls[node % urls.len()]);
                let taken = match http.post(url).json(&events).send().await {
                    Ok(answer) if answer.status() == StatusCode::ACCEPTED => answer.json::<Value>().await.ok(),
                    // A node that has slept over a request may find that its head took too long.
                    Ok(answer)
                        if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::REQUEST_TIMEOUT]
                            .contains(&answer.status()) =>
                    {
                        None
                    }
                    Ok(answer) => panic!("{answer:?}"),
                    Err(_) => None,
                };
                // What nobody knows of is sent again as it is.
                node += usize::from(taken.is_none());
                self.note(&taken?)
            })
            .await;
            // The next ones go to all nodes in turn.
            node += 1;
        }
    }

    fn note(&self, answer: &Value) -> Option<()> {
        let mut accepted = self.accepted.lock().unwrap();
        for result in answer["results"].as_array()? {
            accepted.insert(result["event_id"].as_str()?.to_owned(), result["id"].as_str()?.to_owned());
        }
        Some(())
    }

    /// The clients, one a node.
    async fn run(&self, nodes: &[String]) {
        join_all((0..nodes.len()).map(|first| self.send(nodes, first))).await;
    }
}

fn urls(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| node.url.clone()).collect()
}

async fn listed(node: &Node) -> Vec<Value> {
    node.get("/api/v1/nodes").await["items"].as_array().unwrap().clone()
}

pub async fn states(node: &Node) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    listed(node).await.iter().map(|listed| (text(&listed["id"]), text(&listed["state"]))).collect()
}

pub async fn live(node: &Node) -> Vec<String> {
    let states = states(node).await;
    states.into_iter().filter(|(_, state)| state == "live").map(|(id, _)| id).collect()
}

pub async fn id(node: &Node) -> String {
    node.get("/api/v1/stats").await["node"].as_str().unwrap().to_owned()
}

/// One record as the ledger has it at the end.
pub struct Row {
    pub event_id: String,
    pub status: String,
    created_at: i64,
    completed_at: i64,
    attempt_count: i32,
    /// The ends of its attempts, in order.
    pub attempts: Vec<String>,
}

/// All records but the duplicates, by id; each attempt has the number that its place says.
pub async fn records(place: &Place) -> HashMap<String, Row> {
    let sql = "SELECT r.id::text, r.event_id, r.status, r.created_at, r.completed_at, r.attempt_count, \
               coalesce(string_agg(a.attempt_number || ' ' || a.status, ',' ORDER BY a.attempt_number), '') AS attempts \
               FROM event_record r LEFT JOIN event_attempt a ON a.record_id = r.id \
               WHERE r.status <> 'DUPLICATE' GROUP BY r.id";
    let mut records = HashMap::new();
    for row in place.rows(sql).await {
        let attempts: String = row.try_get("", "attempts").unwrap();
        let attempts = attempts.split(',').filter(|attempt| !attempt.is_empty()).enumerate().map(|(n, attempt)| {
            let (number, status) = attempt.split_once(' ').unwrap();
            assert_eq!(number, (n + 1).to_string(), "no number is missing, and none is there twice");
            status.to_owned()
        });
        let record = Row {
            event_id: row.try_get("", "event_id").unwrap(),
            status: row.try_get("", "status").unwrap(),
            created_at: row.try_get("", "created_at").unwrap(),
            completed_at: row.try_get::<Option<i64>>("", "completed_at").unwrap().expect("every event is final"),
            attempt_count: row.try_get("", "attempt_count").unwrap(),
            attempts: attempts.collect(),
        };
        records.insert(row.try_get("", "id").unwrap(), record);
    }
    records
}

/// Everything that was taken is there, once, and has come to its end once.
fn assert_complete(load: &Load, records: &HashMap<String, Row>) {
    let accepted = load.accepted.lock().unwrap();
    for (event_id, record) in accepted.iter() {
        let row = records.get(record).unwrap_or_else(|| panic!("{event_id} is lost"));
        assert_eq!(&row.event_id, event_id);
        assert_eq!(row.status, "SUCCESS");
        assert_eq!(row.attempts.len(), usize::try_from(row.attempt_count).unwrap());
        let (last, before) = row.attempts.split_last().unwrap();
        assert_eq!(last, "SUCCESS");
        assert!(before.iter().all(|attempt| attempt != "SUCCESS"), "{event_id}: {:?}", row.attempts);
    }
    assert_eq!(records.len(), accepted.len(), "and nothing else is");
}

/// A handler ran again only where the ledger says that its attempt before was abandoned, or had failed.
pub fn assert_repeats(target: &Target, records: &HashMap<String, Row>) {
    let (mut runs, mut seen) = (HashMap::<String, usize>::new(), HashSet::new());
    for delivery in target.seen() {
        *runs.entry(delivery.record.clone()).or_default() += 1;
        assert!(seen.insert((delivery.record, delivery.attempt)), "{}: an attempt was made twice", delivery.event_id);
    }
    for (id, row) in records {
        let ended = |how: &str| row.attempts.iter().filter(|attempt| *attempt == how).count();
        let runs = runs[id];
        assert!(runs <= row.attempts.len(), "{}: {runs} runs of {:?}", row.event_id, row.attempts);
        assert!(runs <= 1 + ended("FAILED") || ended("ABANDONED") > 0, "{}: {runs} runs", row.event_id);
    }
}

/// What was not over at the moment of a fault was over in time.
fn assert_in_time(records: &HashMap<String, Row>, fault: Timestamp) {
    let open = records.values().filter(|row| row.created_at <= fault.0 && row.completed_at > fault.0);
    let late: Vec<(&str, i64)> = open
        .map(|row| (row.event_id.as_str(), row.completed_at - fault.0))
        .filter(|(_, took)| *took > TAKEN_OVER)
        .collect();
    assert!(late.is_empty(), "final later than 30 s after the fault, in µs: {late:?}");
}

/// The kept counts are the counted rows.
pub async fn assert_counts(place: &Place) {
    let sql = "SELECT lane, status FROM (SELECT handler_name AS lane, status, sum(n)::int8 AS n FROM status_count \
               GROUP BY 1, 2) kept FULL JOIN (SELECT coalesce(handler_name, '') AS lane, status, count(*) AS n \
               FROM event_record GROUP BY 1, 2) counted USING (lane, status) \
               WHERE coalesce(kept.n, 0) <> coalesce(counted.n, 0)";
    assert!(place.rows(sql).await.is_empty(), "the kept counts are not the counted ones");
}

pub fn abandoned(records: &HashMap<String, Row>) -> usize {
    records.values().filter(|row| row.attempts.iter().any(|attempt| attempt == "ABANDONED")).count()
}

#[actix::test]
async fn of_three_nodes_one_is_killed_one_freezes_and_one_stops_and_nothing_is_lost_or_done_twice() {
    let Some(place) = Place::on_postgres() else { return };
    let target = Target::new(reply);
    let handler = target.handler("target", "nodes.*");
    configure(&place, &format!("retry.initial_delay = \"50ms\"\n{handler}concurrency = 20\n"));
    let mut nodes = serve(&place, 3).await;
    let (load, urls, clock) = (Load::default(), urls(&nodes), Clock::default());
    let mut faults = Vec::new();
    let frozen = id(&nodes[1]).await;
    let run = async {
        load.goes_on(300).await;
        faults.push(clock.now());
        nodes[0].process.kill9();
        load.goes_on(50).await;
        faults.push(clock.now());
        nodes[1].process.signal(Signal::STOP);
        tokio::time::sleep(FROZEN).await;
        assert_eq!(states(&nodes[2]).await[&frozen], "gone");
        nodes[1].process.signal(Signal::CONT);
        // It finds out that it was fenced, and goes on under a new id. (It may close the connections that it slept over.)
        eventually("the frozen node is back", async || (live(&nodes[2]).await.len() == 2).then_some(())).await;
        assert!(!live(&nodes[2]).await.contains(&frozen));
        load.goes_on(100).await;
        faults.push(clock.now());
        assert!(nodes[2].terminate().await.success());
        load.goes_on(100).await;
        load.stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(load.run(&urls), run);
    nodes[1].idle().await;
    assert_eq!(live(&nodes[1]).await, [id(&nodes[1]).await]);
    assert!(nodes[1].terminate().await.success());

    let records = records(&place).await;
    assert_complete(&load, &records);
    assert_repeats(&target, &records);
    for fault in faults {
        assert_in_time(&records, fault);
    }
    assert!(abandoned(&records) > 0, "something should have been in hand");
    assert_counts(&place).await;
}

#[actix::test]
async fn a_server_that_restarts_under_three_nodes_loses_no_event_and_costs_no_node_its_place() {
    let Some(server) = Server::start() else { return };
    let place = server.place("");
    let target = Target::new(reply);
    let handler = target.handler("target", "nodes.*");
    configure(&place, &format!("retry.initial_delay = \"50ms\"\n{handler}concurrency = 20\n"));
    let mut nodes = serve(&place, 3).await;
    let before = states(&nodes[0]).await;
    let (load, urls) = (Load::default(), urls(&nodes));
    let faults = async {
        for signal in [Signal::INT, Signal::QUIT] {
            load.goes_on(200).await;
            server.stop(signal).await;
            server.resume().await;
        }
        load.goes_on(200).await;
        load.stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(load.run(&urls), faults);
    nodes[0].idle().await;
    assert_eq!(states(&nodes[0]).await, before, "no node was fenced, and none is new");
    for node in &mut nodes {
        assert!(node.terminate().await.success());
    }
    let records = records(&place).await;
    assert_complete(&load, &records);
    assert_repeats(&target, &records);
    assert_counts(&place).await;
}

#[actix::test]
async fn a_pause_holds_on_all_nodes_and_a_node_without_the_handler_can_ask_for_it() {
    let Some(place) = Place::on_postgres() else { return };
    let target = Target::new(|_| Reply::Now(200));
    configure(&place, &target.handler("x", "x.*"));
    let mut nodes = serve(&place, 2).await;
    configure(&place, &target.handler("y", "y.*"));
    nodes.extend(serve(&place, 1).await);
    let state = async |node: &Node| node.get("/api/v1/handlers").await["items"][0]["state"].clone();
    eventually("the third node knows of the handler", async || {
        let (status, answer) = nodes[2].post("/api/v1/handlers/x/pause", &json!({})).await;
        if status == StatusCode::OK {
            assert_eq!((&answer["kind"], &answer["state"]), (&json!("elsewhere"), &json!("PAUSED")));
            assert_eq!(answer["types"], json!(["x.*"]));
        }
        (status == StatusCode::OK).then_some(())
    })
    .await;
    for node in &nodes[..2] {
        eventually("the pause is obeyed", async || (state(node).await == "PAUSED").then_some(())).await;
    }
    let held = nodes[0].submit(&json!({ "type": "x.1" })).await;
    let other = nodes[0].submit(&json!({ "type": "y.1" })).await;
    nodes[0].until(&other, "SUCCESS").await;
    assert_eq!(nodes[1].record(&held).await["status"], "PENDING");
    let (status, _) = nodes[1].post("/api/v1/handlers/x/resume", &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    nodes[2].until(&held, "SUCCESS").await;
    eventually("the end of the pause is obeyed", async || (state(&nodes[0]).await == "RUNNING").then_some(())).await;
    let (status, _) = nodes[0].post("/api/v1/handlers/z/pause", &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for node in &mut nodes {
        assert!(node.terminate().await.success());
    }
}

#[actix::test]
async fn in_a_rolling_change_of_handlers_no_event_is_without_a_handler() {
    let Some(place) = Place::on_postgres() else { return };
    let target = Target::new(|_| Reply::Now(200));
    configure(&place, &target.handler("x", "x.*"));
    let mut old = Node::serve(&place).await;
    configure(&place, &target.handler("y", "y.*"));
    let mut new = Node::serve(&place).await;
    // Each takes in what only the other handles, at once and later.
    let soon = Timestamp(Clock::default().now().0 + 1_000_000).to_rfc3339();
    let ids = [
        old.submit(&json!({ "type": "y.1" })).await,
        old.submit(&json!({ "type": "y.2", "deliver_at": soon })).await,
        new.submit(&json!({ "type": "x.1" })).await,
    ];
    for (id, handler) in ids.iter().zip(["y", "y", "x"]) {
        assert_eq!(new.until(id, "SUCCESS").await["handler_name"], handler);
    }
    // The node with the handler is gone for a moment: its events wait for it.
    assert!(old.terminate().await.success());
    let waits = new.submit(&json!({ "type": "x.2" })).await;
    assert_eq!(new.record(&waits).await["status"], "PENDING");
    let nobodys = new.submit(&json!({ "type": "z" })).await;
    assert_eq!(new.record(&nobodys).await["status"], "NO_HANDLER");
    configure(&place, &target.handler("x", "x.*"));
    let mut old = Node::serve(&place).await;
    old.until(&waits, "SUCCESS").await;
    // A node that is new here does not touch what waits for another's handler.
    assert_eq!(old.post("/api/v1/handlers/x/pause", &json!({})).await.0, StatusCode::OK);
    let held = new.submit(&json!({ "type": "x.3" })).await;
    configure(&place, &target.handler("all", "*"));
    let mut third = Node::serve(&place).await;
    assert_eq!(third.record(&held).await["handler_name"], "x");
    assert_eq!(old.post("/api/v1/handlers/x/resume", &json!({})).await.0, StatusCode::OK);
    third.until(&held, "SUCCESS").await;
    // What had no handler has one now, on another node than the one that is asked.
    let (status, answer) = new.post(&format!("/api/v1/dead-letters/{nobodys}/redrive"), &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(new.until(&nobodys, "SUCCESS").await["handler_name"], "all");
    for node in [&mut old, &mut new, &mut third] {
        assert!(node.terminate().await.success());
    }
}

#[actix::test]
async fn what_no_node_has_listed_for_ten_minutes_has_no_handler() {
    let Some(place) = Place::on_postgres() else { return };
    let target = Target::new(|_| Reply::Now(200));
    configure(&place, &target.handler("x", "x.*"));
    let mut node = Node::serve(&place).await;
    assert_eq!(node.post("/api/v1/handlers/x/pause", &json!({})).await.0, StatusCode::OK);
    let id = node.submit(&json!({ "type": "x.1" })).await;
    assert!(node.terminate().await.success());
    configure(&place, &target.handler("y", "y.*"));
    let mut node = Node::serve(&place).await;
    assert_eq!(node.record(&id).await["status"], "PENDING", "its handler may come back");
    assert!(node.terminate().await.success());
    let eleven_minutes = 11 * 60 * 1_000_000_i64;
    place
        .sql(&format!(
            "UPDATE node SET fenced_at = fenced_at - {eleven_minutes}, lease_until = lease_until - {eleven_minutes}"
        ))
        .await;
    let mut node = Node::serve(&place).await;
    assert_eq!(node.record(&id).await["status"], "NO_HANDLER");
    assert!(node.terminate().await.success());
}
