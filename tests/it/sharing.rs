//! Two engines on one PostgreSQL: who waits, who works and who publishes, whichever of them was asked.

use std::time::Duration;

use evenkeel::lifecycle::Status;
use evenkeel::{Bind, Engine, Event, HandlerError, NewEvent, Payload};
use futures_util::future::join_all;
use lapin::types::AMQPValue;

use crate::harness::{Calls, Place, eventually, settled, stop};
use crate::rabbit::Rabbit;

fn counting(calls: &Calls, takes: Duration) -> impl Fn(Event<Payload>) -> Run + use<> {
    let calls = calls.clone();
    move |_| {
        calls.next();
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            Ok(())
        })
    }
}

type Run = std::pin::Pin<Box<dyn Future<Output = Result<(), HandlerError>>>>;

#[actix::test]
async fn who_waits_for_an_event_hears_of_its_end_on_another_node() {
    let Some(place) = Place::on_postgres() else { return };
    let (here, there) = (Calls::default(), Calls::default());
    let one = place.engine().handler_fn("x", counting(&here, Duration::ZERO)).start().await.unwrap();
    let two = place.engine().handler_fn("y", counting(&there, Duration::ZERO)).start().await.unwrap();
    let id = one.submit(NewEvent::raw("y", Payload::default())).await.unwrap().id;
    let record = settled(&one, id).await;
    assert_eq!((record.status, record.handler_name.as_deref()), (Status::Success, Some("y")));
    assert_eq!((here.count(), there.count()), (0, 1));
    stop(one).await;
    stop(two).await;
}

#[actix::test]
async fn a_node_with_nothing_to_do_takes_what_waits_for_a_busy_one_and_nothing_runs_twice() {
    let Some(place) = Place::on_postgres() else { return };
    let takes = Duration::from_millis(200);
    let (busy, idle) = (Calls::default(), Calls::default());
    let bind = || Bind::to("x").concurrency(1);
    let one = place.engine().handler_fn(bind(), counting(&busy, takes)).start().await.unwrap();
    let two = place.engine().handler_fn(bind(), counting(&idle, takes)).start().await.unwrap();
    let events = (0..30).map(|_| NewEvent::raw("x", Payload::default())).collect();
    let accepted = one.submit_all(events).await.unwrap();
    for record in join_all(accepted.into_iter().map(|accepted| settled(&one, accepted.unwrap().id))).await {
        assert_eq!((record.status, record.attempt_count), (Status::Success, 1));
    }
    assert_eq!(busy.count() + idle.count(), 30);
    assert!(busy.count() > 0 && idle.count() > 0, "{} and {}", busy.count(), idle.count());
    stop(one).await;
    stop(two).await;
}

async fn giving_up(place: &Place, rabbit: &Rabbit) -> Engine {
    let mut config = place.config();
    rabbit.configure(&mut config);
    let give_up = |_: Event<Payload>| std::future::ready(Err(HandlerError::permanent("no")));
    Engine::builder().config(config).handler_fn("*", give_up).start().await.unwrap()
}

/// How many deaths this node has published.
fn published(engine: &Engine) -> u64 {
    engine.metrics().publishes.with_label_values(&["dead_letters", "confirmed"]).get()
}

#[actix::test]
async fn the_elder_of_two_nodes_publishes_the_deaths_of_both_and_then_the_other_goes_on() {
    let (Some(place), Some(rabbit)) = (Place::on_postgres(), Rabbit::start()) else { return };
    let elder = giving_up(&place, &rabbit).await;
    let younger = giving_up(&place, &rabbit).await;
    let client = rabbit.client().await;
    let deaths = async |engine: &Engine, count: usize| {
        let events = (0..count).map(|_| NewEvent::raw("dead", Payload::default())).collect();
        engine.submit_all(events).await.unwrap();
        let mut records = std::collections::HashSet::new();
        for _ in 0..count {
            let letter = client.take(&rabbit.dlq).await.delivery;
            let headers = letter.properties.headers().clone().unwrap();
            let Some(AMQPValue::LongString(record)) = headers.inner().get("evenkeel_record_id") else { panic!() };
            assert!(records.insert(record.to_string()), "one message a death");
        }
        eventually("it is written down", async || {
            engine.reads().deaths("rabbitmq", 9).await.unwrap().is_empty().then_some(())
        })
        .await;
        assert_eq!(client.depth(&rabbit.dlq).await, 0);
    };
    deaths(&younger, 20).await;
    assert_eq!((published(&elder), published(&younger)), (20, 0));
    stop(elder).await;
    deaths(&younger, 5).await;
    assert_eq!(published(&younger), 5);
    stop(younger).await;
    rabbit.end().await;
}
