//! Nothing is settled before it is in the ledger, nothing that is settled is forgotten, and what comes again is known.

use bytes::Bytes;

use super::bus::{Bus, Raw, id_of, on_each_broker, on_each_bus};
use crate::harness::{Place, eventually};
use crate::line::Mode;
use crate::other::Other;
use crate::process::{Node, configure, run};
use crate::target::{Delivery, Reply, Target};

fn numbered(numbers: std::ops::Range<usize>) -> Vec<Raw> {
    numbers.map(|number| Raw::numbered("t", number)).collect()
}

fn ids(bodies: &[Bytes]) -> Vec<String> {
    bodies.iter().map(|body| id_of(body)).collect()
}

/// Every event was handled, and no attempt of one was made twice.
fn every_event_was_handled(mut seen: Vec<Delivery>, count: usize) {
    let deliveries = seen.len();
    seen.sort_by_key(|delivery| (delivery.record.clone(), delivery.attempt));
    seen.dedup();
    assert_eq!(seen.len(), deliveries, "an attempt was made twice");
    seen.dedup_by_key(|delivery| delivery.record.clone());
    assert_eq!(seen.len(), count);
}

on_each_broker!(nothing_is_settled_before_its_commit_and_what_is_settled_is_the_beginning);
async fn nothing_is_settled_before_its_commit_and_what_is_settled_is_the_beginning<B: Bus>(bus: B, place: Place) {
    let target = Target::new(|_| Reply::Now(200));
    let bus_toml = format!("{}{}", bus.toml(1), bus.in_small_steps());
    configure(&place, &format!("{bus_toml}{}", target.handler("target", "*")));
    let mut node = Node::serve(&place).await;
    let other = Other::hold(&place).await;
    let messages = numbered(0..1_000);
    let sent: Vec<String> = messages.iter().map(Raw::id).collect();
    bus.publish(&node, &messages).await;
    eventually("nothing can be written", async || {
        (node.metric("evenkeel_ledger_unavailable").await == Some(1.0)).then_some(())
    })
    .await;
    node.process.kill9();
    other.let_go().await;
    assert_eq!(ids(&bus.unsettled().await), sent, "nothing of it is in the ledger");

    let mut node = Node::serve(&place).await;
    eventually("some are handled", async || (target.seen().len() > 50).then_some(())).await;
    node.process.kill9();
    let unsettled = ids(&bus.unsettled().await);
    let settled = sent.len() - unsettled.len();
    assert!(settled > 0 && !unsettled.is_empty(), "the process was killed on its way: {settled} are settled");
    assert_eq!(unsettled, sent[settled..]);
    let rows = place.rows("SELECT event_id FROM event_record").await;
    let kept: Vec<String> = rows.iter().map(|row| row.try_get("", "event_id").unwrap()).collect();
    assert!(sent[..settled].iter().all(|id| kept.contains(id)), "what is settled is in the ledger");

    let mut node = Node::serve(&place).await;
    node.until_count("SUCCESS", 1_000).await;
    assert_eq!(node.list("").await.len(), 1_000);
    every_event_was_handled(target.seen(), 1_000);
    assert!(node.terminate().await.success());
    bus.end().await;
}

on_each_bus!(what_was_committed_and_not_settled_comes_again_and_is_neither_handled_nor_kept_twice);
async fn what_was_committed_and_not_settled_comes_again_and_is_neither_handled_nor_kept_twice<B: Bus>(
    bus: B,
    place: Place,
) {
    let target = Target::new(|_| Reply::Now(200));
    let handler = target.handler("target", "*");
    let (line, far) = bus.unheard().await;
    configure(&place, &format!("{}{handler}", far.toml(1)));
    let mut node = Node::serve(&place).await;
    bus.publish(&node, &numbered(0..1)).await;
    node.until_count("SUCCESS", 1).await;
    // The listener is there. From now on at the latest the broker hears nothing of it.
    if let Some(line) = &line {
        line.set(Mode::Deaf);
    }
    bus.publish(&node, &numbered(1..10)).await;
    node.until_count("SUCCESS", 10).await;
    node.process.kill9();
    let again = bus.unsettled().await.len();
    assert!(!B::capabilities().broker || again >= 9, "{again} are not settled");

    configure(&place, &format!("{}{handler}", bus.toml(1)));
    let mut node = Node::serve(&place).await;
    let resent = if B::capabilities().broker { 0 } else { 9 };
    // Who was not answered sends again.
    bus.publish(&node, &numbered(1..1 + resent)).await;
    eventually("they are known", async || {
        let known = node.metric("evenkeel_deliveries_total{outcome=\"redelivered\"}").await.unwrap_or_default();
        (known == again as f64).then_some(())
    })
    .await;
    assert_eq!((node.count("SUCCESS").await, node.count("DUPLICATE").await), (10, resent as u64));
    assert_eq!(node.list("").await.len(), 10 + resent);
    assert_eq!(target.seen().len(), 10);
    assert!(node.terminate().await.success());
    bus.end().await;
}

on_each_bus!(a_second_send_is_handled_once_and_has_a_row_that_points_at_the_first);
async fn a_second_send_is_handled_once_and_has_a_row_that_points_at_the_first<B: Bus>(bus: B, place: Place) {
    let target = Target::new(|_| Reply::Now(200));
    configure(&place, &format!("{}{}", bus.toml(1), target.handler("target", "*")));
    let mut node = Node::serve(&place).await;
    for _ in 0..2 {
        assert!(bus.publish(&node, &numbered(0..1)).await.is_empty());
    }
    node.until_count("DUPLICATE", 1).await;
    node.until_count("SUCCESS", 1).await;
    let (first, second) = (node.list("status=SUCCESS").await.remove(0), node.list("status=DUPLICATE").await.remove(0));
    assert_eq!(second["duplicate_of"], first["id"]);
    assert_eq!(target.seen().len(), 1);
    assert!(node.terminate().await.success());
    bus.end().await;
}

/// What the ledger refuses, whatever it is kept as.
const REFUSED: &str = "refuse-me";

/// Makes the ledger refuse one message.
async fn refuse(place: &Place) {
    let hex: String = REFUSED.bytes().map(|byte| format!("{byte:02x}")).collect();
    let sql = if place.url().starts_with("sqlite:") {
        format!(
            "CREATE TRIGGER refusal BEFORE INSERT ON event_record WHEN instr(NEW.data, x'{hex}') > 0 \
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    } else {
        format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               IF position('\\x{hex}'::bytea IN NEW.data) > 0 THEN \
                 RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; \
               END IF; RETURN NEW; END $$; \
             CREATE TRIGGER refusal BEFORE INSERT ON event_record FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    };
    place.sql(&sql).await;
}

async fn refuse_no_more(place: &Place) {
    let table = if place.url().starts_with("sqlite:") { "" } else { " ON event_record" };
    place.sql(&format!("DROP TRIGGER refusal{table}")).await;
}

on_each_bus!(a_message_whose_commit_fails_is_not_lost_when_those_after_it_are_committed);
async fn a_message_whose_commit_fails_is_not_lost_when_those_after_it_are_committed<B: Bus>(bus: B, place: Place) {
    let target = Target::new(|_| Reply::Now(200));
    configure(&place, &format!("{}{}", bus.toml(2), target.handler("target", "*")));
    let (code, _, err) = run(place.path(), &["migrate", "--config", "config.toml"]).await;
    assert_eq!(code, 0, "{err}");
    refuse(&place).await;
    let mut node = Node::serve(&place).await;
    // Whoever has it may wait for it; the other goes on.
    bus.until_shared(2).await;
    let mut messages = numbered(0..60);
    messages[20] = Raw::event("t", "20", &format!("\"{REFUSED}\""));
    let mut left = bus.publish(&node, &messages).await;
    left.extend(bus.publish(&node, &numbered(60..100)).await);
    let later = |delivery: &Delivery| delivery.event_id.parse::<usize>().unwrap() > 20;
    eventually("some after it are committed", async || {
        let refusals = node.metric("evenkeel_commit_failures_total{fault=\"refused\"}").await.unwrap_or_default();
        (refusals > 0.0 && target.seen().iter().filter(|delivery| later(delivery)).count() > 30).then_some(())
    })
    .await;
    node.process.kill9();
    let rows = place.rows("SELECT event_id FROM event_record").await;
    let kept: Vec<String> = rows.iter().map(|row| row.try_get("", "event_id").unwrap()).collect();
    assert!(!kept.contains(&"20".to_owned()));
    let unsettled = ids(&bus.unsettled().await);
    let is_left = left.iter().any(|message| message.id() == "20");
    assert!(is_left || unsettled.contains(&"20".to_owned()), "it is nobody's");

    refuse_no_more(&place).await;
    let mut node = Node::serve(&place).await;
    assert!(bus.publish(&node, &left).await.is_empty());
    node.until_count("SUCCESS", 100).await;
    assert_eq!(node.list("").await.len(), 100);
    every_event_was_handled(target.seen(), 100);
    assert!(node.terminate().await.success());
    bus.end().await;
}
