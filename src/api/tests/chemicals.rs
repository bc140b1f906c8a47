//! The chemicals that the handler `chemical_status` keeps.

use super::*;
use crate::clock::Timestamp;
use crate::handlers::demo;

/// An engine that keeps chemicals as `evenkeel dev` does.
async fn start() -> Node {
    Node::start_from(|builder| builder.handler_with(demo::chemicals)).await
}

/// Caffeine changes.
async fn change(node: &Node, sequence: &str, status: &str, changed_at: &str) -> Uuid {
    let data = json!({ "cas": "58-08-2", "name": "caffeine", "formula": "C8H10N4O2", "molecular_weight": 194.1906,
        "status": status, "changed_at": changed_at });
    node.settle(NewEvent::new("chemical.status.changed", &data).unwrap().extension("sequence", sequence)).await
}

#[actix::test]
async fn a_chemical_has_its_status_and_its_history_oldest_first() {
    let node = start().await;
    let late = change(&node, "2", "APPROVED", "2026-01-06T08:00:00+01:00").await;
    let early = change(&node, "1", "REGISTERED", "2026-01-05T08:00:00Z").await;
    let answer = node.get("/api/v1/chemicals/58-08-2").await;
    assert_eq!(answer.said(), told(200, ""));
    let mut shown = answer.json();
    let written: Vec<Value> =
        shown["history"].as_array_mut().unwrap().iter_mut().map(|c| c["recorded_at"].take()).collect();
    assert!(written.iter().all(|at| at.as_str().unwrap().ends_with('Z')) && shown["updated_at"].take() == written[1]);
    let expected = json!({
        "cas": "58-08-2", "name": "caffeine", "formula": "C8H10N4O2", "inchikey": null, "pubchem_cid": null,
        "molecular_weight": 194.1906, "status": "APPROVED", "previous_status": null,
        "changed_at": "2026-01-06T07:00:00.000000Z", "sequence": 2, "record_id": late, "updated_at": null,
        "history": [
            { "status": "REGISTERED", "previous_status": null, "changed_at": "2026-01-05T08:00:00.000000Z",
              "sequence": 1, "record_id": early, "recorded_at": null },
            { "status": "APPROVED", "previous_status": null, "changed_at": "2026-01-06T07:00:00.000000Z",
              "sequence": 2, "record_id": late, "recorded_at": null },
        ],
        "history_truncated": false,
    });
    assert_eq!(shown, expected);
    node.end().await;
}

#[actix::test]
async fn of_a_long_history_the_newest_thousand_are_shown_and_that_there_are_more_is_said() {
    let node = start().await;
    let event = |minute: i64| {
        let changed_at = Timestamp(minute * 60_000_000).to_rfc3339();
        let data = json!({ "cas": "58-08-2", "status": "APPROVED", "changed_at": changed_at });
        NewEvent::new("chemical.status.changed", &data).unwrap()
    };
    for accepted in node.engine.submit_all((1..=1_000).map(event).collect()).await.unwrap() {
        node.engine.settled(accepted.unwrap().id).await.unwrap();
    }
    let shown = async || {
        let shown = node.get("/api/v1/chemicals/58-08-2").await.json();
        let history = shown["history"].as_array().unwrap().clone();
        (history.len(), history[0]["changed_at"].clone(), shown["history_truncated"].clone())
    };
    assert_eq!(shown().await, (1_000, json!("1970-01-01T00:01:00.000000Z"), json!(false)));
    node.settle(event(1_001)).await;
    assert_eq!(shown().await, (1_000, json!("1970-01-01T00:02:00.000000Z"), json!(true)));
    node.end().await;
}

#[actix::test]
async fn a_chemical_that_nobody_has_told_of_is_not_found() {
    let node = start().await;
    let answer = node.get("/api/v1/chemicals/50-00-0").await;
    assert_eq!(answer.said(), told(404, "not_found"));
    assert_eq!(answer.json()["detail"], json!("there is no chemical `50-00-0`"));
    assert_eq!(node.get("/api/v1/chemicals/50-00-0?status=APPROVED").await.said(), told(400, "unknown_parameter"));
    assert_eq!(node.post("/api/v1/chemicals/50-00-0", Value::Null).await.said(), told(405, "method_not_allowed"));
    node.end().await;
}

#[actix::test]
async fn chemicals_are_listed_by_their_numbers_and_pages_do_not_overlap() {
    let node = start().await;
    let all = [("107-07-3", "APPROVED"), ("50-00-0", "RESTRICTED"), ("58-08-2", "APPROVED"), ("7789-21-1", "APPROVED")];
    for (cas, status) in all {
        let data = json!({ "cas": cas, "status": status, "changed_at": "2026-01-05T08:00:00Z" });
        node.settle(NewEvent::new("chemical.status.changed", &data).unwrap()).await;
    }
    let listed = async |query: &str| {
        let page = node.get(&format!("/api/v1/chemicals?{query}")).await.json();
        let items: Vec<Value> = page["items"].as_array().unwrap().iter().map(|item| item["cas"].clone()).collect();
        (items, page["next_cursor"].as_str().unwrap_or_default().to_owned())
    };
    let (first, next) = listed("status=APPROVED&limit=2").await;
    assert_eq!(first, ["107-07-3", "58-08-2"]);
    assert_eq!(
        listed(&format!("status=APPROVED&limit=2&cursor={next}")).await,
        (vec![json!("7789-21-1")], String::new())
    );
    let (every, next) = listed("limit=4").await;
    assert_eq!((every.len(), next.as_str()), (4, ""));
    assert_eq!(listed("status=WITHDRAWN").await, (vec![], String::new()));
    let item = node.get("/api/v1/chemicals").await.json()["items"][0].clone();
    assert_eq!((&item["status"], &item["history"]), (&json!("APPROVED"), &Value::Null));
    for (query, code) in [("limit=0", "bad_parameter"), ("cursor=x", "bad_cursor"), ("cas=1", "unknown_parameter")] {
        assert_eq!(node.get(&format!("/api/v1/chemicals?{query}")).await.said(), told(400, code));
    }
    node.end().await;
}
