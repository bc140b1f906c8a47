//! RabbitMQ as the bus: what comes in, what goes out, and what is never lost in between.

use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use evenkeel::ingest::decode::decode_object;
use evenkeel::lifecycle::Status;
use evenkeel::{Engine, Event, HandlerError, NewEvent, Payload};
use flate2::read::GzDecoder;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use uuid::Uuid;

use crate::harness::{Place, eventually, settled, stop};
use crate::rabbit::Rabbit;

/// The real events, as they would be submitted.
pub fn real_events() -> Vec<NewEvent> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
    let files = ["chemical-status.ndjson.gz", "github-webhooks.ndjson.gz"];
    let lines = files.into_iter().flat_map(|file| {
        let file = std::fs::File::open(format!("{data}{file}")).unwrap();
        BufReader::new(GzDecoder::new(file)).lines().map(Result::unwrap)
    });
    lines.map(|line| decode_object(Bytes::from(line)).unwrap()).collect()
}

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

/// How many messages were settled as this.
pub fn deliveries(engine: &Engine, outcome: &str) -> u64 {
    engine.metrics().deliveries.with_label_values(&[outcome]).get()
}

fn headers(entries: &[(&str, &str)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    table
}

#[actix::test]
async fn the_real_events_come_out_as_they_went_in_with_the_ids_that_were_answered() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (place, seen) = (Place::new(), Seen::default());
    let engine = engine(&place, &rabbit, &seen).await;
    let events = real_events();
    assert_eq!(events.len(), 1_329);
    let mut accepted = Vec::new();
    for batch in events.chunks(500) {
        for result in engine.submit_all(batch.to_vec()).await.unwrap() {
            let result = result.unwrap();
            assert_eq!((result.status, result.duplicate), (Status::Pending, false));
            accepted.push(result);
        }
    }
    until_count(&engine, Status::Success, 1_329).await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(seen.len(), 1_329);
    for (sent, accepted) in events.iter().zip(&accepted) {
        let record = settled(&engine, accepted.id).await;
        assert_eq!((&record.event_id, &record.source), (&accepted.event_id, &accepted.source));
        assert_eq!((record.origin.bus.as_str(), record.origin.topic.as_ref()), ("rabbitmq", Some(&rabbit.queue)));
        let got = seen.iter().find(|got| got.id == accepted.event_id && got.source == accepted.source).unwrap();
        let mut extensions = got.extensions.clone();
        assert_eq!(extensions.remove("evenkeelid"), Some(accepted.id.to_string().into()));
        assert_eq!((&got.event_type, &got.subject, got.time), (&sent.event_type, &sent.subject, sent.time));
        assert_eq!((&extensions, &got.data.bytes), (&sent.extensions, &sent.payload.bytes));
    }
    assert_eq!(deliveries(&engine, "accepted"), 1_329);
    stop(engine).await;
    rabbit.end().await;
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
async fn what_is_no_event_is_kept_with_its_bytes_and_stops_nobody() {
    let Some(rabbit) = Rabbit::start() else { return };
    let (place, seen) = (Place::new(), Seen::default());
    let mut config = place.config();
    rabbit.configure(&mut config);
    config.server.body_limit = 1_000;
    let engine = Engine::builder().config(config).handler_fn("*", noting(&seen)).start().await.unwrap();
    let client = rabbit.client().await;
    let poison = [&b"\x00\xff\xfe poison"[..], b"{\"data\":1}", &[b'x'; 1_001]];
    for body in poison {
        let properties = BasicProperties::default().with_headers(headers(&[("x-sender", "a")]));
        client.publish(&rabbit.queue, properties, body).await;
        client.publish(&rabbit.queue, BasicProperties::default(), br#"{"type":"good"}"#).await;
    }
    until_count(&engine, Status::Invalid, 3).await;
    until_count(&engine, Status::Success, 3).await;
    let filter = evenkeel::persist::Filter { status: Some(Status::Invalid), ..Default::default() };
    let invalid = engine.reads().list(&filter, None, 10).await.unwrap();
    let mut kept = Vec::new();
    for record in &invalid {
        let whole = engine.reads().whole(record.id).await.unwrap().unwrap();
        assert_eq!(record.source, format!("/rabbitmq/{}", rabbit.queue));
        assert_eq!(record.extensions["x-sender"], "a");
        kept.push((whole.payload.bytes.unwrap(), record.error.clone().unwrap()));
    }
    let error_of = |body: &[u8]| kept.iter().find(|(bytes, _)| bytes == body).unwrap().1.clone();
    assert!(error_of(poison[0]).starts_with("this is not UTF-8"), "{}", error_of(poison[0]));
    assert_eq!(error_of(poison[1]), "`type` is missing");
    assert_eq!(error_of(poison[2]), "the message has 1001 bytes; `server.body_limit` is 1000");
    assert_eq!(engine.metrics().alerts.with_label_values(&["invalid"]).get(), 3);
    assert_eq!(deliveries(&engine, "invalid"), 3);
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

#[actix::test]
async fn a_death_is_published_once_with_what_it_was_and_why() {
    let Some(rabbit) = Rabbit::start() else { return };
    let place = Place::new();
    let mut config = place.config();
    rabbit.configure(&mut config);
    let give_up = |_: Event<Payload>| std::future::ready(Err(HandlerError::permanent("no such account €")));
    let engine = Engine::builder().config(config).handler_fn("dead", give_up).start().await.unwrap();
    let client = rabbit.client().await;
    let payload = Payload { content_type: Some("text/plain".into()), bytes: Some("hello".into()) };
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let event = NewEvent::raw("dead", payload).id("d-1").source("/s").subject("x").extension("traceparent", trace);
    let id = engine.submit(event).await.unwrap().id;
    let letter = client.take(&rabbit.dlq).await.delivery;
    let headers = letter.properties.headers().clone().unwrap();
    let text = |name: &str| match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => format!("{other:?}"),
    };
    let expected = [
        ("cloudEvents_specversion", "1.0"),
        ("cloudEvents_id", "d-1"),
        ("cloudEvents_source", "/s"),
        ("cloudEvents_type", "dead"),
        ("cloudEvents_subject", "x"),
        ("cloudEvents_traceparent", trace),
        ("traceparent", trace),
        ("evenkeel_record_id", &id.to_string()),
        ("evenkeel_reason", "FAILED_PERMANENT"),
        ("evenkeel_error", "no such account €"),
        ("evenkeel_handler", "dead"),
        ("evenkeel_topic", &rabbit.queue),
        ("evenkeel_round", "Some(LongLongInt(1))"),
        ("evenkeel_attempts", "Some(LongLongInt(1))"),
    ];
    for (name, value) in expected {
        assert_eq!(text(name), value, "{name}");
    }
    assert_eq!(letter.properties.content_type().as_ref().map(|text| text.as_str()), Some("text/plain"));
    assert_eq!((letter.data.as_slice(), *letter.properties.delivery_mode()), (&b"hello"[..], Some(2)));

    // What is INVALID is no dead letter, and what is written down as published is not published again.
    client.publish(&rabbit.queue, BasicProperties::default(), b"poison").await;
    until_count(&engine, Status::Invalid, 1).await;
    eventually("it is written down", async || {
        engine.reads().deaths("rabbitmq", 9).await.unwrap().is_empty().then_some(())
    })
    .await;
    stop(engine).await;
    let mut config = place.config();
    rabbit.configure(&mut config);
    let engine = Engine::builder().config(config).handler_fn("dead", give_up).start().await.unwrap();
    let second = engine.submit(NewEvent::raw("dead", Payload::default()).id("d-2")).await.unwrap().id;
    let letter = client.take(&rabbit.dlq).await.delivery;
    let headers = letter.properties.headers().clone().unwrap();
    assert_eq!(headers.inner().get("evenkeel_record_id"), Some(&AMQPValue::LongString(second.to_string().into())));
    assert_eq!(client.depth(&rabbit.dlq).await, 0);
    stop(engine).await;
    rabbit.end().await;
}

#[actix::test]
async fn what_died_on_another_bus_is_not_published() {
    let Some(rabbit) = Rabbit::start() else { return };
    let place = Place::new();
    let give_up = |_: Event<Payload>| std::future::ready(Err(HandlerError::permanent("no")));
    let engine = place.engine().handler_fn("dead", give_up).start().await.unwrap();
    let first = engine.submit(NewEvent::raw("dead", Payload::default())).await.unwrap().id;
    settled(&engine, first).await;
    stop(engine).await;
    let mut config = place.config();
    rabbit.configure(&mut config);
    let engine = Engine::builder().config(config).handler_fn("dead", give_up).start().await.unwrap();
    let second = engine.submit(NewEvent::raw("dead", Payload::default())).await.unwrap().id;
    let client = rabbit.client().await;
    let letter = client.take(&rabbit.dlq).await.delivery;
    let headers = letter.properties.headers().clone().unwrap();
    assert_eq!(headers.inner().get("evenkeel_record_id"), Some(&AMQPValue::LongString(second.to_string().into())));
    assert_eq!(client.depth(&rabbit.dlq).await, 0);
    stop(engine).await;
    rabbit.end().await;
}
