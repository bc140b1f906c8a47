//! Every state that an event can wait in survives `kill -9`.

use std::time::Duration;

use evenkeel::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Place, eventually, on_each_ledger};
use crate::process::{Node, attempts, configure};
use crate::target::{Reply, Target};

fn moment(record: &Value, field: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(record[field].as_str().unwrap()).unwrap().into()
}

on_each_ledger!(what_waits_and_what_runs_survives_a_kill_and_overdue_events_fire_at_once);
async fn what_waits_and_what_runs_survives_a_kill_and_overdue_events_fire_at_once(place: Place) {
    let target = Target::new(|delivery| match (delivery.event_id.as_str(), delivery.attempt) {
        ("runs", 1) => Reply::Hold,
        ("fails", 1) => Reply::Now(500),
        _ => Reply::Now(200),
    });
    let narrow = target.handler("narrow", "narrow.*");
    let wide = target.handler("wide", "wide.*");
    configure(&place, &format!("retry.initial_delay = \"3s\"\n{narrow}concurrency = 1\n{wide}"));
    let mut node = Node::serve(&place).await;
    let clock = Clock::default();
    let (soon, late) = (clock.now().after(Duration::from_secs(3)), clock.now().after(Duration::from_secs(3_600)));
    let scheduled = |at: Timestamp| json!({ "type": "wide.at", "deliver_at": at.to_rfc3339() });
    let runs = node.submit(&json!({ "type": "narrow.a", "id": "runs" })).await;
    target.until_in_hand(1).await;
    let waits = node.submit(&json!({ "type": "narrow.a", "id": "waits" })).await;
    let (soon, late) = (node.submit(&scheduled(soon)).await, node.submit(&scheduled(late)).await);
    let fails = node.submit(&json!({ "type": "wide.b", "id": "fails" })).await;
    let failed = node.until(&fails, "RETRY_SCHEDULED").await;
    for (id, status) in [(&runs, "PROCESSING"), (&waits, "PENDING"), (&soon, "SCHEDULED"), (&late, "SCHEDULED")] {
        assert_eq!(node.record(id).await["status"], status);
    }
    assert_eq!(attempts(&node.record(&runs).await), ["RUNNING"]);
    let planned = node.record(&soon).await;
    node.process.kill9();

    let due = moment(&failed, "next_attempt_at").max(moment(&planned, "next_attempt_at"));
    eventually("both are overdue", async || (clock.now() > due).then_some(())).await;
    let node = Node::serve(&place).await;
    for (id, ends) in [
        (&runs, &["ABANDONED", "SUCCESS"][..]),
        (&waits, &["SUCCESS"]),
        (&soon, &["SUCCESS"]),
        (&fails, &["FAILED", "SUCCESS"]),
    ] {
        let record = node.until(id, "SUCCESS").await;
        assert_eq!(attempts(&record), ends);
    }
    let still = node.record(&late).await;
    assert_eq!((&still["status"], attempts(&still).len()), (&json!("SCHEDULED"), 0));
    let recovered = node.record(&runs).await;
    let (first, second) = (&recovered["attempts"][0], &recovered["attempts"][1]);
    assert_ne!(first["node"], second["node"], "each start is a node of its own");
    assert!(first["error_message"].as_str().unwrap().contains("the process died"), "{first}");
    assert_eq!(node.record(&fails).await["retry_count"], 1);
}

on_each_ledger!(a_retry_that_is_not_due_yet_waits_for_its_time_after_a_kill);
async fn a_retry_that_is_not_due_yet_waits_for_its_time_after_a_kill(place: Place) {
    let target = Target::new(|delivery| Reply::Now(if delivery.attempt == 1 { 500 } else { 200 }));
    configure(&place, &format!("retry.initial_delay = \"4s\"\n{}", target.handler("target", "*")));
    let mut node = Node::serve(&place).await;
    let id = node.submit(&json!({ "type": "a" })).await;
    let failed = node.until(&id, "RETRY_SCHEDULED").await;
    node.process.kill9();
    let node = Node::serve(&place).await;
    let done = node.until(&id, "SUCCESS").await;
    assert!(moment(&done["attempts"][1], "started_at") >= moment(&failed, "next_attempt_at"), "{done}");
    assert_eq!(attempts(&done), ["FAILED", "SUCCESS"]);
}

/// Their first attempts are held for ever, and the others succeed.
async fn two_in_hand_of_a_node_that_was_killed(place: &Place) -> (Target, [String; 2]) {
    let target = Target::new(|delivery| if delivery.attempt == 1 { Reply::Hold } else { Reply::Now(200) });
    configure(place, &format!("database.lease = \"2s\"\n{}", target.handler("target", "*")));
    let mut node = Node::serve(place).await;
    let ids = [node.submit(&json!({ "type": "a" })).await, node.submit(&json!({ "type": "a" })).await];
    target.until_in_hand(2).await;
    node.process.kill9();
    (target, ids)
}

on_each_ledger!(a_claim_that_cannot_be_taken_over_as_it_is_holds_up_no_other);
async fn a_claim_that_cannot_be_taken_over_as_it_is_holds_up_no_other(place: Place) {
    let (_target, [odd, even]) = two_in_hand_of_a_node_that_was_killed(&place).await;
    // Its first attempt stands there already, so it cannot be written down again.
    place
        .sql(
            "INSERT INTO event_attempt (record_id, attempt_number, attempt_id, handler_name, node, status, started_at, \
             completed_at, processing_time) SELECT id, 1, attempt_id, handler_name, owner, 'FAILED', 1, 1, 0 \
             FROM event_record ORDER BY id LIMIT 1",
        )
        .await;
    let node = Node::serve(&place).await;
    assert_eq!(attempts(&node.until(&even, "SUCCESS").await), ["ABANDONED", "SUCCESS"]);
    assert_eq!(attempts(&node.until(&odd, "SUCCESS").await), ["FAILED", "SUCCESS"]);
}

#[actix::test]
async fn a_row_that_the_database_refuses_for_good_is_told_of_once_and_again_when_the_reason_changes() {
    let Some(place) = Place::on_postgres() else { return };
    let (_target, [odd, even]) = two_in_hand_of_a_node_that_was_killed(&place).await;
    // Each refusal is counted, so that the test sees how often the row was tried: a sequence survives what is undone.
    let refuse = async |why: &str| {
        let function = format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM nextval('refused'); RAISE EXCEPTION '{why}' USING ERRCODE = '23514'; END $$"
        );
        place.sql(&function).await;
    };
    place.sql("CREATE SEQUENCE refused").await;
    refuse("not this one").await;
    let trigger = "CREATE TRIGGER refuse BEFORE UPDATE ON event_record FOR EACH ROW WHEN";
    place.sql(&format!("{trigger} (OLD.id = '{odd}') EXECUTE FUNCTION refuse()")).await;
    let refusals = async || {
        let rows = place.rows("SELECT last_value FROM refused").await;
        rows[0].try_get::<i64>("", "last_value").unwrap()
    };

    let mut node = Node::serve(&place).await;
    node.until(&even, "SUCCESS").await;
    let alerts = async || node.metric("evenkeel_alerts_total{alert=\"stuck\"}").await;
    let before = refusals().await;
    eventually("it is tried again", async || (refusals().await > before + 9).then_some(())).await;
    assert_eq!(alerts().await, Some(1.0));
    refuse("nor any other").await;
    eventually("the other reason is told", async || (alerts().await == Some(2.0)).then_some(())).await;
    let told =
        |why: &str| node.logged("alert", "stuck").iter().filter(|line| line["error"].to_string().contains(why)).count();
    assert_eq!((told("not this one"), told("nor any other")), (1, 1));
    place.sql("DROP TRIGGER refuse ON event_record").await;
    node.until(&odd, "SUCCESS").await;
    assert!(node.terminate().await.success());
}
