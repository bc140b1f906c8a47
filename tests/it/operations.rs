//! Operations on any number of dead letters: two at once, paused, slow, broken off by a restart or a kill, and about
//! dead letters that are older than groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenkeel::clock::Clock;
use evenkeel::dead_letter::{ForAll, Operator};
use evenkeel::engine::Builder;
use evenkeel::lifecycle::{FinalStatus, OperationAction, OperationState, OperationVerb, Status};
use evenkeel::persist::{Filter, GroupFilter, GroupOrder, OperationRecord};
use evenkeel::{Engine, Event, HandlerError, NewEvent};
use evenkeel_migration::{Migrator, MigratorTrait};
use sea_orm::Database;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Place, eventually, on_each_ledger, operator, settled, standing_clock, stop};
use crate::process::{Node, configure};
use crate::target::{Reply, Target};

/// A handler that gives up on everything until it is mended.
#[derive(Clone, Default)]
struct Broken(Arc<AtomicBool>);

impl Broken {
    fn mend(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn on(&self, builder: Builder) -> Builder {
        let mended = Arc::clone(&self.0);
        builder.handler_fn("pay", move |event: Event<u32>| {
            let mended = mended.load(Ordering::SeqCst);
            async move {
                if mended { Ok(()) } else { Err(HandlerError::permanent(format!("account {} is closed", event.data))) }
            }
        })
    }
}

/// Accepts so many events of a type and waits for their ends.
async fn dead(engine: &Engine, event_type: &str, count: u32) -> Vec<Uuid> {
    let events = (0..count).map(|n| NewEvent::new(event_type, &n).unwrap()).collect();
    let accepted = engine.submit_all(events).await.unwrap();
    let ids: Vec<Uuid> = accepted.into_iter().map(|accepted| accepted.unwrap().id).collect();
    for id in &ids {
        settled(engine, *id).await;
    }
    ids
}

fn all(action: OperationAction) -> ForAll {
    ForAll { action, filter: Filter::default(), rate: None }
}

async fn operation(engine: &Engine, id: Uuid) -> OperationRecord {
    engine.reads().operation(id).await.unwrap().unwrap()
}

async fn over(engine: &Engine, id: Uuid) -> OperationRecord {
    eventually("the operation is over", async || {
        Some(operation(engine, id).await).filter(|operation| operation.state.is_over())
    })
    .await
}

async fn until_done(engine: &Engine, id: Uuid, done: i64) -> OperationRecord {
    eventually(&format!("the operation has changed {done}"), async || {
        Some(operation(engine, id).await).filter(|operation| operation.done >= done)
    })
    .await
}

fn counts(operation: &OperationRecord) -> (i64, i64, i64) {
    (operation.done, operation.skipped, operation.failed)
}

on_each_ledger!(one_group_of_more_than_a_step_is_redriven_and_the_other_is_left);
async fn one_group_of_more_than_a_step_is_redriven_and_the_other_is_left(place: Place) {
    let broken = Broken::default();
    let engine = broken.on(place.engine()).start().await.unwrap();
    let ids = dead(&engine, "pay", 1_200).await;
    let other = dead(&engine, "unknown", 1).await;
    let groups = engine.reads().groups(&GroupFilter::default(), GroupOrder::Count, 10).await.unwrap();
    assert_eq!((groups[0].title.as_str(), groups[0].count), ("account <number> is closed", 1_200));
    broken.mend();
    let filter = Filter { group: Some(groups[0].group.clone()), ..Filter::default() };
    let asked = ForAll { filter, ..all(OperationAction::Redrive) };
    let begun = engine.for_all(asked, &operator()).await.unwrap();
    assert_eq!((begun.matched, begun.matched_is_exact), (1_200, true));
    let ended = over(&engine, begun.id).await;
    assert_eq!((ended.state, counts(&ended)), (OperationState::Done, (1_200, 0, 0)));
    for id in &ids {
        assert_eq!(settled(&engine, *id).await.status, Status::Success);
    }
    assert_eq!(settled(&engine, other[0]).await.status, Status::NoHandler);
    let actions = engine.reads().actions_on(ids[0], 10).await.unwrap();
    assert_eq!((actions.len(), actions[0].id, actions[0].action.as_str()), (1, begun.id, "begin_redrive"));
    stop(engine).await;
}

on_each_ledger!(of_two_operators_at_once_each_record_is_changed_by_one_and_skipped_by_the_other);
async fn of_two_operators_at_once_each_record_is_changed_by_one_and_skipped_by_the_other(place: Place) {
    let broken = Broken::default();
    let engine = broken.on(place.engine()).start().await.unwrap();
    let ids = dead(&engine, "pay", 1_500).await;
    broken.mend();
    let (me, ada) = (operator(), Operator { name: "ada".to_owned(), reason: None });
    let begin = |who| engine.for_all(all(OperationAction::Redrive), who);
    let (mine, hers) = tokio::join!(begin(&me), begin(&ada));
    let (mine, hers) = (over(&engine, mine.unwrap().id).await, over(&engine, hers.unwrap().id).await);
    assert_eq!((mine.state, hers.state), (OperationState::Done, OperationState::Done));
    assert_eq!(mine.done + hers.done, 1_500, "{mine:?} {hers:?}");
    // One of them may have begun when the other had changed some: these do not match any more.
    assert_eq!((mine.done + mine.skipped, hers.done + hers.skipped), (mine.matched, hers.matched));
    assert!(mine.done > 0 && hers.done > 0, "both should have had their turn: {mine:?} {hers:?}");
    for id in &ids {
        let record = settled(&engine, *id).await;
        assert_eq!((record.status, record.round), (Status::Success, 2));
        assert_eq!(engine.reads().actions_on(*id, 10).await.unwrap().len(), 1);
    }
    stop(engine).await;
}

on_each_ledger!(a_filter_that_matches_nothing_is_done_with_nothing);
async fn a_filter_that_matches_nothing_is_done_with_nothing(place: Place) {
    let engine = Broken::default().on(place.engine()).start().await.unwrap();
    dead(&engine, "pay", 2).await;
    for filter in [
        Filter { group: Some("0123456789abcdef".to_owned()), ..Filter::default() },
        Filter { subject: Some("nothing".to_owned()), ..Filter::default() },
        Filter { status: Some(Status::Success), ..Filter::default() },
    ] {
        let begun = engine.for_all(ForAll { filter, ..all(OperationAction::Discard) }, &operator()).await.unwrap();
        let ended = over(&engine, begun.id).await;
        assert_eq!((ended.state, counts(&ended), ended.matched), (OperationState::Done, (0, 0, 0), 0));
    }
    stop(engine).await;
}

on_each_ledger!(what_is_redriven_and_dies_again_is_left_to_another_operation);
async fn what_is_redriven_and_dies_again_is_left_to_another_operation(place: Place) {
    let engine = Broken::default().on(place.engine()).start().await.unwrap();
    let ids = dead(&engine, "pay", 20).await;
    let begun = engine.for_all(all(OperationAction::Redrive), &operator()).await.unwrap();
    let ended = over(&engine, begun.id).await;
    assert_eq!((ended.state, counts(&ended)), (OperationState::Done, (20, 0, 0)));
    for id in &ids {
        let record = settled(&engine, *id).await;
        assert_eq!((record.status, record.round), (Status::FailedPermanent, 2));
    }
    stop(engine).await;
}

on_each_ledger!(a_rate_is_kept_and_a_pause_and_a_cancel_are_obeyed);
async fn a_rate_is_kept_and_a_pause_and_a_cancel_are_obeyed(place: Place) {
    let clock = standing_clock();
    let engine = Broken::default().on(place.engine().clock(clock.clone())).start().await.unwrap();
    dead(&engine, "pay", 10).await;
    let asked = ForAll { rate: Some(1), ..all(OperationAction::Discard) };
    let id = engine.for_all(asked, &operator()).await.unwrap().id;
    for done in 1..4 {
        assert_eq!(until_done(&engine, id, done).await.done, done);
        clock.advance(Duration::from_secs(1));
    }
    until_done(&engine, id, 4).await;
    engine.turn(id, OperationVerb::Pause, &operator()).await.unwrap();
    clock.advance(Duration::from_secs(60));
    // Another operation has its turn after the one that is paused would have had its own.
    let filter = Filter { subject: Some("nothing".to_owned()), ..Filter::default() };
    let other = engine.for_all(ForAll { filter, ..all(OperationAction::Discard) }, &operator()).await.unwrap().id;
    over(&engine, other).await;
    let paused = operation(&engine, id).await;
    assert_eq!((paused.state, paused.done, paused.progress), (OperationState::Paused, 4, Some(0.4)));
    engine.turn(id, OperationVerb::Resume, &operator()).await.unwrap();
    until_done(&engine, id, 5).await;
    let cancelled = engine.turn(id, OperationVerb::Cancel, &operator()).await.unwrap();
    assert_eq!(
        (cancelled.state, cancelled.done, cancelled.ended_at),
        (OperationState::Cancelled, 5, Some(clock.now()))
    );
    assert!(engine.turn(id, OperationVerb::Resume, &operator()).await.is_err());
    assert_eq!(engine.reads().matching(&Filter::default(), clock.now(), 100).await.unwrap().count, 5);
    stop(engine).await;
}

on_each_ledger!(an_operation_goes_on_with_the_next_start);
async fn an_operation_goes_on_with_the_next_start(place: Place) {
    let clock = standing_clock();
    let broken = Broken::default();
    let engine = broken.on(place.engine().clock(clock.clone())).start().await.unwrap();
    dead(&engine, "pay", 30).await;
    let asked = ForAll { rate: Some(50), ..all(OperationAction::Discard) };
    let id = engine.for_all(asked, &operator()).await.unwrap().id;
    assert_eq!(until_done(&engine, id, 10).await.done, 10);
    stop(engine).await;
    let engine = broken.on(place.engine().clock(clock.clone())).start().await.unwrap();
    assert_eq!(until_done(&engine, id, 20).await.done, 20);
    clock.advance(Duration::from_millis(200));
    until_done(&engine, id, 30).await;
    clock.advance(Duration::from_millis(200));
    let ended = over(&engine, id).await;
    assert_eq!((ended.state, counts(&ended)), (OperationState::Done, (30, 0, 0)));
    stop(engine).await;
}

#[actix::test]
async fn a_record_that_the_ledger_refuses_is_the_only_one_that_fails() {
    let place = Place::new();
    let broken = Broken::default();
    let engine = broken.on(place.engine()).start().await.unwrap();
    let ids = dead(&engine, "pay", 9).await;
    stop(engine).await;
    // Whatever the reason would be: here, a rule of the database.
    let bytes = ids[4].simple().to_string();
    place
        .sql(&format!(
            "CREATE TRIGGER refused BEFORE UPDATE ON event_record WHEN hex(OLD.id) = upper('{bytes}') \
             BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        ))
        .await;
    let engine = broken.on(place.engine()).start().await.unwrap();
    let begun = engine.for_all(all(OperationAction::Discard), &operator()).await.unwrap();
    let ended = over(&engine, begun.id).await;
    assert_eq!((ended.state, counts(&ended)), (OperationState::Done, (8, 0, 1)));
    let failures = engine.reads().operation_failures(begun.id).await.unwrap();
    assert_eq!((failures.len(), failures[0].record_id), (1, ids[4]));
    assert!(failures[0].reason.contains("not this one"), "{failures:?}");
    stop(engine).await;
}

on_each_ledger!(dead_letters_that_are_older_than_groups_are_brought_along);
async fn dead_letters_that_are_older_than_groups_are_brought_along(place: Place) {
    let broken = Broken::default();
    let engine = broken.on(place.engine()).start().await.unwrap();
    let ids = dead(&engine, "pay", 700).await;
    dead(&engine, "unknown", 3).await;
    let grouped = engine.reads().groups(&GroupFilter::default(), GroupOrder::Count, 10).await.unwrap();
    stop(engine).await;
    // As a version before groups had left it.
    let all = Migrator::migrations();
    let first = all.iter().position(|migration| migration.name().ends_with("_groups")).unwrap();
    let ledger = Database::connect(place.url()).await.unwrap();
    Migrator::down(&ledger, Some(u32::try_from(all.len() - first).unwrap())).await.unwrap();
    ledger.close().await.unwrap();
    let engine = broken.on(place.engine()).start().await.unwrap();
    let operations = engine.reads().operations(None, None, 10).await.unwrap();
    assert_eq!((operations.len(), operations[0].action, operations[0].matched), (1, OperationAction::Group, 703));
    let ended = over(&engine, operations[0].id).await;
    assert_eq!((ended.state, counts(&ended)), (OperationState::Done, (703, 0, 0)));
    let brought = engine.reads().groups(&GroupFilter::default(), GroupOrder::Count, 10).await.unwrap();
    let shape = |groups: &[evenkeel::persist::Group]| {
        groups
            .iter()
            .map(|group| (group.group.clone(), group.count, group.title.clone(), group.first_seen, group.last_seen))
            .collect::<Vec<_>>()
    };
    assert_eq!(shape(&brought), shape(&grouped));
    assert_eq!(engine.reads().record(ids[0]).await.unwrap().unwrap().final_status, Some(FinalStatus::DeadLetter));
    stop(engine).await;
}

on_each_ledger!(an_operation_that_is_killed_again_and_again_changes_every_record_once);
async fn an_operation_that_is_killed_again_and_again_changes_every_record_once(place: Place) {
    const EVENTS: usize = 3_000;
    let mended = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&mended);
    let target = Target::new(move |_| Reply::Now(if switch.load(Ordering::SeqCst) { 200 } else { 400 }));
    configure(&place, &format!("{}concurrency = 50\n", target.handler("target", "crash.*")));
    let mut node = Node::serve(&place).await;
    for part in 0..EVENTS / 1_000 {
        let ids: Vec<String> = (0..1_000).map(|n| format!("{part}-{n}")).collect();
        node.submit_all("crash.test", &ids).await;
    }
    node.until_count("FAILED_PERMANENT", EVENTS as u64).await;
    mended.store(true, Ordering::SeqCst);
    let asked = json!({ "action": "redrive", "filter": {}, "rate": 1_500 });
    let (_, begun) = node.post("/api/v1/operations", &asked).await;
    let path = format!("/api/v1/operations/{}", begun["id"].as_str().unwrap());
    let mut seen = Vec::new();
    for _ in 0..3 {
        let before = seen.last().copied().unwrap_or(0);
        let done = eventually("the operation goes on", async || {
            node.get(&path).await["done"].as_u64().filter(|done| *done > before)
        })
        .await;
        seen.push(done);
        node.process.kill9();
        node = Node::serve(&place).await;
    }
    println!("killed when it had changed {seen:?}");
    let ended = eventually("the operation is done", async || {
        Some(node.get(&path).await).filter(|operation| operation["state"] == "DONE")
    })
    .await;
    assert_eq!((&ended["done"], &ended["skipped"], &ended["failed"]), (&json!(EVENTS), &json!(0), &json!(0)));
    node.idle().await;
    let records = node.list("type=crash.test").await;
    let rounds = |record: &&Value| (record["round"] == 2, record["final_status"] == "COMPLETED");
    // A kill may bury what was in hand at three of them.
    let again = records.iter().filter(|record| rounds(record) != (true, true)).collect::<Vec<_>>();
    assert!(again.iter().all(|record| record["status"] == "POISON" && record["round"] == 2), "{again:?}");
    assert_eq!(records.len(), EVENTS);
    let groups = node.get("/api/v1/dead-letters/groups").await;
    let buried: u64 = groups["items"].as_array().unwrap().iter().map(|group| group["count"].as_u64().unwrap()).sum();
    assert_eq!(buried, again.len() as u64);
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn an_operation_whose_node_is_killed_is_carried_to_its_end_by_another_node() {
    const EVENTS: usize = 1_000;
    let Some(place) = Place::on_postgres() else { return };
    let target = Target::new(|_| Reply::Now(400));
    let handler = target.handler("target", "crash.*");
    configure(&place, &format!("database.lease = \"2s\"\n{handler}concurrency = 50\n"));
    let first = Node::serve(&place).await;
    let the_first = first.get("/api/v1/nodes").await["items"][0]["id"].clone();
    let mut nodes = [first, Node::serve(&place).await];
    let ids: Vec<String> = (0..EVENTS).map(|n| n.to_string()).collect();
    nodes[0].submit_all("crash.test", &ids).await;
    nodes[0].until_count("FAILED_PERMANENT", EVENTS as u64).await;
    let asked = json!({ "action": "discard", "filter": {}, "rate": 200 });
    let (_, begun) = nodes[0].post("/api/v1/operations", &asked).await;
    let path = format!("/api/v1/operations/{}", begun["id"].as_str().unwrap());
    let (holder, done) = eventually("a node carries it", async || {
        let operation = nodes[0].get(&path).await;
        let done = operation["done"].as_u64().filter(|done| *done > 0)?;
        Some((operation["node"].clone(), done))
    })
    .await;
    assert!(done < EVENTS as u64, "it is to be killed in the middle");
    let at = usize::from(holder != the_first);
    nodes[at].process.kill9();
    let survivor = &nodes[1 - at];
    let ended = eventually("the other carries it to its end", async || {
        Some(survivor.get(&path).await).filter(|operation| operation["state"] == "DONE")
    })
    .await;
    assert_eq!((&ended["done"], &ended["skipped"], &ended["failed"]), (&json!(EVENTS), &json!(0), &json!(0)));
    survivor.until_count("DISCARDED", EVENTS as u64).await;
    assert_eq!(survivor.get("/api/v1/dead-letters/groups").await["items"], json!([]));
    assert!(nodes[1 - at].terminate().await.success());
}

#[actix::test]
async fn an_operation_is_about_what_was_dead_when_it_began() {
    let place = Place::new();
    let engine = Broken::default().on(place.engine()).start().await.unwrap();
    dead(&engine, "pay", 3).await;
    let begun = Clock::default().now();
    dead(&engine, "pay", 2).await;
    let filter = Filter { event_type: Some("pay".to_owned()), ..Filter::default() };
    assert_eq!(engine.reads().matching(&filter, begun, 100).await.unwrap().count, 3);
    assert_eq!(engine.reads().matching(&filter, Clock::default().now(), 100).await.unwrap().count, 5);
    stop(engine).await;
}
