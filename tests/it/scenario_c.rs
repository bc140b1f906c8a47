//! Scenario C: the database is away with events in flight, and everything completes afterwards.
//!
//! Away means that another process holds SQLite's one write lock, or PostgreSQL's lock on the events: nothing can be
//! accepted, claimed or finished. `postgres.rs` has the server that stops and starts under load.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::lifecycle::Status;
use evenkeel::{Bind, Event, HandlerError, NewEvent, Payload};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::harness::{PATIENCE, Place, eventually, on_each_ledger, settled, stop, until};
use crate::other::Other;
use crate::process::{Node, attempts, configure};
use crate::target::{Reply, Target};

async fn until_away(engine: &evenkeel::Engine) {
    let away = async {
        while engine.metrics().ledger_unavailable.get() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, away).await.expect("the engine should notice that the ledger is away");
}

on_each_ledger!(an_engine_completes_everything_after_its_database_was_away);
async fn an_engine_completes_everything_after_its_database_was_away(place: Place) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let wait = move |_: Event<Payload>| {
        let gate = Arc::clone(&opened);
        async move {
            gate.acquire().await?.forget();
            Ok::<(), HandlerError>(())
        }
    };
    let engine = place.engine().handler_fn(Bind::to("a").concurrency(20), wait).start().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(engine.submit(NewEvent::raw("a", Payload::default())).await.unwrap().id);
    }
    until(&engine, ids[0], Status::Processing).await;
    let other = Other::hold(&place).await;
    // 20 end while nothing can be written.
    gate.add_permits(50);
    until_away(&engine).await;
    let refused = engine.submit(NewEvent::raw("a", Payload::default())).await;
    assert_eq!(refused, Err(evenkeel::ingest::SubmitError::Unavailable));
    other.let_go().await;
    for id in &ids {
        let record = settled(&engine, *id).await;
        assert_eq!((record.status, record.attempt_count), (Status::Success, 1));
    }
    assert_eq!(engine.reads().list(&Default::default(), None, 100).await.unwrap().len(), 50);
    stop(engine).await;
}

/// What a client that insists went through.
struct Insisted {
    record: String,
    /// How often it was told that nothing was taken.
    refused: usize,
    /// How often nobody could tell it. Then it may hear of a duplicate in the end.
    unknown: usize,
}

/// Sends an event until it is taken, as an HTTP client should.
async fn insist(node: &Node, id: String) -> Insisted {
    let event = json!({ "type": "order.paid", "id": id, "source": "/clients" });
    let mut insisted = Insisted { record: String::new(), refused: 0, unknown: 0 };
    loop {
        let answer = node.http.post(format!("{}/api/v1/events", node.url)).json(&event).send().await.unwrap();
        let (status, retry_after) = (answer.status(), answer.headers().get("retry-after").cloned());
        let said: serde_json::Value = answer.json().await.unwrap();
        if status == StatusCode::ACCEPTED {
            assert!(
                said["duplicate"] == false || insisted.unknown > 0,
                "nothing was taken of what was refused: {said}"
            );
            said["id"].as_str().unwrap().clone_into(&mut insisted.record);
            return insisted;
        }
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some(), "{said}");
        match said["code"].as_str() {
            Some("ledger_unavailable") => insisted.refused += 1,
            Some("outcome_unknown") => insisted.unknown += 1,
            _ => panic!("{said}"),
        }
    }
}

on_each_ledger!(a_service_completes_what_was_in_hand_what_became_due_and_what_its_clients_insisted_on);
async fn a_service_completes_what_was_in_hand_what_became_due_and_what_its_clients_insisted_on(place: Place) {
    let target = Target::new(|delivery| match delivery.event_id.split('-').next().unwrap() {
        "slow" => Reply::Hold,
        "flaky" if delivery.attempt == 1 => Reply::Now(503),
        _ => Reply::Now(200),
    });
    configure(
        &place,
        &format!("retry.initial_delay = \"5s\"\n{}concurrency = 20\n", target.handler("bank", "order.*")),
    );
    let mut node = Node::serve(&place).await;
    let ids = |kind: &str, count: usize| -> Vec<String> { (0..count).map(|n| format!("{kind}-{n}")).collect() };
    let flaky = node.submit_all("order.paid", &ids("flaky", 10)).await;
    node.until_count("RETRY_SCHEDULED", 10).await;
    let slow = node.submit_all("order.paid", &ids("slow", 10)).await;
    target.until_in_hand(10).await;

    let other = Other::hold(&place).await;
    assert_eq!(target.seen().len(), 20, "no retry was due before the database was away");
    // Ten handlers end while nothing can be written, and ten retries become due.
    target.release_all();
    let clients = join_all(ids("new", 10).into_iter().map(|id| insist(&node, id)));
    let outage = async {
        eventually("the retries are due and the clients were refused", async || {
            let away = node.metric("evenkeel_ledger_unavailable").await == Some(1.0);
            let due = node.get("/api/v1/stats").await["retries_due"] == 10;
            let refusals = "evenkeel_http_requests_total{method=\"POST\",route=\"/api/v1/events\",status=\"503\"}";
            let refused = node.metric(refusals).await.unwrap_or_default() >= 10.0;
            (away && due && refused).then_some(())
        })
        .await;
        assert_eq!(node.count("PROCESSING").await, 10, "what ended is not recorded yet");
        other.let_go().await;
    };
    let (clients, ()) = tokio::join!(clients, outage);
    node.idle().await;

    // The accounts: every event that was accepted is there, once, and completed; nothing else is.
    assert!(clients.iter().all(|client| client.refused + client.unknown >= 1));
    let unknown: usize = clients.iter().map(|client| client.unknown).sum();
    let new: Vec<String> = clients.into_iter().map(|client| client.record).collect();
    assert_eq!(node.list("final_status=COMPLETED").await.len(), 30);
    let skipped = node.list("final_status=SKIPPED").await.len();
    assert!(skipped <= unknown, "{skipped} duplicates of {unknown} events that may have been taken");
    assert_eq!(node.list("").await.len(), 30 + skipped);
    for (ids, expected) in [(&slow, &["SUCCESS"][..]), (&flaky, &["FAILED", "SUCCESS"]), (&new, &["SUCCESS"])] {
        for id in ids {
            let record = node.record(id).await;
            assert_eq!(attempts(&record), expected, "{record}");
            let deliveries = target.seen().into_iter().filter(|delivery| delivery.record == *id).count();
            assert_eq!(deliveries, expected.len(), "no handler ran again for the outage: {record}");
        }
    }
    assert_eq!(node.metric("evenkeel_ledger_unavailable").await, Some(0.0));
    assert!(node.terminate().await.success());
}
