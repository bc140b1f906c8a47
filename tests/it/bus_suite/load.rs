//! A bus under load: a handler that hangs, a drain, twenty of them in a row, a database that goes away.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::json;

use super::bus::{Bus, Raw, id_of, on_each_broker_alone, on_each_bus};
use crate::harness::{Place, eventually};
use crate::process::{Node, configure};
use crate::server::Server;
use crate::target::{Reply, Target};

/// Sends all of it, as a client does that sends again what was not taken.
async fn insist<B: Bus>(bus: &B, node: &Node, messages: Vec<Raw>) {
    let mut left = messages;
    eventually("all of it is taken", async || {
        left = bus.publish(node, &left).await;
        left.is_empty().then_some(())
    })
    .await;
}

/// Each of so many events was handled once, and in one attempt.
async fn each_was_handled_once(node: &Node, target: &Target, count: usize) {
    let mut times = HashMap::<String, usize>::new();
    for delivery in target.seen() {
        *times.entry(delivery.event_id).or_default() += 1;
    }
    times.retain(|_, times| *times != 1);
    assert!(times.is_empty(), "not handled exactly once: {times:?}");
    assert_eq!(target.seen().len(), count);
    let records = node.list("final_status=COMPLETED").await;
    assert_eq!(records.len(), count);
    for record in records {
        assert_eq!((&record["status"], &record["attempt_count"]), (&json!("SUCCESS"), &json!(1)), "{record}");
    }
}

/// Sends 5,000 events with 4 KiB each, and waits for what is to come of each piece of them.
async fn five_thousand<B: Bus>(bus: &B, node: &Node, event_type: &str, from: usize, until: impl AsyncFn(usize)) {
    let data = format!("\"{}\"", "x".repeat(4 << 10));
    // Piece by piece: a machine that is busy with other things is slow, and not wrong.
    for first in (from..from + 5_000).step_by(1_000) {
        let events = (first..first + 1_000).map(|n| Raw::event(event_type, &format!("{event_type}-{n}"), &data));
        insist(bus, node, events.collect()).await;
        until(first + 1_000).await;
    }
}

/// Lets events end until what has a bound of its own is filled: SQLite's cache, what a broker's client holds, what the
/// allocator keeps. Returns how many that took, and the memory in KiB.
async fn filled<B: Bus>(bus: &B, node: &Node) -> (usize, usize) {
    let data = format!("\"{}\"", "x".repeat(200 << 10));
    insist(bus, node, (0..350).map(|n| Raw::event("healthy", &format!("large-{n}"), &data)).collect()).await;
    node.until_count("SUCCESS", 350).await;
    let (mut resident, mut quiet) = (0, 0);
    for round in 1..10 {
        let ended = async |small: usize| node.until_count("SUCCESS", (350 + small) as u64).await;
        five_thousand(bus, node, "healthy", (round - 1) * 5_000, ended).await;
        node.idle().await;
        let before = std::mem::replace(&mut resident, node.resident_kib());
        quiet = if resident < before + 2_000 { quiet + 1 } else { 0 };
        // One alone may be chance.
        if quiet == 2 {
            return (350 + round * 5_000, resident);
        }
    }
    panic!("{resident} KiB, and more with each of the events that have ended");
}

on_each_bus!(five_thousand_events_for_a_hanging_handler_are_taken_and_neither_fill_memory_nor_delay_others);
async fn five_thousand_events_for_a_hanging_handler_are_taken_and_neither_fill_memory_nor_delay_others<B: Bus>(
    bus: B,
    place: Place,
) {
    let target = Target::new(|_| Reply::Hold);
    let hanging = format!("{}concurrency = 5\nqueue_capacity = 100\n", target.handler("hanging", "hang"));
    let healthy = "[[handler]]\nname = \"healthy\"\nkind = \"log\"\ntypes = [\"healthy\"]\n";
    let log = "telemetry.log_level = \"warn\"\n";
    configure(&place, &format!("{}{log}{hanging}{healthy}", bus.toml(2)));
    let node = Node::serve(&place).await;
    let (ended, before) = filled(&bus, &node).await;
    let waiting = async |sent: usize| node.until_count("PENDING", (sent - 5) as u64).await;
    five_thousand(&bus, &node, "hang", 0, waiting).await;
    let grown = node.resident_kib().saturating_sub(before);
    println!("{before} KiB before, after {ended} events that ended, {grown} KiB more after 20,000 KiB of data");
    // Were they kept, it would be more than their data.
    assert!(grown < 15_000, "{grown} KiB more after 20,000 KiB of data");

    target.until_in_hand(5).await;
    let lane = node.handler("hanging").await;
    assert_eq!((&lane["in_flight"], &lane["queued"], &lane["queue_capacity"]), (&json!(5), &json!(4_995), &json!(100)));
    for number in 0..20 {
        let id = format!("second-{number}");
        insist(&bus, &node, vec![Raw::event("healthy", &id, "1")]).await;
        node.until_count("SUCCESS", (ended + number + 1) as u64).await;
    }
    assert_eq!(target.in_hand().len(), 5);
    bus.end().await;
}

on_each_bus!(a_drain_takes_nothing_more_from_the_bus_and_lets_end_what_ends);
async fn a_drain_takes_nothing_more_from_the_bus_and_lets_end_what_ends<B: Bus>(bus: B, place: Place) {
    let target = Target::new(|_| Reply::Hold);
    let handler = format!("{}concurrency = 5\n", target.handler("target", "t"));
    configure(&place, &format!("{}{handler}", bus.toml(2)));
    let mut node = Node::serve(&place).await;
    let numbered = |numbers: std::ops::Range<usize>| numbers.map(|n| Raw::numbered("t", n)).collect::<Vec<_>>();
    assert!(bus.publish(&node, &numbered(0..20)).await.is_empty());
    target.until_in_hand(5).await;
    node.until_count("PENDING", 15).await;
    node.process.signal(Signal::TERM);
    until_ready(&node, StatusCode::SERVICE_UNAVAILABLE).await;
    let late = numbered(20..40);
    let left = bus.publish(&node, &late).await;
    target.release_all();
    assert!(node.process.ended().await.success());
    assert_eq!(target.seen().len(), 5, "nothing is started while the engine drains");
    let rows = place.rows("SELECT event_id FROM event_record WHERE status IN ('SUCCESS', 'PENDING')").await;
    assert_eq!(rows.len(), 20);
    // What came later is the broker's, or was not taken from its sender.
    assert_eq!(bus.unsettled().await.len() + left.len(), late.len());
    assert_eq!(left.is_empty(), B::capabilities().broker);

    let mut node = Node::serve(&place).await;
    insist(&bus, &node, left).await;
    node.until_count("SUCCESS", 40).await;
    each_was_handled_once(&node, &target, 40).await;
    assert!(node.terminate().await.success());
    bus.end().await;
}

/// After a drain the broker has what is not in the ledger, and nothing else.
async fn nothing_is_in_both<B: Bus>(bus: &B, place: &Place) {
    let rows = place.rows("SELECT event_id FROM event_record").await;
    let kept: HashSet<String> = rows.iter().map(|row| row.try_get("", "event_id").unwrap()).collect();
    let unsettled: Vec<String> = bus.unsettled().await.iter().map(|body| id_of(body)).collect();
    assert!(unsettled.iter().all(|id| !kept.contains(id)), "{unsettled:?} are not settled, and of them are {kept:?}");
}

const DRAINS: usize = 20;
const PER_DRAIN: usize = 50;

on_each_bus!(in_20_drains_under_load_every_event_is_handled_exactly_once);
async fn in_20_drains_under_load_every_event_is_handled_exactly_once<B: Bus>(bus: B, place: Place) {
    let target = Target::new(|_| Reply::Later(Duration::from_millis(20), 200));
    let handler = format!("{}concurrency = 3\n", target.handler("target", "t"));
    configure(&place, &format!("{}{handler}", bus.toml(2)));
    let (mut left, mut under_load) = (Vec::new(), 0);
    for drain in 0..DRAINS {
        let mut node = Node::serve(&place).await;
        left.extend((0..PER_DRAIN).map(|n| Raw::numbered("t", drain * PER_DRAIN + n)));
        let before = target.seen().len();
        let signal = async {
            eventually("there is load", async || (target.seen().len() > before + 10).then_some(())).await;
            node.process.signal(Signal::TERM);
        };
        let (not_taken, ()) = tokio::join!(bus.publish(&node, &left), signal);
        left = not_taken;
        assert!(node.process.ended().await.success());
        under_load += usize::from(target.seen().len() < (drain + 1) * PER_DRAIN);
        nothing_is_in_both(&bus, &place).await;
    }
    assert_eq!(under_load, DRAINS, "something was left to do at each drain");
    let mut node = Node::serve(&place).await;
    insist(&bus, &node, left).await;
    node.until_count("SUCCESS", (DRAINS * PER_DRAIN) as u64).await;
    each_was_handled_once(&node, &target, DRAINS * PER_DRAIN).await;
    assert!(node.terminate().await.success());
    bus.end().await;
}

async fn until_ready(node: &Node, wanted: StatusCode) {
    eventually("readiness turns", async || (node.text("/readyz").await.0 == wanted).then_some(())).await;
}

on_each_broker_alone!(a_database_that_restarts_and_crashes_under_load_loses_nothing_of_the_bus);
async fn a_database_that_restarts_and_crashes_under_load_loses_nothing_of_the_bus<B: Bus>(bus: B) {
    let Some(server) = Server::start() else { return };
    let place = server.place("");
    let target = Target::new(|delivery| {
        let number: u64 = delivery.event_id.parse().unwrap();
        let fails = number.is_multiple_of(7) && delivery.attempt == 1;
        Reply::Later(Duration::from_millis(number % 40), if fails { 503 } else { 200 })
    });
    let handler = format!("{}concurrency = 20\n", target.handler("target", "t"));
    configure(&place, &format!("{}retry.initial_delay = \"50ms\"\n{handler}", bus.toml(2)));
    let mut node = Node::serve(&place).await;
    let (stop, mut sent) = (AtomicBool::new(false), 0);
    let load = async {
        while !stop.load(Ordering::Relaxed) {
            insist(&bus, &node, (sent..sent + 10).map(|n| Raw::numbered("t", n)).collect()).await;
            sent += 10;
            // Not more than is worked off while the database is there.
            let in_time = target.seen().len() + 1_000;
            eventually("there is room", async || (sent < in_time || stop.load(Ordering::Relaxed)).then_some(())).await;
        }
    };
    let faults = async {
        for signal in [Signal::INT, Signal::QUIT] {
            let before = target.seen().len();
            eventually("there is load", async || (target.seen().len() > before + 100).then_some(())).await;
            server.stop(signal).await;
            until_ready(&node, StatusCode::SERVICE_UNAVAILABLE).await;
            server.resume().await;
            until_ready(&node, StatusCode::OK).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, faults);
    node.until_count("SUCCESS", sent as u64).await;
    let records = node.list("").await;
    assert_eq!(records.len(), sent);
    assert!(records.iter().all(|record| record["final_status"] == "COMPLETED"));
    let mut seen = target.seen();
    let deliveries = seen.len();
    seen.sort_by_key(|delivery| (delivery.record.clone(), delivery.attempt));
    seen.dedup();
    assert_eq!(seen.len(), deliveries, "no attempt was made twice");
    assert!(node.terminate().await.success());
    bus.end().await;
}
