//! Handlers that send events of their own.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::handle::EmitError;
use evenkeel::lifecycle::Status;
use evenkeel::persist::Filter;
use evenkeel::retry::RetryOverride;
use evenkeel::{Bind, Engine, Event, HandlerError, NewEvent};
use serde_json::{Value, json};

use crate::harness::{Calls, Place, eventually, on_each_ledger, settled, stop};

on_each_ledger!(an_event_that_a_handler_sends_in_each_attempt_is_handled_once);
async fn an_event_that_a_handler_sends_in_each_attempt_is_handled_once(place: Place) {
    let (builder, paid, mailed) = (place.engine(), Calls::default(), Calls::default());
    let (emitter, mails) = (builder.emitter(), mailed.clone());
    let soon = RetryOverride { initial_delay: Some(Duration::from_millis(10)), ..RetryOverride::default() };
    let engine = builder
        .handler_fn(Bind::to("order.paid").retry(soon), move |event: Event<Value>| {
            let (emitter, first) = (emitter.clone(), paid.next() == 0);
            async move {
                let mail = NewEvent::new("mail.wanted", &event.data)?.source("/orders").id(event.id);
                emitter.emit(mail).await?;
                if first { Err(HandlerError::retry("after the mail was sent off")) } else { Ok(()) }
            }
        })
        .handler_fn("mail.wanted", move |_: Event<Value>| {
            mails.next();
            async { Ok(()) }
        })
        .start()
        .await
        .unwrap();
    let order = engine.submit(NewEvent::new("order.paid", &json!({ "order": 7 })).unwrap().id("7")).await.unwrap();
    assert_eq!(settled(&engine, order.id).await.attempt_count, 2);
    let mails = Filter { event_type: Some("mail.wanted".to_owned()), ..Filter::default() };
    let mut records = engine.reads().list(&mails, None, 10).await.unwrap();
    let again = records.remove(0);
    let mail = settled(&engine, records[0].id).await;
    assert_eq!((mail.status, mail.event_id.as_str(), mail.source.as_str()), (Status::Success, "7", "/orders"));
    assert_eq!((again.status, again.duplicate_of), (Status::Duplicate, Some(mail.id)));
    assert_eq!(mailed.count(), 1);
    stop(engine).await;
}

on_each_ledger!(an_event_that_is_sent_while_the_engine_drains_is_taken_and_waits_for_the_next_start);
async fn an_event_that_is_sent_while_the_engine_drains_is_taken_and_waits_for_the_next_start(place: Place) {
    let (builder, gate) = (place.engine(), Arc::new(tokio::sync::Semaphore::new(0)));
    let (emitter, held, begun) = (builder.emitter(), Arc::clone(&gate), Calls::default());
    let calls = begun.clone();
    let engine = builder
        .handler_fn("order.paid", move |_: Event<Value>| {
            let (emitter, held) = (emitter.clone(), Arc::clone(&held));
            calls.next();
            async move {
                held.acquire().await?.forget();
                Ok(emitter.emit(NewEvent::new("mail.wanted", &7)?.id("7")).await?)
            }
        })
        .handler_fn("mail.wanted", |_: Event<Value>| async { Ok(()) })
        .start()
        .await
        .unwrap();
    let order = engine.submit(NewEvent::new("order.paid", &7).unwrap()).await.unwrap();
    eventually("it is in hand", async || (begun.count() == 1).then_some(())).await;
    let (stopped, ()) = tokio::join!(engine.shutdown(), async {
        eventually("it drains", async || engine.submit(NewEvent::new("order.paid", &8).unwrap()).await.err()).await;
        gate.add_permits(1);
    });
    stopped.unwrap();

    let handled = Calls::default();
    let calls = handled.clone();
    let next = place
        .engine()
        .handler_fn("mail.wanted", move |_: Event<Value>| {
            calls.next();
            async { Ok(()) }
        })
        .start()
        .await
        .unwrap();
    assert_eq!(settled(&next, order.id).await.status, Status::Success);
    let (_, mail) = next.reads().holders("7", None).await.unwrap().remove(0);
    assert_eq!(settled(&next, mail).await.status, Status::Success);
    assert_eq!(handled.count(), 1);
    stop(next).await;
}

on_each_ledger!(nobody_takes_events_before_the_start_and_after_the_end);
async fn nobody_takes_events_before_the_start_and_after_the_end(place: Place) {
    let builder = place.engine();
    let emitter = builder.emitter();
    let event = || NewEvent::new("mail.wanted", &7).unwrap();
    assert_eq!(emitter.emit(event()).await, Err(EmitError::Away));
    let engine: Engine = builder.start().await.unwrap();
    assert_eq!(emitter.emit(event()).await, Ok(()));
    engine.shutdown().await.unwrap();
    assert!(emitter.emit(event()).await.is_err());
}
