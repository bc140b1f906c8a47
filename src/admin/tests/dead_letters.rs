//! Dead letters, operations and the audit log, by plain forms.

use super::*;
use crate::persist::{GroupFilter, GroupOrder};

/// The name of the largest group.
pub async fn group(node: &Node) -> String {
    let groups = node.engine.reads().groups(&GroupFilter::default(), GroupOrder::Count, 1).await.unwrap();
    groups[0].group.clone()
}

fn has(page: &Answered, parts: &[&str]) {
    for part in parts {
        assert!(page.text.contains(part), "{part} is not in {}", page.text);
    }
}

#[actix::test]
async fn dead_letters_are_shown_by_what_went_wrong_and_then_one_by_one() {
    let node = Node::start().await;
    has(&node.get("/dead-letters").await, &["Nothing is dead", "evenkeel send demo.fail"]);
    let dead = node.settle(event("fail").id("<script>alert(1)</script>")).await;
    node.settle(event("fail")).await;
    node.settle(event("other")).await;
    let group = group(&node).await;
    let link = format!("/dead-letters?group={group}");
    has(&node.get("/dead-letters").await, &[&link, "no such account", "no handler is bound to other"]);
    let records = node.get(&link).await;
    has(&records, &["2 match", &format!("value=\"{dead}\""), &format!("/events/{dead}"), "&#60;script&#62;"]);
    assert!(!records.text.contains("<script>alert"), "{}", records.text);
    has(&node.get("/dead-letters?final_status=NO_HANDLER").await, &["1 match", "NO_HANDLER"]);
    has(&node.get("/dead-letters?type=nothing").await, &["No dead letters match."]);
    assert_eq!(node.get("/dead-letters?colour=red").await.said().0, 400);
    node.end().await;
}

#[actix::test]
async fn more_groups_than_a_page_holds_are_on_the_next() {
    let node = Node::start().await;
    let many: Vec<_> = (0..101).map(|n| json!({ "type": format!("other.{n}") })).collect();
    assert_eq!(node.post("/api/v1/events", json!(many)).await.status.as_u16(), 202);
    for sort in ["", "sort=last_seen"] {
        let first = node.get(&format!("/dead-letters?{sort}")).await.text;
        let next = first.split("rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap();
        let next = next.split('"').next().unwrap().replace("&#38;", "&");
        assert!(next.starts_with("/dead-letters?") && next.contains("after="), "{next}");
        let second = node.get(&next).await.text;
        let groups = |page: &str| page.matches("no handler is bound to other.").count();
        assert_eq!((groups(&first), groups(&second)), (100, 1));
        assert!(second.contains("First groups") && !second.contains("More groups"), "{second}");
    }
    assert_eq!(node.get("/dead-letters?after=x").await.said(), (400, "bad_cursor".to_owned()));
    node.end().await;
}

#[actix::test]
async fn those_that_are_chosen_are_changed_and_the_others_are_not() {
    let node = Node::start().await;
    let (one, two) = (node.settle(event("fail")).await, node.settle(event("fail")).await);
    let path = "/admin/dead-letters/chosen";
    let form = format!("id={one}&action=discard&reason=so&back=%2Fdead-letters%3Ftype%3Dfail");
    let answer = post(&node, path, &form).await;
    let back = "/dead-letters?type=fail&notice=records-discarded&count=1";
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some(back)));
    has(&node.get(back).await, &["1 discarded.", "1 match"]);
    let status = async |id| node.engine.reads().record(id).await.unwrap().unwrap().status.as_str().to_owned();
    assert_eq!((status(one).await, status(two).await), ("DISCARDED".into(), "FAILED_PERMANENT".into()));
    // The first is dead no more, so only the second is changed.
    let form = format!("id={one}&id={two}&action=redrive");
    let answer = post(&node, path, &form).await;
    assert_eq!(answer.header("location"), Some("/dead-letters?notice=records-redriven&count=1"));
    let answer = post(&node, path, "action=redrive").await;
    assert_eq!(answer.header("location"), Some("/dead-letters?notice=nothing-chosen"));
    for wrong in ["id=x&action=redrive", "action=burn", "id=1&id=2"] {
        assert_eq!(post(&node, path, wrong).await.status.as_u16(), 400, "{wrong}");
    }
    node.end().await;
}

#[actix::test]
async fn all_that_match_are_asked_about_and_then_changed_by_an_operation() {
    let node = Node::start().await;
    for _ in 0..3 {
        node.settle(event("fail")).await;
    }
    let group = group(&node).await;
    let question = node.get(&format!("/dead-letters/all?action=discard&group={group}")).await;
    has(&question, &["Discard 3 dead letters?", &format!("name=\"group\" value=\"{group}\""), "Discard 3</button>"]);
    assert_eq!(node.get("/dead-letters/all?action=group").await.said().0, 400);
    let form = format!("action=discard&group={group}&reason=known&rate=");
    let answer = post(&node, "/admin/dead-letters/all", &form).await;
    assert_eq!(answer.status.as_u16(), 303);
    let place = answer.header("location").unwrap().to_owned();
    let id = place.trim_start_matches("/operations/").split('?').next().unwrap().to_owned();
    node.until_over(id.parse().unwrap()).await;
    has(&node.get(&place).await, &["The operation has begun", "data-state=\"DONE\"", "100 %", "3 of 3", "known"]);
    has(&node.get("/operations").await, &[&format!("/operations/{id}"), "known"]);
    has(
        &node.get(&format!("/audit?target={id}")).await,
        &["begin_discard", "complete_operation", "dashboard@192.0.2.7"],
    );
    has(&node.get("/audit?actor=nobody").await, &["Nothing in the audit log matches."]);
    assert_eq!(node.get("/operations/nothing").await.said().0, 404);
    assert_eq!(post(&node, "/admin/dead-letters/all", "action=discard&rate=0").await.status.as_u16(), 400);
    node.end().await;
}

#[actix::test]
async fn an_operation_is_paused_resumed_and_cancelled_by_plain_forms() {
    let node = Node::start().await;
    has(&node.get("/operations").await, &["No operation was begun yet"]);
    node.settle(event("fail")).await;
    node.settle(event("fail")).await;
    let answer = post(&node, "/admin/dead-letters/all", "action=discard&rate=1").await;
    let place = answer.header("location").unwrap().split('?').next().unwrap().to_owned();
    for (verb, shown) in [("pause", "PAUSED"), ("resume", "RUNNING"), ("cancel", "CANCELLED")] {
        let answer = post(&node, &format!("/admin{place}/{verb}"), "reason=so").await;
        assert_eq!(answer.status.as_u16(), 303, "{verb}");
        has(&node.get(answer.header("location").unwrap()).await, &[&format!("data-state=\"{shown}\"")]);
    }
    assert_eq!(post(&node, &format!("/admin{place}/resume"), "reason=so").await.status.as_u16(), 409);
    assert_eq!(post(&node, &format!("/admin{place}/burn"), "").await.status.as_u16(), 404);
    node.end().await;
}
