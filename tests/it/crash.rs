//! Killed at random moments under load: what was accepted comes to its end, and nothing is done behind the ledger's back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel::clock::Clock;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Place, on_each_ledger};
use crate::process::{Node, Process, attempts, configure};
use crate::target::{Delivery, Reply, Target};

const ROUNDS: u64 = 30;
const CLIENTS: u64 = 4;

/// Random numbers that a seed tells beforehand (SplitMix64).
struct Random(u64);

impl Random {
    /// Begins anew in each run; a run that fails shows where.
    fn new() -> Self {
        let seed = Clock::default().new_id().as_u64_pair().1;
        println!("the seed is {seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What the clients know of their events.
#[derive(Default)]
struct Book {
    /// Answered 202: the event's id, and its record's.
    accepted: HashMap<String, String>,
    /// Sent, and no answer came.
    unknown: HashSet<String>,
}

/// Sends events, one and several at a time, until the process is gone.
async fn send(url: String, http: reqwest::Client, name: String, book: Arc<Mutex<Book>>) {
    for request in 0.. {
        let count = if request % 3 == 0 { 8 } else { 1 };
        let ids: Vec<String> = (0..count).map(|n| format!("{name}-{request}-{n}")).collect();
        let event =
            |id: &String| json!({ "type": "crash.test", "source": "/crash", "id": id, "data": { "n": request } });
        let body = if count == 1 { event(&ids[0]) } else { ids.iter().map(event).collect() };
        book.lock().unwrap().unknown.extend(ids.iter().cloned());
        let Ok(answer) = http.post(format!("{url}/api/v1/events")).json(&body).send().await else { return };
        let status = answer.status();
        let Ok(answer) = answer.json::<Value>().await else { return };
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        let results = answer["results"].as_array().cloned().unwrap_or_else(|| vec![answer]);
        let mut book = book.lock().unwrap();
        for (id, result) in ids.into_iter().zip(results) {
            assert_eq!((&result["event_id"], &result["duplicate"]), (&json!(id), &json!(false)));
            book.unknown.remove(&id);
            book.accepted.insert(id, result["id"].as_str().unwrap().to_owned());
        }
    }
}

async fn round(place: &Place, number: u64, random: &mut Random, book: &Arc<Mutex<Book>>) {
    let mut node = Node::serve(place).await;
    let clients = (0..CLIENTS).map(|client| {
        let name = format!("r{number}-c{client}");
        actix::spawn(send(node.url.clone(), node.http.clone(), name, Arc::clone(book)))
    });
    let clients: Vec<_> = clients.collect();
    node.process.kill9_after(Duration::from_millis(50 + random.below(350))).await;
    for client in join_all(clients).await {
        client.unwrap();
    }
}

on_each_ledger!(in_30_rounds_of_load_and_kill_9_no_accepted_event_is_lost);
async fn in_30_rounds_of_load_and_kill_9_no_accepted_event_is_lost(place: Place) {
    let mut random = Random::new();
    let target = Target::new(|delivery| {
        let letters: u64 = delivery.event_id.bytes().map(u64::from).sum();
        // Every seventh event has to be retried, and each takes a moment of its own.
        let fails = letters.is_multiple_of(7) && delivery.attempt == 1;
        Reply::Later(Duration::from_millis(letters % 12), if fails { 503 } else { 200 })
    });
    let handler = target.handler("target", "crash.*");
    configure(&place, &format!("retry.initial_delay = \"50ms\"\n{handler}concurrency = 20\n"));
    let book = Arc::<Mutex<Book>>::default();
    for number in 0..ROUNDS {
        round(&place, number, &mut random, &book).await;
    }
    let mut node = Node::serve(&place).await;
    node.idle().await;
    let poisoned = every_poisoned_event_had_a_death_of_its_own(&node).await;
    println!("{poisoned} events were in hand at three kills");
    let (_, redriven) = node.post("/api/v1/dead-letters/redrive", &json!({})).await;
    assert_eq!(redriven["redriven"], poisoned);
    node.idle().await;
    let records = node.list("source=%2Fcrash").await;
    let book = std::mem::take(&mut *book.lock().unwrap());
    println!("{} accepted, {} unknown, {} on record", book.accepted.len(), book.unknown.len(), records.len());
    every_accepted_event_is_on_record_and_completed(&book, &records);
    the_counts_are_those_of_the_list(&node, &records).await;
    let abandoned = every_delivery_is_an_attempt_on_record(&node, &target.seen()).await;
    assert!(abandoned > 0, "some attempt should have been cut off by a kill");
    assert!(node.terminate().await.success());
}

/// Who kills the process from outside makes events suspicious that did nothing but be in hand, so a few of them may be
/// buried as poison. That takes three deaths in a row, and the last of them can bury one event only: a suspect runs
/// alone among its like.
async fn every_poisoned_event_had_a_death_of_its_own(node: &Node) -> usize {
    let poisoned = node.list("final_status=DEAD_LETTER").await;
    let mut last_nodes = HashSet::new();
    for record in &poisoned {
        assert_eq!((&record["status"], &record["crash_count"]), (&json!("POISON"), &json!(3)), "{record}");
        let record = node.record(record["id"].as_str().unwrap()).await;
        assert!(attempts(&record).ends_with(&["ABANDONED"; 3]), "{record}");
        let tries = record["attempts"].as_array().unwrap();
        let nodes: Vec<&str> = tries.iter().rev().take(3).map(|attempt| attempt["node"].as_str().unwrap()).collect();
        assert_eq!(nodes.iter().collect::<HashSet<_>>().len(), 3, "each death was another process's: {record}");
        assert!(last_nodes.insert(nodes[0].to_owned()), "two suspects ran at once: {record}");
    }
    poisoned.len()
}

fn every_accepted_event_is_on_record_and_completed(book: &Book, records: &[Value]) {
    let mut by_event = HashMap::new();
    for record in records {
        let id = record["event_id"].as_str().unwrap();
        assert!(by_event.insert(id, record).is_none(), "{id} has two records");
        assert!(book.accepted.contains_key(id) || book.unknown.contains(id), "{id} was never sent");
        assert_eq!(record["final_status"], "COMPLETED", "{record}");
    }
    for (event, record) in &book.accepted {
        let kept = by_event.get(event.as_str()).unwrap_or_else(|| panic!("{event} was accepted and is lost"));
        assert_eq!(kept["id"], record.as_str());
    }
}

async fn the_counts_are_those_of_the_list(node: &Node, records: &[Value]) {
    let mut listed = BTreeMap::<&str, u64>::new();
    for record in records {
        *listed.entry(record["status"].as_str().unwrap()).or_default() += 1;
    }
    let stats = node.get("/api/v1/stats").await;
    let kept = stats["by_status"].as_object().unwrap().iter();
    let kept = kept.map(|(status, count)| (status.as_str(), count.as_u64().unwrap())).filter(|(_, count)| *count > 0);
    assert_eq!(kept.collect::<BTreeMap<_, _>>(), listed);
}

/// Looks every delivered record up; gives how many of its attempts were abandoned.
async fn every_delivery_is_an_attempt_on_record(node: &Node, seen: &[Delivery]) -> usize {
    let mut deliveries = HashMap::<&str, Vec<&Delivery>>::new();
    for delivery in seen {
        deliveries.entry(&delivery.record).or_default().push(delivery);
    }
    let mut lookups = stream::iter(deliveries.keys()).map(|record| node.record(record)).buffer_unordered(8);
    let mut abandoned = 0;
    while let Some(record) = lookups.next().await {
        let ends = attempts(&record);
        let numbers: Vec<u64> =
            record["attempts"].as_array().unwrap().iter().map(|a| a["attempt_number"].as_u64().unwrap()).collect();
        assert!(numbers.iter().copied().eq(1..=ends.len() as u64), "{record}");
        let delivered = &deliveries[record["id"].as_str().unwrap()];
        for delivery in delivered {
            assert_eq!(record["event_id"], delivery.event_id.as_str());
            assert!(numbers.contains(&delivery.attempt), "attempt {} of {record} is not on record", delivery.attempt);
        }
        let distinct: HashSet<u64> = delivered.iter().map(|delivery| delivery.attempt).collect();
        assert_eq!(distinct.len(), delivered.len(), "an attempt of {record} was delivered twice");
        abandoned += ends.iter().filter(|end| **end == "ABANDONED").count();
    }
    abandoned
}

#[actix::test]
async fn a_first_start_that_is_killed_at_any_moment_can_be_repeated() {
    let mut random = Random::new();
    for _ in 0..20 {
        let place = Place::new();
        let mut first = Process::start(place.path(), &["dev", "--port", "0", "--data-dir", "."]);
        first.kill9_after(Duration::from_millis(random.below(80))).await;
        let mut node = Node::dev(&place).await;
        node.submit(&json!({ "type": "demo.hello" })).await;
        node.process.kill9();
    }
}
