//! The ledger by itself: its plans, its fences, and a batch with one bad command.

mod again;
mod gone;
mod lineage;
mod operations;
mod plans;
mod reading;
mod rollups;
mod searching;
mod transactions;
mod writers;

use std::sync::Arc;

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::command::Due;
use super::place::{Place, on_each_ledger};
use super::*;
use crate::clock::Clock;
use crate::event::{Event, Payload, checksum};
use crate::lifecycle::{AttemptStatus, Status, Verb, transition};

struct Desk {
    persist: Persist,
    clock: Clock,
    metrics: Metrics,
    _lock: Option<std::fs::File>,
    _place: Arc<Place>,
}

async fn desk(place: Place) -> Desk {
    desk_at(Arc::new(place), Clock::default()).await
}

/// One of several desks on a ledger.
async fn desk_at(place: Arc<Place>, clock: Clock) -> Desk {
    let config = Config { url: place.url(), ..Config::default() };
    let metrics = Metrics::new().unwrap();
    let ledger = open(&config, &clock, metrics.clone()).await.unwrap();
    ledger.persist.register("desk", &Listing::default()).await.unwrap();
    Desk { persist: ledger.persist, clock, metrics, _lock: ledger.lock, _place: place }
}

impl Desk {
    fn record(&self, event_id: &str, entry: Entry) -> NewRecord {
        let data = Payload::json("1");
        let event = Event {
            id: event_id.to_owned(),
            source: "/test".to_owned(),
            event_type: "a".to_owned(),
            subject: None,
            time: None,
            extensions: Default::default(),
            data,
        };
        NewRecord {
            id: self.clock.new_id(),
            checksum: checksum("a", &event.data),
            event: Arc::new(event),
            origin: Origin::embedded(),
            handler: Some("lane".into()),
            redelivered: false,
            created_at: self.clock.now(),
            entry,
            remade: None,
        }
    }

    async fn accept(&self, records: Vec<NewRecord>) -> Result<Vec<Taken>, Error> {
        let (_interest, wanted) = Interest::new();
        self.persist.accept(records, wanted).await
    }

    /// A record in hand; its id and its claim's.
    async fn in_hand(&self, event_id: &str) -> (Uuid, Uuid) {
        let attempt_id = self.clock.new_id();
        let record = self.record(event_id, Entry::Claimed(attempt_id));
        let id = record.id;
        self.accept(vec![record]).await.unwrap();
        (id, attempt_id)
    }

    fn success(&self, id: Uuid, attempt_id: Uuid) -> Finish {
        let now = self.clock.now();
        let attempt = Attempt {
            number: 1,
            status: AttemptStatus::Success,
            started_at: now,
            completed_at: now,
            node: self.persist.lease.node(),
        };
        Finish {
            record_id: id,
            attempt_id,
            handler: "lane".to_owned(),
            step: transition(Verb::Finish, Some(Status::Processing), Status::Success).unwrap(),
            attempt: Some(attempt),
            attempt_count: 1,
            retry_count: 0,
            crash_count: 0,
            round: 1,
            next_attempt_at: None,
            error: None,
            bus: "embedded".to_owned(),
            at: now,
        }
    }

    async fn status(&self, id: Uuid) -> Status {
        self.persist.reads().record(id).await.unwrap().unwrap().status
    }
}

on_each_ledger!(a_finish_of_somebody_elses_claim_changes_nothing_and_the_others_of_its_commit_are_written);
async fn a_finish_of_somebody_elses_claim_changes_nothing_and_the_others_of_its_commit_are_written(place: Place) {
    let desk = desk(place).await;
    let (mine, my_claim) = desk.in_hand("1").await;
    let (lost, _) = desk.in_hand("2").await;
    let fenced = desk.persist.finish(desk.success(lost, desk.clock.new_id()));
    let good = desk.persist.finish(desk.success(mine, my_claim));
    let (fenced, good) = tokio::join!(fenced, good);
    assert_eq!((fenced, good), (Ok(false), Ok(true)));
    assert_eq!((desk.status(lost).await, desk.status(mine).await), (Status::Processing, Status::Success));
}

on_each_ledger!(a_finish_that_is_written_twice_recognises_itself);
async fn a_finish_that_is_written_twice_recognises_itself(place: Place) {
    let desk = desk(place).await;
    let (id, claim) = desk.in_hand("1").await;
    assert_eq!(desk.persist.finish(desk.success(id, claim)).await, Ok(true));
    assert_eq!(desk.persist.finish(desk.success(id, claim)).await, Ok(true));
    assert_eq!(desk.persist.reads().whole(id).await.unwrap().unwrap().attempts.len(), 1);
}

on_each_ledger!(a_commit_whose_answer_was_lost_is_done_again_and_recognises_itself);
async fn a_commit_whose_answer_was_lost_is_done_again_and_recognises_itself(place: Place) {
    let desk = desk(place).await;
    let writer = commit::Writer {
        db: Arc::clone(&desk.persist.writer),
        lease: desk.persist.lease.clone(),
        metrics: Metrics::new().unwrap(),
        trouble: Trouble::default(),
    };
    let claim = desk.clock.new_id();
    let (first, twin, other) =
        (desk.record("1", Entry::Claimed(claim)), desk.record("1", Entry::Waiting), desk.record("2", Entry::Waiting));
    let (id, (_interest, wanted)) = (first.id, Interest::new());
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let records = vec![first, twin, other];
    let accept = vec![command::Command::Accept { records, wanted, _room: room, reply: oneshot::channel().0 }];
    for careful in [false, true] {
        let answers = writer.write(&accept, careful).await.unwrap();
        let [command::Answer::Accepted(taken)] = &answers[..] else { panic!("one answer") };
        assert!(matches!(taken[0], Taken::New(Status::Processing)));
        assert!(matches!(taken[1], Taken::Duplicate { of, .. } if of == id));
        assert_eq!(taken[2], Taken::New(Status::Pending));
    }
    let finish = Box::new(desk.success(id, claim));
    let finish = vec![command::Command::Finish { finish, reply: oneshot::channel().0 }];
    for careful in [false, true] {
        let answers = writer.write(&finish, careful).await.unwrap();
        assert!(matches!(answers[..], [command::Answer::Finished(true)]));
    }
    let counts: i64 = desk.persist.reads().counts().await.unwrap().values().sum();
    assert_eq!((counts, desk.status(id).await), (3, Status::Success));
}

on_each_ledger!(a_change_whose_answer_was_lost_is_kept_once);
async fn a_change_whose_answer_was_lost_is_kept_once(place: Place) {
    let desk = desk(place).await;
    let writer = commit::Writer {
        db: Arc::clone(&desk.persist.writer),
        lease: desk.persist.lease.clone(),
        metrics: Metrics::new().unwrap(),
        trouble: Trouble::default(),
    };
    let change = ChemicalChange {
        record_id: desk.clock.new_id(),
        cas: "58-08-2".to_owned(),
        status: "APPROVED".to_owned(),
        previous_status: None,
        changed_at: desk.clock.now(),
        sequence: Some(1),
        description: Description::default(),
        at: desk.clock.now(),
    };
    let keep = vec![command::Command::Keep { change: Box::new(change), reply: oneshot::channel().0 }];
    let mut seen = Vec::new();
    for careful in [false, true] {
        let answers = writer.write(&keep, careful).await.unwrap();
        assert!(matches!(answers[..], [command::Answer::Kept]));
        let reads = desk.persist.reads();
        seen.push((reads.chemical("58-08-2").await.unwrap(), reads.chemical_history("58-08-2", 9).await.unwrap()));
    }
    assert_eq!((seen[0].1.len(), &seen[0]), (1, &seen[1]));
}

on_each_ledger!(a_command_that_the_database_refuses_fails_alone);
async fn a_command_that_the_database_refuses_fails_alone(place: Place) {
    let desk = desk(place).await;
    let first = desk.record("1", Entry::Waiting);
    let mut same_id = desk.record("2", Entry::Waiting);
    same_id.id = first.id;
    let good = desk.record("3", Entry::Waiting);
    let (first, refused, good) =
        tokio::join!(desk.accept(vec![first]), desk.accept(vec![same_id]), desk.accept(vec![good]));
    assert_eq!(first, Ok(vec![Taken::New(Status::Pending)]));
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert_eq!(good, Ok(vec![Taken::New(Status::Pending)]));
}

#[actix::test]
async fn what_is_accepted_around_a_full_disk_is_in_the_ledger_and_nothing_else_is() {
    let desk = desk(Place::new()).await;
    // The connection's own limit stands for the disk's; the connection that follows has none, as a disk with room.
    let database::Connection::Sqlite(writer) = &*desk.persist.writer else { panic!("SQLite") };
    writer.get().execute_unprepared("PRAGMA max_page_count = 60").await.unwrap();
    let mut accepted = Vec::new();
    for n in 0..100 {
        let mut record = desk.record(&n.to_string(), Entry::Waiting);
        let mut event = Event::clone(&record.event);
        event.data = Payload::json(format!("\"{}\"", "x".repeat(8_000)));
        record.event = Arc::new(event);
        accepted.push(record.id);
        assert_eq!(desk.accept(vec![record]).await, Ok(vec![Taken::New(Status::Pending)]));
    }
    for id in &accepted {
        assert_eq!(desk.status(*id).await, Status::Pending);
    }
    let counts: i64 = desk.persist.reads().counts().await.unwrap().values().sum();
    assert_eq!(counts, 100);
    let away = ["away", "unknown"].map(|fault| desk.metrics.commit_failures.with_label_values(&[fault]).get());
    assert!(away.iter().sum::<u64>() > 0, "the disk should have been full once");
}

on_each_ledger!(an_accept_whose_caller_has_gone_is_not_written);
async fn an_accept_whose_caller_has_gone_is_not_written(place: Place) {
    let desk = desk(place).await;
    let record = desk.record("1", Entry::Waiting);
    let id = record.id;
    let (interest, wanted) = Interest::new();
    drop(interest);
    assert_eq!(desk.persist.accept(vec![record], wanted).await, Err(Error::Lost));
    assert!(desk.persist.reads().record(id).await.unwrap().is_none());
}

on_each_ledger!(due_events_are_claimed_oldest_first_and_suspects_apart);
async fn due_events_are_claimed_oldest_first_and_suspects_apart(place: Place) {
    let desk = desk(place).await;
    let records: Vec<NewRecord> = (0..3).map(|n| desk.record(&n.to_string(), Entry::Waiting)).collect();
    let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    desk.accept(records).await.unwrap();
    let due = |suspects| Due {
        handlers: vec!["lane".to_owned()],
        suspects,
        attempt_ids: vec![desk.clock.new_id(), desk.clock.new_id()],
        now: desk.clock.now(),
    };
    assert_eq!(desk.persist.claim_due(due(true)).await.unwrap().len(), 0);
    let claimed: Vec<Uuid> =
        desk.persist.claim_due(due(false)).await.unwrap().iter().map(|claim| claim.record_id).collect();
    assert_eq!(claimed, ids[..2]);
    let again = desk.persist.claim_due(due(false)).await.unwrap();
    assert_eq!(again.iter().map(|claim| claim.record_id).collect::<Vec<_>>(), ids[2..]);
}

on_each_ledger!(a_claim_from_memory_does_not_take_an_event_that_has_been_tried_from_the_ledger);
async fn a_claim_from_memory_does_not_take_an_event_that_has_been_tried_from_the_ledger(place: Place) {
    let desk = desk(place).await;
    let record = desk.record("1", Entry::Waiting);
    let id = record.id;
    desk.accept(vec![record]).await.unwrap();
    let attempt_id = desk.clock.new_id();
    let due =
        Due { handlers: vec!["lane".into()], suspects: false, attempt_ids: vec![attempt_id], now: desk.clock.now() };
    let claimed = desk.persist.claim_due(due).await.unwrap().remove(0);
    let step = transition(Verb::Finish, Some(Status::Processing), Status::RetryScheduled).unwrap();
    let failed = Finish { step, next_attempt_at: Some(desk.clock.now()), ..desk.success(id, attempt_id) };
    assert_eq!(desk.persist.finish(failed).await, Ok(true));
    let stale = Claim { attempt_id: desk.clock.new_id(), ..claimed };
    assert_eq!(desk.persist.claim(vec![stale]).await, Ok(vec![false]));
    assert_eq!(desk.status(id).await, Status::RetryScheduled);
}
