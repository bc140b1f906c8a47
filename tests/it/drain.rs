//! Stopping on purpose: what runs may end, the rest is handed back, and no event pays for it.

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Place, eventually, on_each_ledger};
use crate::process::{Node, attempts, configure};
use crate::target::{Reply, Target};

/// How many records stand in this status, in the ledger of an engine that is not running.
async fn in_ledger(place: &Place, status: &str) -> i64 {
    let rows = place.rows(&format!("SELECT count(*) AS n FROM event_record WHERE status = '{status}'")).await;
    rows[0].try_get("", "n").unwrap()
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("e-{n}")).collect()
}

/// Sends events until one is turned away, by an answer or because nobody listens any more; gives the records of those
/// that were still taken.
async fn send_until_turned_away(node: &Node) -> Vec<Value> {
    let mut taken = Vec::new();
    eventually("new events are turned away", async || {
        let send = node.http.post(format!("{}/api/v1/events", node.url)).json(&json!({ "type": "late" }));
        let Ok(answer) = send.send().await else { return Some(()) };
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        if status == StatusCode::ACCEPTED {
            taken.push(answer["id"].clone());
            return None;
        }
        assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("draining")));
        // Whoever can still ask hears that this node is not ready.
        if let Ok(ready) = node.http.get(format!("{}/readyz", node.url)).send().await {
            assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        Some(())
    })
    .await;
    taken
}

on_each_ledger!(sigterm_lets_end_what_ends_hands_back_the_rest_and_costs_no_retry);
async fn sigterm_lets_end_what_ends_hands_back_the_rest_and_costs_no_retry(place: Place) {
    let target = Target::new(|_| Reply::Hold);
    let handler = target.handler("target", "drain.*");
    configure(&place, &format!("server.shutdown_timeout = \"2s\"\n{handler}concurrency = 5\n"));
    let mut node = Node::serve(&place).await;
    let records = node.submit_all("drain.test", &ids(20)).await;
    target.until_in_hand(5).await;
    node.process.signal(Signal::TERM);
    let late = send_until_turned_away(&node).await;
    target.release(2);
    target.until_in_hand(3).await;
    assert!(node.process.ended().await.success());
    assert_eq!(target.seen().len(), 5, "nothing is started while the engine drains");
    assert_eq!((in_ledger(&place, "SUCCESS").await, in_ledger(&place, "PENDING").await), (2, 18));

    target.release_all();
    let mut node = Node::serve(&place).await;
    node.idle().await;
    let mut abandoned = 0;
    for id in &records {
        let record = node.record(id).await;
        assert_eq!((&record["status"], &record["retry_count"]), (&json!("SUCCESS"), &json!(0)));
        assert_eq!(record["crash_count"], 0);
        match attempts(&record)[..] {
            ["SUCCESS"] => {}
            ["ABANDONED", "SUCCESS"] => abandoned += 1,
            ref ends => panic!("{id} ended as {ends:?}"),
        }
    }
    assert_eq!(abandoned, 3);
    let mut on_record: Vec<Value> = node.list("type=late").await.iter().map(|record| record["id"].clone()).collect();
    on_record.reverse();
    assert_eq!(on_record, late, "what was turned away was not taken");
    assert!(node.terminate().await.success());
}

on_each_ledger!(sigterm_under_load_loses_nothing_and_abandons_nothing_that_ends_in_time);
async fn sigterm_under_load_loses_nothing_and_abandons_nothing_that_ends_in_time(place: Place) {
    let target = Target::new(|_| Reply::Now(200));
    configure(&place, &target.handler("target", "drain.*"));
    let mut node = Node::serve(&place).await;
    let (url, http) = (format!("{}/api/v1/events", node.url), node.http.clone());
    let load = actix::spawn(async move {
        let mut accepted = 0;
        loop {
            let send = http.post(&url).json(&json!({ "type": "drain.test" })).send().await;
            match send.map(|answer| answer.status()) {
                Ok(StatusCode::ACCEPTED) => accepted += 1,
                Ok(status) => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
                Err(_) => return accepted,
            }
        }
    });
    eventually("there is load", async || (target.seen().len() > 50).then_some(())).await;
    assert!(node.terminate().await.success());
    let accepted = load.await.unwrap();

    let node = Node::serve(&place).await;
    node.idle().await;
    // The connection may have broken after a commit and before its answer.
    let records = node.list("").await;
    assert!((accepted..=accepted + 1).contains(&records.len()), "{accepted} accepted, {} on record", records.len());
    for record in &records {
        assert_eq!((&record["status"], &record["attempt_count"]), (&json!("SUCCESS"), &json!(1)), "{record}");
    }
}

on_each_ledger!(a_second_signal_ends_at_once_and_the_next_start_takes_over);
async fn a_second_signal_ends_at_once_and_the_next_start_takes_over(place: Place) {
    let target = Target::new(|_| Reply::Hold);
    let handler = target.handler("target", "drain.*");
    // Longer than a test waits: only the second signal ends it in time.
    configure(&place, &format!("server.shutdown_timeout = \"10m\"\n{handler}"));
    let mut node = Node::serve(&place).await;
    let id = node.submit(&json!({ "type": "drain.test" })).await;
    target.until_in_hand(1).await;
    node.process.signal(Signal::TERM);
    // One that comes a moment later may still belong to the first.
    let ended = "ended by a second signal; what was in hand is taken over at the next start";
    eventually("another signal ends it", async || {
        node.process.signal(Signal::TERM);
        (!node.logged("message", ended).is_empty()).then_some(())
    })
    .await;
    assert_eq!(node.process.ended().await.code(), Some(130));

    target.release_all();
    let node = Node::serve(&place).await;
    let record = node.until(&id, "SUCCESS").await;
    assert_eq!((attempts(&record), &record["retry_count"]), (vec!["ABANDONED", "SUCCESS"], &json!(0)));
}

on_each_ledger!(two_signals_in_a_moment_are_one_and_what_runs_may_end);
async fn two_signals_in_a_moment_are_one_and_what_runs_may_end(place: Place) {
    let target = Target::new(|_| Reply::Hold);
    configure(&place, &target.handler("target", "drain.*"));
    let mut node = Node::serve(&place).await;
    let id = node.submit(&json!({ "type": "drain.test" })).await;
    target.until_in_hand(1).await;
    // As `timeout` does it, which ends its child and then the whole group. Two of one kind may be one for the kernel.
    node.process.signal(Signal::TERM);
    node.process.signal(Signal::INT);
    send_until_turned_away(&node).await;
    target.release_all();
    assert!(node.process.ended().await.success());

    let mut node = Node::serve(&place).await;
    let record = node.record(&id).await;
    assert_eq!((attempts(&record), &record["crash_count"]), (vec!["SUCCESS"], &json!(0)));
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn ctrl_c_ends_an_idle_engine_although_a_client_keeps_its_connection() {
    let place = Place::new();
    let mut node = Node::dev(&place).await;
    // The client's pool keeps this connection open.
    assert_eq!(node.text("/readyz").await.0, StatusCode::OK);
    node.process.signal(Signal::INT);
    assert!(node.process.ended().await.success());
}
