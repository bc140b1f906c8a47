//! Killed amid resubmissions: each new event is in the ledger with the line that says who made it from what, or not at all.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Place, on_each_ledger};
use crate::process::{Node, configure};

const ROUNDS: u64 = 8;
const CLIENTS: usize = 4;

/// Resubmits a record again and again, until the process is gone.
async fn resubmit(url: String, http: reqwest::Client) {
    let asked = json!({ "reason": "so" });
    while let Ok(answer) = http.post(&url).json(&asked).send().await {
        let status = answer.status();
        let Ok(text) = answer.text().await else { return };
        assert_eq!(status.as_u16(), 202, "{text}");
    }
}

on_each_ledger!(a_kill_leaves_no_event_that_names_its_original_without_a_line_in_the_audit_log);
async fn a_kill_leaves_no_event_that_names_its_original_without_a_line_in_the_audit_log(place: Place) {
    configure(&place, "");
    let mut node = Node::serve(&place).await;
    let original = node.submit(&json!({ "type": "nobody", "source": "/shop" })).await;
    for round in 0..ROUNDS {
        let url = format!("{}/api/v1/events/{original}/resubmit", node.url);
        let clients = (0..CLIENTS).map(|_| actix::spawn(resubmit(url.clone(), node.http.clone())));
        let clients: Vec<_> = clients.collect();
        node.process.kill9_after(Duration::from_millis(100 + 17 * round)).await;
        for client in clients {
            client.await.unwrap();
        }
        node = Node::serve(&place).await;
    }
    let made = node.list("type=nobody").await.len() - 1;
    let (mut lines, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = node.get(&format!("/api/v1/audit?action=resubmit&limit=250&cursor={cursor}")).await;
        lines.extend(page["items"].as_array().unwrap().iter().map(|line| line["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
    }
    println!("{made} events were made");
    assert!(made > 0, "it was killed before anything was made");
    assert_eq!(lines.len(), made);
    assert!(node.terminate().await.success());
}
