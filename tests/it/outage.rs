//! The ledger is away for a while, with events in flight.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::lifecycle::Status;
use evenkeel::{Bind, Event, HandlerError, NewEvent, Payload};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::harness::{PATIENCE, Place, settled, stop, until};

async fn until_away(engine: &evenkeel::Engine) {
    let away = async {
        while engine.metrics().ledger_unavailable.get() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, away).await.expect("the engine should notice that the ledger is away");
}

#[actix::test]
async fn everything_completes_after_another_writer_has_held_the_database() {
    let (place, gate) = (Place::new(), Arc::new(Semaphore::new(0)));
    let opened = Arc::clone(&gate);
    let wait = move |_: Event<Payload>| {
        let gate = Arc::clone(&opened);
        async move {
            gate.acquire().await?.forget();
            Ok::<(), HandlerError>(())
        }
    };
    let engine = place.engine().handler_fn(Bind::to("a").concurrency(20), wait).start().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(engine.submit(NewEvent::raw("a", Payload::default())).await.unwrap().id);
    }
    until(&engine, ids[0], Status::Processing).await;
    let mut other = Connection::open(place.path().join("evenkeel.db")).unwrap();
    let held = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    // 20 end while nothing can be written.
    gate.add_permits(50);
    until_away(&engine).await;
    let refused = engine.submit(NewEvent::raw("a", Payload::default())).await;
    assert_eq!(refused, Err(evenkeel::ingest::SubmitError::Unavailable));
    held.rollback().unwrap();
    for id in &ids {
        let record = settled(&engine, *id).await;
        assert_eq!((record.status, record.attempt_count), (Status::Success, 1));
    }
    assert_eq!(engine.reads().list(&Default::default(), None, 100).await.unwrap().len(), 50);
    stop(engine).await;
}
