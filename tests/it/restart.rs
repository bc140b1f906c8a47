//! An operator restarts a handler: its actor is built again, and what runs ends as it would.

use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture};
use evenkeel::{Bind, Deliver, HandlerError, NewEvent, Payload};
use tokio::sync::Semaphore;

use crate::harness::{Calls, Place, eventually, operator, settled, stop};

struct Gated {
    gate: Arc<Semaphore>,
    begun: Calls,
    fails: bool,
}

impl Actor for Gated {
    type Context = Context<Self>;
}

impl Handler<Deliver<Payload>> for Gated {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, _: Deliver<Payload>, _: &mut Context<Self>) -> Self::Result {
        assert!(!self.fails, "as long as nobody mends it");
        self.begun.next();
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            gate.acquire().await?.forget();
            Ok(())
        })
    }
}

#[actix::test]
async fn a_restart_builds_the_actor_again_and_what_runs_ends_as_it_would() {
    let (place, gate, built, begun) = (Place::new(), Arc::new(Semaphore::new(0)), Calls::default(), Calls::default());
    let factory = {
        let (gate, built, begun) = (Arc::clone(&gate), built.clone(), begun.clone());
        move || {
            built.next();
            Gated { gate: Arc::clone(&gate), begun: begun.clone(), fails: false }
        }
    };
    let engine = place.engine().handler_actor(Bind::to("a").name("gated"), factory).start().await.unwrap();
    let running = engine.submit(NewEvent::raw("a", Payload::default())).await.unwrap();
    eventually("it runs", async || (begun.count() == 1).then_some(())).await;
    engine.restart("gated", &operator()).await.unwrap();
    eventually("another actor is there", async || (built.count() == 2).then_some(())).await;
    let later = engine.submit(NewEvent::raw("a", Payload::default())).await.unwrap();
    eventually("the new actor works", async || (begun.count() == 2).then_some(())).await;
    gate.add_permits(2);
    for id in [running.id, later.id] {
        let record = settled(&engine, id).await;
        assert_eq!((record.status.as_str(), record.attempt_count), ("SUCCESS", 1));
    }
    stop(engine).await;
    let rows = place.rows("SELECT actor, action, target FROM operator_action").await;
    let told = |column: &str| rows[0].try_get::<String>("", column).unwrap();
    assert_eq!(
        (rows.len(), told("actor"), told("action"), told("target")),
        (1, "test".into(), "restart".into(), "gated".into())
    );
}

#[actix::test]
async fn a_restart_brings_a_handler_that_is_down_back_at_once() {
    let (place, built) = (Place::new(), Calls::default());
    // Dies often enough that the next wait would be longer than a test.
    let factory = {
        let built = built.clone();
        move || {
            let fails = built.next() < 9;
            Gated { gate: Arc::new(Semaphore::new(1)), begun: Calls::default(), fails }
        }
    };
    let mut bind = Bind::to("a").name("gated");
    bind = bind.retry(evenkeel::retry::RetryOverride {
        max_retries: Some(50),
        initial_delay: Some(std::time::Duration::ZERO),
        ..Default::default()
    });
    let engine = place.engine().handler_actor(bind, factory).start().await.unwrap();
    let id = engine.submit(NewEvent::raw("a", Payload::default())).await.unwrap().id;
    let restarted = async {
        loop {
            engine.restart("gated", &operator()).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let record = tokio::select! {
        record = settled(&engine, id) => record,
        () = restarted => unreachable!(),
    };
    assert_eq!(record.status.as_str(), "SUCCESS");
    assert!(engine.restart("nobody", &operator()).await.is_err());
    stop(engine).await;
}
