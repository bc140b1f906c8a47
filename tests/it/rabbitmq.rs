//! RabbitMQ as the bus: what it alone has. What holds of every bus is in `bus_suite.rs`.

use std::sync::{Arc, Mutex};

use evenkeel::lifecycle::Status;
use evenkeel::{Engine, Event, HandlerError, Payload};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use uuid::Uuid;

use crate::harness::{Place, eventually, stop};
use crate::rabbit::Rabbit;

pub type Seen = Arc<Mutex<Vec<Event<Payload>>>>;

/// A handler that notes what it is given.
pub fn noting(seen: &Seen) -> impl Fn(Event<Payload>) -> std::future::Ready<Result<(), HandlerError>> + use<> {
    let seen = Arc::clone(seen);
    move |event| {
        seen.lock().unwrap().push(event);
        std::future::ready(Ok(()))
    }
}

async fn engine(place: &Place, rabbit: &Rabbit, seen: &Seen) -> Engine {
    let mut config = place.config();
    rabbit.configure(&mut config);
    Engine::builder().config(config).handler_fn("*", noting(seen)).start().await.unwrap()
}

/// How many records stand in this status.
async fn count(engine: &Engine, status: Status) -> i64 {
    engine.reads().counts().await.unwrap().iter().filter(|((_, of), _)| *of == status).map(|(_, n)| n).sum()
}

pub async fn until_count(engine: &Engine, status: Status, expected: i64) {
    let what = format!("{expected} records are {status}");
    eventually(&what, async || (count(engine, status).await == expected).then_some(())).await;
}

fn headers(entries: &[(&str, &str)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    table
}

#[actix::test]
async fn messages_of_other_clients_are_understood() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (place, seen) = (Place::new(), Seen::default());
    let engine = engine(&place, &rabbit, &seen).await;
    let client = rabbit.client().await;
    let json = || BasicProperties::default().with_content_type("application/json".into());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    client.publish(&rabbit.queue, BasicProperties::default(), br#"{"type":"plain","data":[1]}"#).await;
    let with_id = json().with_message_id("m-1".into()).with_headers(headers(&[("traceparent", trace)]));
    client.publish(&rabbit.queue, with_id, br#"{"type":"plain.id"}"#).await;
    let colons = [
        ("cloudEvents:specversion", "1.0"),
        ("cloudEvents:id", "b-1"),
        ("cloudEvents:source", "/s"),
        ("cloudEvents:type", "binary"),
    ];
    let mut table = headers(&colons);
    table.insert("cloudEvents:time".into(), AMQPValue::Timestamp(1_767_600_140));
    let text = BasicProperties::default().with_content_type("text/plain".into()).with_headers(table);
    client.publish(&rabbit.queue, text, b"hello").await;
    let structured = BasicProperties::default().with_content_type("application/cloudevents+json".into());
    let body = br#"{"specversion":"1.0","id":"s-1","source":"/s","type":"structured","data":7}"#;
    client.publish(&rabbit.queue, structured, body).await;
    until_count(&engine, Status::Success, 4).await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let of = |event_type: &str| seen.iter().find(|event| event.event_type == event_type).unwrap();
    let source = format!("/rabbitmq/{}", rabbit.queue);
    assert_eq!((&of("plain").source, of("plain").data.bytes.as_deref()), (&source, Some(&b"[1]"[..])));
    assert_eq!((of("plain.id").id.as_str(), &of("plain.id").extensions["traceparent"]), ("m-1", &json!(trace)));
    assert_eq!(of("binary").time.unwrap().to_rfc3339(), "2026-01-05T08:02:20+00:00");
    assert_eq!(of("binary").data.decode::<String>().unwrap(), "hello");
    assert_eq!(of("structured").data.decode::<i32>().unwrap(), 7);
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn a_promised_id_is_a_hint_and_no_authority() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (place, seen) = (Place::new(), Seen::default());
    let engine = engine(&place, &rabbit, &seen).await;
    let client = rabbit.client().await;
    let promised = Uuid::now_v7();
    let future = "0fffffff-ffff-7000-8000-000000000000";
    let promises = [promised.to_string(), promised.to_string(), Uuid::nil().to_string(), future.to_owned()];
    for (number, promise) in promises.iter().enumerate() {
        let id = number.to_string();
        let attributes = [
            ("cloudEvents_specversion", "1.0"),
            ("cloudEvents_id", id.as_str()),
            ("cloudEvents_source", "/s"),
            ("cloudEvents_type", "t"),
            ("cloudEvents_evenkeelid", promise.as_str()),
        ];
        client.publish(&rabbit.queue, BasicProperties::default().with_headers(headers(&attributes)), b"").await;
        let expected = i64::try_from(number + 1).unwrap();
        until_count(&engine, Status::Success, expected).await;
    }
    let records = engine.reads().list(&Default::default(), None, 10).await.unwrap();
    let first = records.iter().find(|record| record.id == promised).unwrap();
    assert_eq!(first.event_id, "0");
    assert!(records.iter().all(|record| record.id != Uuid::nil() && record.id.to_string() != future));
    stop(engine).await;
    rabbit.end().await;
}
