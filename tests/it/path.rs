//! An event's whole life, through the library: every state, and who decides.

use std::time::Duration;

use actix::prelude::*;
use evenkeel::lifecycle::{AttemptStatus, FinalStatus, Status};
use evenkeel::{Bind, Deliver, Event, HandlerError, NewEvent};
use serde::Deserialize;

use crate::harness::{
    Calls, Place, attempts, eventually, on_each_ledger, operator, settled, standing_clock, stop, until, until_tried,
};

fn event(event_type: &str) -> NewEvent {
    NewEvent::new(event_type, &serde_json::json!({ "n": 1 })).unwrap()
}

async fn succeed(_: Event<serde_json::Value>) -> Result<(), HandlerError> {
    Ok(())
}

on_each_ledger!(an_event_is_handled_once_and_completed);
async fn an_event_is_handled_once_and_completed(place: Place) {
    let calls = Calls::default();
    let count = calls.clone();
    let handler = move |_: Event<serde_json::Value>| {
        count.next();
        async { Ok(()) }
    };
    let engine = place.engine().handler_fn("order.paid", handler).start().await.unwrap();
    let accepted = engine.submit(event("order.paid")).await.unwrap();
    let record = settled(&engine, accepted.id).await;
    assert_eq!((record.status, record.final_status), (Status::Success, Some(FinalStatus::Completed)));
    assert_eq!(attempts(&engine, accepted.id).await, [AttemptStatus::Success]);
    assert_eq!(calls.count(), 1);
    stop(engine).await;
}

struct Counting {
    seen: u32,
    calls: Calls,
}

impl Actor for Counting {
    type Context = Context<Self>;
}

#[derive(Deserialize)]
struct Numbered {
    n: u32,
}

impl Handler<Deliver<Numbered>> for Counting {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<Numbered>, _: &mut Self::Context) -> Self::Result {
        self.seen += delivery.event.data.n;
        self.calls.next();
        assert!(self.seen != 2, "this actor does not like a second event");
        Box::pin(async { Ok(()) })
    }
}

on_each_ledger!(an_actor_that_panics_is_rebuilt_and_only_its_attempt_is_lost);
async fn an_actor_that_panics_is_rebuilt_and_only_its_attempt_is_lost(place: Place) {
    let calls = Calls::default();
    let (clock, count) = (standing_clock(), calls.clone());
    let factory = move || Counting { seen: 0, calls: count.clone() };
    let engine = place.engine().clock(clock.clone()).handler_actor("count", factory).start().await.unwrap();
    let first = engine.submit(event("count")).await.unwrap();
    settled(&engine, first.id).await;
    let second = engine.submit(event("count")).await.unwrap();
    let failed = until(&engine, second.id, Status::RetryScheduled).await;
    assert_eq!(failed.attempts[0].status, AttemptStatus::Panicked);
    assert!(failed.attempts[0].error_message.as_deref().unwrap().contains("does not like a second event"));
    clock.advance(Duration::from_secs(1));
    assert_eq!(settled(&engine, second.id).await.status, Status::Success);
    assert_eq!(calls.count(), 3);
    stop(engine).await;
}

on_each_ledger!(retries_come_after_1_2_and_4_seconds_and_then_the_event_is_a_dead_letter);
async fn retries_come_after_1_2_and_4_seconds_and_then_the_event_is_a_dead_letter(place: Place) {
    let (calls, clock) = (Calls::default(), standing_clock());
    let count = calls.clone();
    let handler = move |_: Event<serde_json::Value>| {
        count.next();
        async { Err(HandlerError::retry("the bank is closed")) }
    };
    let engine = place.engine().clock(clock.clone()).handler_fn("pay", handler).start().await.unwrap();
    let id = engine.submit(event("pay")).await.unwrap().id;
    for (tries, delay) in [(1, 1), (2, 2), (3, 4)] {
        let whole = until_tried(&engine, id, tries).await;
        assert_eq!(calls.count(), tries);
        let due = whole.record.next_attempt_at.unwrap();
        assert_eq!(due.since(clock.now()), Duration::from_secs(delay));
        clock.advance(Duration::from_secs(delay));
    }
    let record = settled(&engine, id).await;
    assert_eq!((record.status, record.final_status), (Status::FailedMaxRetry, Some(FinalStatus::DeadLetter)));
    assert_eq!(attempts(&engine, id).await, [AttemptStatus::Failed; 4]);
    assert_eq!(record.error.as_deref(), Some("the bank is closed"));
    stop(engine).await;
}

on_each_ledger!(everything_that_happens_on_the_path_is_counted);
async fn everything_that_happens_on_the_path_is_counted(place: Place) {
    let clock = standing_clock();
    let mut config = place.config();
    config.retry.max_retries = 1;
    let panic = |event: Event<Numbered>| {
        assert!(event.data.n > 1, "too small");
        async { Ok(()) }
    };
    let engine = place.engine().config(config).clock(clock.clone()).handler_fn("a", panic).start().await.unwrap();
    let good = engine.submit(NewEvent::new("a", &serde_json::json!({ "n": 2 })).unwrap()).await.unwrap().id;
    settled(&engine, good).await;
    let bad = engine.submit(event("a")).await.unwrap().id;
    until(&engine, bad, Status::RetryScheduled).await;
    clock.advance(Duration::from_secs(1));
    settled(&engine, bad).await;
    let restarts = &engine.metrics().actor_restarts;
    // The attempt has ended when its actor dies; the next actor is counted when it is built.
    eventually("the handler's actor is built again twice", async || {
        (restarts.with_label_values(&["handler"]).get() == 2).then_some(())
    })
    .await;
    let alerts = || engine.metrics().alerts.with_label_values(&["dead_letter"]).get();
    eventually("an alert is raised", async || (alerts() == 1).then_some(())).await;
    let text = String::from_utf8(engine.metrics().render().unwrap()).unwrap();
    for line in [
        r#"evenkeel_events_total{status="SUCCESS"} 1"#,
        r#"evenkeel_attempts_total{handler="a",outcome="SUCCESS"} 1"#,
        r#"evenkeel_attempts_total{handler="a",outcome="PANICKED"} 2"#,
        r#"evenkeel_retries_total{handler="a"} 1"#,
        r#"evenkeel_dead_letters_total{handler="a",reason="FAILED_MAX_RETRY"} 1"#,
        r#"evenkeel_alerts_total{alert="dead_letter"} 1"#,
        r#"evenkeel_actor_restarts_total{actor="handler"} 2"#,
        "evenkeel_accept_seconds_count 2",
        r#"evenkeel_handler_seconds_count{handler="a"} 3"#,
        r#"evenkeel_end_to_end_seconds_count{handler="a"} 2"#,
        "evenkeel_commit_commands_count ",
        "evenkeel_commit_seconds_count ",
    ] {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
    stop(engine).await;
}

on_each_ledger!(a_permanent_failure_and_data_of_another_shape_are_not_retried);
async fn a_permanent_failure_and_data_of_another_shape_are_not_retried(place: Place) {
    let permanent = |_: Event<serde_json::Value>| async { Err(HandlerError::permanent("no such customer")) };
    let typed = |_: Event<Numbered>| async { Ok(()) };
    let engine = place.engine().handler_fn("a", permanent).handler_fn("b", typed).start().await.unwrap();
    let a = engine.submit(event("a")).await.unwrap().id;
    let b = engine.submit(NewEvent::new("b", "no number").unwrap()).await.unwrap().id;
    assert_eq!(settled(&engine, a).await.status, Status::FailedPermanent);
    let invalid = settled(&engine, b).await;
    assert_eq!((invalid.status, invalid.final_status), (Status::Invalid, Some(FinalStatus::Failed)));
    assert!(invalid.error.unwrap().contains("expected struct Numbered"));
    stop(engine).await;
}

on_each_ledger!(a_corrected_event_may_use_the_id_of_one_that_was_invalid);
async fn a_corrected_event_may_use_the_id_of_one_that_was_invalid(place: Place) {
    let engine = place.engine().handler_fn("b", |_: Event<Numbered>| async { Ok(()) }).start().await.unwrap();
    let wrong = engine.submit(NewEvent::new("b", "no number").unwrap().id("1")).await.unwrap().id;
    assert_eq!(settled(&engine, wrong).await.status, Status::Invalid);
    let corrected = engine.submit(event("b").id("1")).await.unwrap();
    assert!(!corrected.duplicate);
    assert_eq!(settled(&engine, corrected.id).await.status, Status::Success);
    stop(engine).await;
}

on_each_ledger!(a_handler_that_takes_too_long_is_stopped_and_its_future_dropped);
async fn a_handler_that_takes_too_long_is_stopped_and_its_future_dropped(place: Place) {
    struct Dropped(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let clock = standing_clock();
    let (drops, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |_: Event<serde_json::Value>| {
        let guard = Dropped(drops.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Result<(), HandlerError>>().await
        }
    };
    let bind = Bind::to("hang").timeout(Duration::from_millis(20));
    let engine = place.engine().clock(clock).handler_fn(bind, handler).start().await.unwrap();
    let id = engine.submit(event("hang")).await.unwrap().id;
    let whole = until(&engine, id, Status::RetryScheduled).await;
    assert_eq!(whole.attempts[0].status, AttemptStatus::TimedOut);
    dropped.recv().await.unwrap();
    stop(engine).await;
}

on_each_ledger!(the_same_event_again_is_a_duplicate_and_other_content_a_conflict);
async fn the_same_event_again_is_a_duplicate_and_other_content_a_conflict(place: Place) {
    let engine = place.engine().handler_fn("order.paid", succeed).start().await.unwrap();
    let first = engine.submit(event("order.paid").id("1").source("/shop")).await.unwrap();
    settled(&engine, first.id).await;
    let again = engine.submit(event("order.paid").id("1").source("/shop")).await.unwrap();
    assert!(again.duplicate);
    assert_eq!((again.id, again.status), (first.id, Status::Success));
    let other = NewEvent::new("order.paid", &2).unwrap().id("1").source("/shop");
    let conflict = engine.submit(other).await.unwrap_err();
    assert!(conflict.to_string().contains("accepted before with other content"), "{conflict}");
    let statuses: Vec<Status> =
        engine.reads().list(&Default::default(), None, 10).await.unwrap().iter().map(|record| record.status).collect();
    assert_eq!(statuses, [Status::Invalid, Status::Duplicate, Status::Success]);
    stop(engine).await;
}

on_each_ledger!(twins_in_one_batch_are_one_event_and_a_duplicate);
async fn twins_in_one_batch_are_one_event_and_a_duplicate(place: Place) {
    let engine = place.engine().handler_fn("a", succeed).start().await.unwrap();
    let batch = vec![event("a").id("1"), event("a").id("1"), NewEvent::new("a", &3).unwrap().id("1")];
    let results = engine.submit_all(batch).await.unwrap();
    assert!(!results[0].as_ref().unwrap().duplicate);
    assert!(results[1].as_ref().unwrap().duplicate);
    assert!(results[2].is_err());
    settled(&engine, results[0].as_ref().unwrap().id).await;
    stop(engine).await;
}

on_each_ledger!(an_event_that_nobody_handles_is_kept_and_can_be_redriven_when_somebody_does);
async fn an_event_that_nobody_handles_is_kept_and_can_be_redriven_when_somebody_does(place: Place) {
    let engine = place.engine().start().await.unwrap();
    let id = engine.submit(event("order.paid")).await.unwrap().id;
    assert_eq!(settled(&engine, id).await.status, Status::NoHandler);
    assert!(engine.redrive(id, &operator()).await.is_err());
    stop(engine).await;
    let engine = place.engine().handler_fn("order.*", succeed).start().await.unwrap();
    engine.redrive(id, &operator()).await.unwrap();
    let record = settled(&engine, id).await;
    assert_eq!((record.status, record.round), (Status::Success, 2));
    stop(engine).await;
}

on_each_ledger!(a_scheduled_event_waits_for_its_time);
async fn a_scheduled_event_waits_for_its_time(place: Place) {
    let clock = standing_clock();
    let engine = place.engine().clock(clock.clone()).handler_fn("a", succeed).start().await.unwrap();
    let at = chrono::DateTime::parse_from_rfc3339(&clock.now().after(Duration::from_secs(60)).to_rfc3339()).unwrap();
    let id = engine.submit(event("a").deliver_at(at)).await.unwrap().id;
    assert_eq!(until(&engine, id, Status::Scheduled).await.record.attempt_count, 0);
    clock.advance(Duration::from_secs(60));
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    stop(engine).await;
}

on_each_ledger!(what_has_not_started_can_be_cancelled_and_what_is_over_cannot);
async fn what_has_not_started_can_be_cancelled_and_what_is_over_cannot(place: Place) {
    let clock = standing_clock();
    let engine = place.engine().clock(clock.clone()).handler_fn("a", succeed).start().await.unwrap();
    let at = chrono::DateTime::parse_from_rfc3339(&clock.now().after(Duration::from_secs(60)).to_rfc3339()).unwrap();
    let id = engine.submit(event("a").deliver_at(at)).await.unwrap().id;
    engine.cancel(id, &operator()).await.unwrap();
    let record = settled(&engine, id).await;
    assert_eq!((record.status, record.final_status), (Status::Discarded, Some(FinalStatus::Discarded)));
    assert!(engine.cancel(id, &operator()).await.is_err());
    stop(engine).await;
}

on_each_ledger!(a_dead_letter_is_redriven_with_all_its_history_or_discarded);
async fn a_dead_letter_is_redriven_with_all_its_history_or_discarded(place: Place) {
    let calls = Calls::default();
    let count = calls.clone();
    let handler = move |_: Event<serde_json::Value>| {
        let first = count.next() < 2;
        async move { if first { Err(HandlerError::permanent("not yet")) } else { Ok(()) } }
    };
    let engine = place.engine().handler_fn("a", handler).start().await.unwrap();
    let one = engine.submit(event("a")).await.unwrap().id;
    settled(&engine, one).await;
    let two = engine.submit(event("a")).await.unwrap().id;
    settled(&engine, two).await;
    engine.redrive(one, &operator()).await.unwrap();
    let redriven = settled(&engine, one).await;
    assert_eq!((redriven.status, redriven.round, redriven.attempt_count), (Status::Success, 2, 2));
    assert_eq!(attempts(&engine, one).await, [AttemptStatus::Failed, AttemptStatus::Success]);
    engine.discard(two, &operator()).await.unwrap();
    assert_eq!(settled(&engine, two).await.status, Status::Discarded);
    assert!(engine.redrive(two, &operator()).await.is_err());
    stop(engine).await;
}

on_each_ledger!(a_paused_handler_keeps_its_events_through_a_restart);
async fn a_paused_handler_keeps_its_events_through_a_restart(place: Place) {
    let engine = place.engine().handler_fn("a", succeed).start().await.unwrap();
    engine.pause("a", &operator()).await.unwrap();
    let id = engine.submit(event("a")).await.unwrap().id;
    stop(engine).await;
    let engine = place.engine().handler_fn("a", succeed).start().await.unwrap();
    assert_eq!(until(&engine, id, Status::Pending).await.record.attempt_count, 0);
    engine.resume("a", &operator()).await.unwrap();
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    stop(engine).await;
}

on_each_ledger!(more_events_than_a_lane_can_hold_all_come_to_their_end_in_order);
async fn more_events_than_a_lane_can_hold_all_come_to_their_end_in_order(place: Place) {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&seen);
    let handler = move |event: Event<u32>| {
        sink.lock().unwrap().push(event.data);
        async { Ok(()) }
    };
    let bind = Bind::to("a").concurrency(1).queue_capacity(5);
    let engine = place.engine().handler_fn(bind, handler).start().await.unwrap();
    let mut ids = Vec::new();
    for n in 0..200u32 {
        ids.push(engine.submit(NewEvent::new("a", &n).unwrap()).await.unwrap().id);
    }
    for id in ids {
        assert_eq!(settled(&engine, id).await.status, Status::Success);
    }
    assert_eq!(seen.lock().unwrap().len(), 200);
    stop(engine).await;
}

on_each_ledger!(a_drain_hands_back_what_does_not_end_and_costs_no_retry);
async fn a_drain_hands_back_what_does_not_end_and_costs_no_retry(place: Place) {
    let mut config = place.config();
    config.server.shutdown_timeout = Duration::from_millis(50);
    let hang = |_: Event<serde_json::Value>| std::future::pending::<Result<(), HandlerError>>();
    let engine = evenkeel::Engine::builder().config(config).handler_fn("a", hang).start().await.unwrap();
    let id = engine.submit(event("a")).await.unwrap().id;
    until(&engine, id, Status::Processing).await;
    engine.shutdown().await.unwrap();
    let engine = place.engine().handler_fn("a", succeed).start().await.unwrap();
    let record = settled(&engine, id).await;
    assert_eq!((record.retry_count, record.crash_count), (0, 0));
    assert_eq!(attempts(&engine, id).await, [AttemptStatus::Abandoned, AttemptStatus::Success]);
    stop(engine).await;
}
