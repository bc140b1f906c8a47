//! What every test stands on: a ledger of its own, an engine on it, and an operator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel::clock::{Clock, Timestamp};
use evenkeel::dead_letter::Operator;
use evenkeel::engine::Builder;
use evenkeel::lifecycle::{AttemptStatus, FinalStatus, Status};
use evenkeel::persist::{GroupFilter, GroupOrder, Record, Whole};
use evenkeel::{Config, Engine, Event, HandlerError, NewEvent, Payload};
use sea_orm::{ConnectionTrait, Database, QueryResult, Statement};
use uuid::Uuid;

pub use crate::place::Place;
pub(crate) use crate::place::on_each_ledger;

/// Longest time that a test waits for something to happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until there is something, no longer than [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("this should have happened: {what}"))
}

impl Place {
    /// The embedded default on this ledger.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        config.database.url = self.url();
        config.server.shutdown_timeout = Duration::from_secs(5);
        config
    }

    pub fn engine(&self) -> Builder {
        Engine::builder().config(self.config())
    }

    /// What a query finds in the ledger of an engine that is not running.
    pub async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        let ledger = Database::connect(self.url()).await.unwrap();
        let statement = Statement::from_string(ledger.get_database_backend(), sql);
        let rows = ledger.query_all_raw(statement).await.unwrap();
        ledger.close().await.unwrap();
        rows
    }

    /// Runs statements in the ledger of an engine that is not running.
    pub async fn sql(&self, sql: &str) {
        let ledger = Database::connect(self.url()).await.unwrap();
        ledger.execute_unprepared(sql).await.unwrap();
        ledger.close().await.unwrap();
    }
}

/// A clock that stands still, at a moment of 2026.
pub fn standing_clock() -> Clock {
    Clock::manual(Timestamp(1_767_600_140_000_000))
}

pub fn operator() -> Operator {
    Operator { name: "test".to_owned(), reason: None }
}

/// Waits for a record's final status.
pub async fn settled(engine: &Engine, id: Uuid) -> Record {
    tokio::time::timeout(PATIENCE, engine.settled(id)).await.expect("the event should settle").unwrap()
}

/// Waits until a record stands in this status.
pub async fn until(engine: &Engine, id: Uuid, status: Status) -> Whole {
    until_true(engine, id, |whole| whole.record.status == status).await
}

/// Waits until so many attempts have failed and the next is scheduled.
pub async fn until_tried(engine: &Engine, id: Uuid, attempts: usize) -> Whole {
    let waits = |whole: &Whole| whole.record.status == Status::RetryScheduled && whole.attempts.len() == attempts;
    until_true(engine, id, waits).await
}

async fn until_true(engine: &Engine, id: Uuid, holds: impl Fn(&Whole) -> bool) -> Whole {
    let seen = async {
        loop {
            let whole = engine.reads().whole(id).await.unwrap().expect("the record should exist");
            if holds(&whole) {
                return whole;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await;
    seen.unwrap_or_else(|_| panic!("{id} should have come to the state that is waited for"))
}

/// How the attempts of a record ended, in order.
pub async fn attempts(engine: &Engine, id: Uuid) -> Vec<AttemptStatus> {
    engine.reads().whole(id).await.unwrap().unwrap().attempts.iter().map(|attempt| attempt.status).collect()
}

/// Stops an engine; nothing may be left in hand, and the kept counts, by status and by group, must be the counted ones.
pub async fn stop(engine: Engine) {
    let counts = engine.reads().counts().await.unwrap();
    let counted = engine.reads().list(&Default::default(), None, 100_000).await.unwrap();
    for status in Status::ALL {
        let kept: i64 = counts.iter().filter(|((_, of), _)| of == status).map(|(_, n)| n).sum();
        let real = counted.iter().filter(|record| record.status == *status).count();
        assert_eq!(kept, i64::try_from(real).unwrap(), "the count of {status}");
    }
    let groups = engine.reads().groups(&GroupFilter::default(), GroupOrder::Count, 100_000).await.unwrap();
    let mut by_group = BTreeMap::<&str, i64>::new();
    for record in &counted {
        let is_dead = matches!(record.final_status, Some(FinalStatus::DeadLetter | FinalStatus::NoHandler));
        assert_eq!(record.group.is_some(), is_dead, "{record:?}");
        if let Some(group) = &record.group {
            *by_group.entry(group).or_default() += 1;
        }
    }
    assert_eq!(groups.iter().map(|group| (group.group.as_str(), group.count)).collect::<BTreeMap<_, _>>(), by_group);
    engine.shutdown().await.unwrap();
}

/// Counts calls of a handler.
#[derive(Clone, Default)]
pub struct Calls(Arc<AtomicUsize>);

impl Calls {
    /// One more; returns how many there were before.
    pub fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A handler that counts, and is content.
pub fn counting(calls: &Calls) -> impl Fn(Event<Payload>) -> std::future::Ready<Result<(), HandlerError>> + use<> {
    let calls = calls.clone();
    move |_| {
        calls.next();
        std::future::ready(Ok(()))
    }
}

/// An event of its own for each number.
pub fn numbered(number: usize) -> NewEvent {
    NewEvent::raw("t", Payload::json(number.to_string())).id(number.to_string()).source("/s")
}

/// How many records there are.
pub async fn records(engine: &Engine) -> i64 {
    engine.reads().counts().await.unwrap().values().sum()
}

/// Waits until so many events have succeeded.
pub async fn until_success(engine: &Engine, expected: usize) {
    let expected = i64::try_from(expected).unwrap();
    eventually("all of it succeeds", async || {
        let counts = engine.reads().counts().await.unwrap();
        let done: i64 = counts.iter().filter(|((_, of), _)| *of == Status::Success).map(|(_, n)| n).sum();
        (done == expected).then_some(())
    })
    .await;
}
