//! An event that kills the process: it is found out, and the innocent events around it are not punished.

use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::harness::{Place, eventually, on_each_ledger};
use crate::process::{Node, attempts, configure};
use crate::target::{Reply, Target};

const NEIGHBOURS: usize = 9;

/// Sends slow neighbours of one generation; gives their records.
async fn send_neighbours(node: &Node, generation: usize) -> Vec<String> {
    let ids: Vec<String> = (0..NEIGHBOURS).map(|n| format!("neighbour-{generation}-{n}")).collect();
    node.submit_all("poison.test", &ids).await
}

/// Waits until the culprit and so many slow neighbours of this generation are in hand together.
async fn until_it_strikes(target: &Target, generation: usize) {
    let prefix = format!("neighbour-{generation}-");
    eventually("the culprit and its neighbours are in hand", async || {
        let in_hand = target.in_hand();
        let neighbours = in_hand.iter().filter(|id| id.starts_with(&prefix)).count();
        (neighbours == NEIGHBOURS && in_hand.iter().any(|id| id == "culprit")).then_some(())
    })
    .await;
}

on_each_ledger!(an_event_that_kills_the_process_three_times_is_poison_and_all_its_neighbours_succeed);
async fn an_event_that_kills_the_process_three_times_is_poison_and_all_its_neighbours_succeed(place: Place) {
    // Neighbours take their time; at last, alone among their like, they are as quick as they ever were.
    let target = Target::new(|delivery| match delivery.attempt {
        3.. if delivery.event_id != "culprit" => Reply::Now(200),
        _ => Reply::Hold,
    });
    configure(&place, &format!("{}concurrency = 40\n", target.handler("target", "poison.*")));

    let mut node = Node::serve(&place).await;
    let culprit = node.submit(&json!({ "type": "poison.test", "id": "culprit" })).await;
    let mut neighbours = Vec::new();
    for generation in 1..=3 {
        neighbours.extend(send_neighbours(&node, generation).await);
        until_it_strikes(&target, generation).await;
        node.process.kill9();
        node = Node::serve(&place).await;
    }
    target.release_all();
    node.idle().await;

    let record = node.record(&culprit).await;
    assert_eq!((&record["status"], &record["final_status"]), (&json!("POISON"), &json!("DEAD_LETTER")), "{record}");
    assert_eq!(attempts(&record), ["ABANDONED"; 3]);
    node.until_metric("evenkeel_alerts_total{alert=\"dead_letter\"}", 1.0).await;
    let alerts = node.logged("alert", "dead_letter");
    assert_eq!(alerts.len(), 1);
    assert_eq!((&alerts[0]["level"], &alerts[0]["record"]), (&json!("WARN"), &json!(culprit)));
    let dead = node.get("/api/v1/dead-letters").await;
    assert_eq!(dead["items"].as_array().unwrap().len(), 1);
    for neighbour in &neighbours {
        let record = node.record(neighbour).await;
        assert_eq!((&record["status"], &record["retry_count"]), (&json!("SUCCESS"), &json!(0)), "{record}");
        let ends = attempts(&record);
        let (last, before) = ends.split_last().unwrap();
        assert!(*last == "SUCCESS" && before.iter().all(|end| *end == "ABANDONED"), "{record}");
    }
    assert!(node.terminate().await.success());
}

on_each_ledger!(a_redriven_poison_event_is_given_its_full_chance_again);
async fn a_redriven_poison_event_is_given_its_full_chance_again(place: Place) {
    let mended = Arc::new(Mutex::new(false));
    let is_mended = Arc::clone(&mended);
    let target = Target::new(move |_| if *is_mended.lock().unwrap() { Reply::Now(200) } else { Reply::Hold });
    configure(&place, &target.handler("target", "poison.*"));
    let mut node = Node::serve(&place).await;
    let culprit = node.submit(&json!({ "type": "poison.test", "id": "culprit" })).await;
    for _ in 0..3 {
        target.until_in_hand(1).await;
        node.process.kill9();
        target.until_in_hand(0).await;
        node = Node::serve(&place).await;
    }
    node.until(&culprit, "POISON").await;
    *mended.lock().unwrap() = true;
    let (status, answer) = node.post(&format!("/api/v1/dead-letters/{culprit}/redrive"), &json!({})).await;
    assert_eq!(status, reqwest::StatusCode::ACCEPTED, "{answer}");
    let record = node.until(&culprit, "SUCCESS").await;
    assert_eq!(attempts(&record), ["ABANDONED", "ABANDONED", "ABANDONED", "SUCCESS"]);
    assert_eq!((&record["round"], &record["crash_count"]), (&json!(2), &json!(0)));
}
