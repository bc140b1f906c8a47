//! Chemicals as a user has them: bound in the configuration, sent and read over HTTP, with the mistakes of a registry.

use serde_json::{Value, json};

use crate::harness::{Place, on_each_ledger};
use crate::process::{Node, configure, run};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chemical-status.ndjson.gz");

/// A change of caffeine's status, as an event.
fn change(id: &str, status: &str, changed_at: &str) -> Value {
    let data = json!({ "cas": "58-08-2", "status": status, "changed_at": changed_at });
    json!({ "id": id, "source": "/registry", "type": "chemical.status.changed", "data": data })
}

/// An engine with the handler as `config.toml` binds it.
async fn serve(place: &Place) -> Node {
    let handler = "[[handler]]\nname = \"chemicals\"\nkind = \"chemical_status\"\ntypes = [\"chemical.*\"]\n";
    configure(place, &format!("{handler}statuses = [\"LISTED\", \"BANNED\"]\n"));
    Node::serve(place).await
}

/// Caffeine's status, and the statuses of its history.
async fn caffeine(node: &Node) -> (Value, Vec<Value>) {
    let shown = node.get("/api/v1/chemicals/58-08-2").await;
    let history = shown["history"].as_array().unwrap().iter().map(|change| change["status"].clone());
    (shown["status"].clone(), history.collect())
}

on_each_ledger!(late_and_doubled_changes_and_unknown_compounds_do_no_harm);
async fn late_and_doubled_changes_and_unknown_compounds_do_no_harm(place: Place) {
    let mut node = serve(&place).await;
    assert_eq!(node.text("/api/v1/chemicals/58-08-2").await.0, 404);
    let banned = change("2", "BANNED", "2026-01-06T08:00:00Z");
    let record = node.submit(&banned).await;
    node.until(&record, "SUCCESS").await;
    assert_eq!(caffeine(&node).await, (json!("BANNED"), vec![json!("BANNED")]));

    let late = node.submit(&change("1", "LISTED", "2026-01-05T08:00:00Z")).await;
    node.until(&late, "SUCCESS").await;
    assert_eq!(node.submit(&banned).await, record);
    let under_another_id = node.submit(&change("3", "BANNED", "2026-01-06T08:00:00Z")).await;
    node.until(&under_another_id, "SUCCESS").await;
    assert_eq!(caffeine(&node).await, (json!("BANNED"), vec![json!("LISTED"), json!("BANNED"), json!("BANNED")]));
    assert_eq!(node.count("DUPLICATE").await, 1);
    assert!(node.terminate().await.success());
}

on_each_ledger!(a_change_that_is_wrong_is_invalid_and_never_tried_again);
async fn a_change_that_is_wrong_is_invalid_and_never_tried_again(place: Place) {
    let mut node = serve(&place).await;
    let mut no_cas = change("1", "LISTED", "2026-01-05T08:00:00Z");
    no_cas["data"]["cas"] = json!("58-08-3");
    let wrong = [
        (no_cas, "`cas`: `58-08-3` is no CAS number: its check digit would be 2"),
        (change("2", "LISTED", "2026-02-30T08:00:00Z"), "`changed_at`: `2026-02-30T08:00:00Z` is no time as RFC 3339"),
        (change("3", "LISTED", "9999-01-05T08:00:00Z"), "`changed_at`: `9999-01-05T08:00:00Z` is more than a day"),
        (
            change("4", "APPROVED", "2026-01-05T08:00:00Z"),
            "`status`: `APPROVED` is no status; there are LISTED, BANNED",
        ),
    ];
    for (event, why) in wrong {
        let id = node.submit(&event).await;
        let record = node.until(&id, "INVALID").await;
        assert!(record["error"].as_str().unwrap().starts_with(why), "{record}");
        assert_eq!((&record["attempt_count"], &record["retry_count"]), (&json!(1), &json!(0)));
    }
    node.until_metric("evenkeel_alerts_total{alert=\"invalid\"}", 4.0).await;
    assert_eq!(node.get("/api/v1/chemicals").await["items"], json!([]));
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn the_file_of_a_thousand_changes_can_be_sent_to_the_engine_to_play_with() {
    let place = Place::new();
    let mut node = Node::dev(&place).await;
    let arguments = ["send", "--file", FILE, "--wait", "--output", "json", "--url", &node.url];
    let (code, out, err) = run(place.path(), &arguments).await;
    assert_eq!(code, 0, "{out}{err}");
    let summary: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&summary["accepted"], &summary["final_statuses"]), (&json!(1_000), &json!({ "COMPLETED": 1_000 })));
    let history = ["REGISTERED", "UNDER_REVIEW", "APPROVED"].map(|status| json!(status));
    assert_eq!(caffeine(&node).await, (json!("APPROVED"), history.to_vec()));
    let withdrawn = node.get("/api/v1/chemicals?status=WITHDRAWN&limit=250").await;
    assert_eq!(withdrawn["items"].as_array().unwrap().len(), 50);
    assert!(node.terminate().await.success());
}
