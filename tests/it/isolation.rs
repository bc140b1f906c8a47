//! One bad handler never disturbs the rest.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::lifecycle::{AttemptStatus, Status};
use evenkeel::{Bind, Event, HandlerError, NewEvent, Payload};
use tokio::sync::Semaphore;

use crate::harness::{Place, eventually, on_each_ledger, operator, settled, standing_clock, stop, until};

async fn succeed(_: Event<Payload>) -> Result<(), HandlerError> {
    Ok(())
}

fn event(event_type: &str) -> NewEvent {
    NewEvent::raw(event_type, Payload::default())
}

on_each_ledger!(a_healthy_handler_finishes_while_21_hang_and_one_blocks_its_thread);
async fn a_healthy_handler_finishes_while_21_hang_and_one_blocks_its_thread(place: Place) {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let block = move |_: Event<Payload>| {
        // On the handler's own thread, like a call that should have been asynchronous.
        let _ = released.lock().unwrap().recv();
        async { Ok(()) }
    };
    let mut builder = place.engine().handler_fn("healthy", succeed).handler_fn(Bind::to("block").concurrency(1), block);
    for n in 0..21 {
        let hang = |_: Event<Payload>| std::future::pending::<Result<(), HandlerError>>();
        builder = builder.handler_fn(format!("hang.{n}"), hang);
    }
    let mut config = place.config();
    config.server.shutdown_timeout = Duration::from_millis(100);
    let engine = builder.config(config).start().await.unwrap();
    let mut stuck = vec![engine.submit(event("block")).await.unwrap().id];
    for n in 0..21 {
        stuck.push(engine.submit(event(&format!("hang.{n}"))).await.unwrap().id);
    }
    for _ in 0..200 {
        let id = engine.submit(event("healthy")).await.unwrap().id;
        assert_eq!(settled(&engine, id).await.status, Status::Success);
    }
    for id in &stuck {
        assert_eq!(until(&engine, *id, Status::Processing).await.record.attempt_count, 1);
    }
    drop(release);
    assert_eq!(settled(&engine, stuck[0]).await.status, Status::Success);
    stop(engine).await;
}

on_each_ledger!(a_handler_that_blocks_its_thread_is_walled_off_and_its_next_events_get_a_new_one);
async fn a_handler_that_blocks_its_thread_is_walled_off_and_its_next_events_get_a_new_one(place: Place) {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let block_once = move |event: Event<Payload>| {
        if event.subject.is_some() {
            let _ = released.lock().unwrap().recv();
        }
        async { Ok(()) }
    };
    let bind = Bind::to("block").concurrency(1).timeout(Duration::from_millis(50));
    let engine = place.engine().clock(standing_clock()).handler_fn(bind, block_once).start().await.unwrap();
    let blocking = engine.submit(event("block").subject("forever")).await.unwrap().id;
    let next = engine.submit(event("block")).await.unwrap().id;
    assert_eq!(settled(&engine, next).await.status, Status::Success);
    let whole = engine.reads().whole(blocking).await.unwrap().unwrap();
    assert_eq!(whole.attempts[0].status, AttemptStatus::TimedOut);
    let downs = || engine.metrics().alerts.with_label_values(&["handler_down"]).get();
    eventually("the handler was down", async || (downs() > 0).then_some(())).await;
    engine.cancel(blocking, &operator()).await.unwrap();
    drop(release);
    stop(engine).await;
}

on_each_ledger!(events_for_a_hanging_handler_are_all_accepted_and_wait_in_the_ledger);
async fn events_for_a_hanging_handler_are_all_accepted_and_wait_in_the_ledger(place: Place) {
    let hang = |_: Event<Payload>| std::future::pending::<Result<(), HandlerError>>();
    let bind = Bind::to("hang").concurrency(2).queue_capacity(10);
    let mut config = place.config();
    config.server.shutdown_timeout = Duration::from_millis(100);
    let engine = place.engine().config(config).handler_fn(bind, hang).handler_fn("healthy", succeed);
    let engine = engine.start().await.unwrap();
    for _ in 0..30 {
        let accepted = engine.submit_all((0..100).map(|_| event("hang")).collect()).await.unwrap();
        assert!(accepted.iter().all(Result::is_ok));
    }
    let counts = engine.reads().counts().await.unwrap();
    let count = |status| counts.get(&("hang".to_owned(), status)).copied().unwrap_or_default();
    assert_eq!((count(Status::Processing), count(Status::Pending)), (2, 2_998));
    let id = engine.submit(event("healthy")).await.unwrap().id;
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    stop(engine).await;
}

on_each_ledger!(a_handler_whose_actors_always_die_costs_its_events_no_try_while_it_is_down);
async fn a_handler_whose_actors_always_die_costs_its_events_no_try_while_it_is_down(place: Place) {
    let healthy = Arc::new(Semaphore::new(0));
    let heal = Arc::clone(&healthy);
    let factory = move || {
        assert!(healthy.available_permits() > 0, "the configuration is missing");
        Sound
    };
    let engine = place.engine().handler_actor("a", factory).start().await.unwrap();
    let id = engine.submit(event("a")).await.unwrap().id;
    let downs = || engine.metrics().alerts.with_label_values(&["handler_down"]).get();
    eventually("the handler is down", async || (downs() > 0).then_some(())).await;
    assert!(engine.metrics().actor_restarts.with_label_values(&["handler"]).get() >= 3);
    heal.add_permits(1);
    let record = settled(&engine, id).await;
    assert_eq!((record.status, record.retry_count, record.attempt_count), (Status::Success, 0, 1));
    stop(engine).await;
}

on_each_ledger!(a_handler_that_dies_of_three_events_in_a_row_still_takes_the_fourth);
async fn a_handler_that_dies_of_three_events_in_a_row_still_takes_the_fourth(place: Place) {
    let mut config = place.config();
    config.retry.max_retries = 0;
    let handler = |event: Event<Payload>| {
        assert!(event.subject.is_none(), "this one kills");
        async { Ok(()) }
    };
    let engine = place.engine().config(config).handler_fn("a", handler).start().await.unwrap();
    for _ in 0..3 {
        let id = engine.submit(event("a").subject("deadly")).await.unwrap().id;
        assert_eq!(settled(&engine, id).await.status, Status::FailedMaxRetry);
    }
    let id = engine.submit(event("a")).await.unwrap().id;
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    stop(engine).await;
}

struct Sound;

impl actix::Actor for Sound {
    type Context = actix::Context<Self>;
}

impl actix::Handler<evenkeel::Deliver<Payload>> for Sound {
    type Result = Result<(), HandlerError>;

    fn handle(&mut self, _: evenkeel::Deliver<Payload>, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}
