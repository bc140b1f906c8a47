//! Kafka as the bus: what comes in, what goes out, and what it is told by.

use std::process::{Command, Stdio};

use evenkeel::engine::Error;
use evenkeel::lifecycle::Status;
use evenkeel::{Engine, Event, HandlerError, NewEvent, Payload};
use rdkafka::message::Message;
use serde_json::json;

use crate::bus_suite::real_events;
use crate::harness::{Place, eventually, settled, stop};
use crate::kafka_broker::{Kafka, header};
use crate::rabbitmq::{Seen, deliveries, noting, until_count};
use crate::tools;

async fn engine(place: &Place, kafka: &Kafka, seen: &Seen) -> Engine {
    let mut config = place.config();
    kafka.configure(&mut config);
    Engine::builder().config(config).handler_fn("*", noting(seen)).start().await.unwrap()
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[actix::test]
async fn the_real_events_come_out_as_they_went_in_with_the_ids_that_were_answered() {
    let Some(kafka) = Kafka::start() else { return };
    let (place, seen) = (Place::new(), Seen::default());
    let engine = engine(&place, &kafka, &seen).await;
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
    let mut positions = std::collections::HashSet::new();
    for (sent, accepted) in events.iter().zip(&accepted) {
        let record = settled(&engine, accepted.id).await;
        assert_eq!((&record.event_id, &record.source), (&accepted.event_id, &accepted.source));
        assert_eq!((record.origin.bus.as_str(), record.origin.topic.as_ref()), ("kafka", Some(&kafka.topic)));
        positions.insert((record.origin.partition.unwrap(), record.origin.offset.unwrap()));
        let got = seen.iter().find(|got| got.id == accepted.event_id && got.source == accepted.source).unwrap();
        let mut extensions = got.extensions.clone();
        assert_eq!(extensions.remove("evenkeelid"), Some(accepted.id.to_string().into()));
        assert_eq!((&got.event_type, &got.subject, got.time), (&sent.event_type, &sent.subject, sent.time));
        assert_eq!((&extensions, &got.data.bytes), (&sent.extensions, &sent.payload.bytes));
    }
    assert_eq!((positions.len(), deliveries(&engine, "accepted")), (1_329, 1_329));
    stop(engine).await;
    kafka.end().await;
}

#[actix::test]
async fn messages_of_other_clients_are_understood() {
    let Some(kafka) = Kafka::start() else { return };
    let (place, seen) = (Place::new(), Seen::default());
    let engine = engine(&place, &kafka, &seen).await;
    let (client, topic) = (kafka.client(), kafka.topic.as_str());
    let (partition, offset) = client.publish(topic, &[], Some(br#"{"type":"plain","data":[1]}"#)).await;
    let headers = [("traceparent", TRACE), ("content-type", "application/json")];
    client.publish(topic, &headers, Some(br#"{"type":"traced","id":"7"}"#)).await;
    let binary =
        |event_type| [("ce_specversion", "1.0"), ("ce_id", "b-1"), ("ce_source", "/s €"), ("ce_type", event_type)];
    let text = [&binary("binary")[..], &[("content-type", "text/plain"), ("ce_n", "7")]].concat();
    client.publish(topic, &text, Some(b"hello")).await;
    let tombstone = [&binary("tombstone")[..3], &[("ce_type", "tombstone"), ("ce_subject", "gone")]].concat();
    let tombstone: Vec<(&str, &str)> = tombstone
        .into_iter()
        .map(|(name, value)| if name == "ce_id" { (name, "b-2") } else { (name, value) })
        .collect();
    client.publish(topic, &tombstone, None).await;
    let body = br#"{"specversion":"1.0","id":"s-1","source":"/s","type":"structured","data":7}"#;
    client.publish(topic, &[("content-type", "application/cloudevents+json; charset=UTF-8")], Some(body)).await;
    until_count(&engine, Status::Success, 5).await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let of = |event_type: &str| seen.iter().find(|event| event.event_type == event_type).unwrap();
    assert_eq!(
        (&of("plain").source, &of("plain").id),
        (&format!("/kafka/{topic}"), &format!("{topic}/{partition}/{offset}"))
    );
    assert_eq!((of("traced").id.as_str(), &of("traced").extensions["traceparent"]), ("7", &json!(TRACE)));
    assert_eq!((of("binary").source.as_str(), of("binary").data.decode::<String>().unwrap()), ("/s €", "hello".into()));
    assert_eq!((of("tombstone").subject.as_deref(), &of("tombstone").data.bytes), (Some("gone"), &None));
    assert_eq!(of("structured").data.decode::<i32>().unwrap(), 7);
    stop(engine).await;
    kafka.end().await;
}

#[actix::test]
async fn what_is_no_event_is_kept_with_its_bytes_and_holds_up_no_partition() {
    let Some(kafka) = Kafka::start() else { return };
    // One partition: what comes after the poison is behind it.
    let kafka = kafka.with_partitions(1).await;
    let (place, seen) = (Place::new(), Seen::default());
    let mut config = place.config();
    kafka.configure(&mut config);
    config.server.body_limit = 1_000;
    let engine = Engine::builder().config(config).handler_fn("*", noting(&seen)).start().await.unwrap();
    let client = kafka.client();
    let large = [b'x'; 1_001];
    let poison = [Some(&b"\x00\xff\xfe poison"[..]), Some(b"{\"data\":1}"), Some(&large), None];
    for body in poison {
        client.publish(&kafka.topic, &[("x-sender", "a")], body).await;
        client.publish(&kafka.topic, &[], Some(br#"{"type":"good"}"#)).await;
    }
    until_count(&engine, Status::Invalid, 4).await;
    until_count(&engine, Status::Success, 4).await;
    let filter = evenkeel::persist::Filter { status: Some(Status::Invalid), ..Default::default() };
    let mut invalid = engine.reads().list(&filter, None, 10).await.unwrap();
    invalid.sort_by_key(|record| record.origin.offset);
    for (number, (record, sent)) in invalid.iter().zip(poison).enumerate() {
        let whole = engine.reads().whole(record.id).await.unwrap().unwrap();
        assert_eq!(whole.payload.bytes.as_deref(), Some(sent.unwrap_or_default()));
        assert_eq!((record.origin.partition, record.origin.offset), (Some(0), Some(2 * number as i64)));
        assert_eq!(
            (record.extensions["x-sender"].as_str(), &record.source),
            (Some("a"), &format!("/kafka/{}", kafka.topic))
        );
    }
    let errors: Vec<&str> = invalid.iter().map(|record| record.error.as_deref().unwrap()).collect();
    assert!(errors[0].starts_with("this is not UTF-8"), "{errors:?}");
    assert_eq!(errors[1], "`type` is missing");
    assert_eq!(errors[2], "the message has 1001 bytes; `server.body_limit` is 1000");
    assert_eq!(deliveries(&engine, "invalid"), 4);
    stop(engine).await;
    kafka.end().await;
}

#[actix::test]
async fn a_second_send_has_a_row_that_points_at_the_first() {
    let Some(kafka) = Kafka::start() else { return };
    let (place, seen) = (Place::new(), Seen::default());
    let engine = engine(&place, &kafka, &seen).await;
    let client = kafka.client();
    for _ in 0..2 {
        client.publish(&kafka.topic, &[], Some(br#"{"type":"t","id":"1","source":"/s"}"#)).await;
    }
    until_count(&engine, Status::Duplicate, 1).await;
    until_count(&engine, Status::Success, 1).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
    stop(engine).await;
    kafka.end().await;
}

#[actix::test]
async fn events_with_one_partition_key_share_a_partition_and_messages_carry_what_the_binding_says() {
    let Some(kafka) = Kafka::start() else { return };
    let (place, seen) = (Place::new(), Seen::default());
    let engine = engine(&place, &kafka, &seen).await;
    assert_eq!((kafka.client().partitions(&kafka.topic), kafka.client().partitions(&kafka.dlq)), (4, 1));
    let keyed = |number: i32| {
        NewEvent::raw("t", Payload::json(number.to_string()))
            .extension("partitionkey", "k 7")
            .extension("traceparent", TRACE)
    };
    let accepted = engine.submit_all((0..20).map(keyed).collect()).await.unwrap();
    until_count(&engine, Status::Success, 20).await;
    let mut places = Vec::new();
    for accepted in accepted {
        let record = settled(&engine, accepted.unwrap().id).await;
        places.push((record.origin.partition.unwrap(), record.origin.offset.unwrap()));
    }
    let expected: Vec<(i32, i64)> = (0..20).map(|offset| (places[0].0, offset)).collect();
    assert_eq!(places, expected, "in the order of their submission");
    stop(engine).await;
    kafka.end().await;
}

#[actix::test]
async fn a_death_is_published_once_with_what_it_was_and_why() {
    let Some(kafka) = Kafka::start() else { return };
    let place = Place::new();
    let mut config = place.config();
    kafka.configure(&mut config);
    let give_up = |_: Event<Payload>| std::future::ready(Err(HandlerError::permanent("no such account €")));
    let engine = Engine::builder().config(config.clone()).handler_fn("dead", give_up).start().await.unwrap();
    let client = kafka.client();
    let payload = Payload { content_type: Some("text/plain".into()), bytes: Some("hello".into()) };
    let event = NewEvent::raw("dead", payload).id("d-1").source("/s").subject("x").extension("traceparent", TRACE);
    let id = engine.submit(event.extension("partitionkey", "k")).await.unwrap().id;
    let letter = client.read(&kafka.dlq, 0).await;
    let record = settled(&engine, id).await;
    let offset = record.origin.offset.unwrap().to_string();
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "d-1"),
        ("ce_source", "/s"),
        ("ce_type", "dead"),
        ("ce_subject", "x"),
        ("ce_traceparent", TRACE),
        ("traceparent", TRACE),
        ("content-type", "text/plain"),
        ("evenkeel_record_id", &id.to_string()),
        ("evenkeel_reason", "FAILED_PERMANENT"),
        ("evenkeel_error", "no such account €"),
        ("evenkeel_handler", "dead"),
        ("evenkeel_topic", &kafka.topic),
        ("evenkeel_partition", &record.origin.partition.unwrap().to_string()),
        ("evenkeel_offset", &offset),
        ("evenkeel_round", "1"),
        ("evenkeel_attempts", "1"),
    ];
    for (name, value) in expected {
        assert_eq!(header(&letter, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!((letter.payload(), letter.key()), (Some(&b"hello"[..]), Some(&b"k"[..])));

    // What is INVALID is no dead letter, and what is written down as published is not published again.
    client.publish(&kafka.topic, &[], Some(b"poison")).await;
    until_count(&engine, Status::Invalid, 1).await;
    eventually("it is written down", async || {
        engine.reads().deaths("kafka", 9).await.unwrap().is_empty().then_some(())
    })
    .await;
    stop(engine).await;
    let engine = Engine::builder().config(config).handler_fn("dead", give_up).start().await.unwrap();
    let second = engine.submit(NewEvent::raw("dead", Payload::default()).id("d-2")).await.unwrap().id;
    let letter = client.read(&kafka.dlq, 1).await;
    assert_eq!(header(&letter, "evenkeel_record_id"), Some(second.to_string()));
    assert_eq!(client.depth(&kafka.dlq), 2);
    stop(engine).await;
    kafka.end().await;
}

#[actix::test]
async fn what_died_on_another_bus_is_not_published() {
    let Some(kafka) = Kafka::start() else { return };
    let place = Place::new();
    let give_up = |_: Event<Payload>| std::future::ready(Err(HandlerError::permanent("no")));
    let engine = place.engine().handler_fn("dead", give_up).start().await.unwrap();
    let first = engine.submit(NewEvent::raw("dead", Payload::default())).await.unwrap().id;
    settled(&engine, first).await;
    stop(engine).await;
    let mut config = place.config();
    kafka.configure(&mut config);
    let engine = Engine::builder().config(config).handler_fn("dead", give_up).start().await.unwrap();
    let second = engine.submit(NewEvent::raw("dead", Payload::default())).await.unwrap().id;
    let client = kafka.client();
    assert_eq!(header(&client.read(&kafka.dlq, 0).await, "evenkeel_record_id"), Some(second.to_string()));
    assert_eq!(client.depth(&kafka.dlq), 1);
    stop(engine).await;
    kafka.end().await;
}

#[actix::test]
async fn a_topic_that_cannot_be_made_is_named_with_what_to_type() {
    let Some(kafka) = Kafka::start() else { return };
    let mut config = Place::new().config();
    kafka.configure(&mut config);
    // Kafka takes no names that differ in dots and underscores alone.
    kafka.client().make(&format!("{}_a", kafka.topic), 1).await;
    config.kafka.topic = format!("{}.a", kafka.topic);
    let error = Engine::builder().config(config).start().await.err().unwrap();
    assert!(matches!(error, Error::Bus(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("the topic `{}.a` of Kafka cannot be used: it is not there", kafka.topic)),
        "{text}"
    );
    let typed = format!(
        "kafka-topics.sh --bootstrap-server {} --create --topic {}.a --partitions 4",
        kafka.brokers, kafka.topic
    );
    assert!(text.ends_with(&typed), "{text}");
}

#[actix::test]
async fn messages_of_kcat_are_understood() {
    let (Some(kafka), Some(kcat)) = (Kafka::start(), tools::kcat()) else { return };
    let (place, seen) = (Place::new(), Seen::default());
    let engine = engine(&place, &kafka, &seen).await;
    let send = |arguments: &[&str], value: &str| {
        let mut command = Command::new(&kcat);
        command.args(["-P", "-b", &kafka.brokers, "-t", &kafka.topic]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), value.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    };
    send(&[], "{\"type\":\"plain\",\"id\":\"1\"}\n{\"type\":\"plain\",\"id\":\"2\"}\n");
    let binary = ["-H", "ce_specversion=1.0", "-H", "ce_id=b", "-H", "ce_source=/s", "-H", "ce_type=binary"];
    send(&[&binary[..], &["-H", "content-type=text/plain", "-k", "key"]].concat(), "hello");
    let nothing = ["-H", "ce_specversion=1.0", "-H", "ce_id=n", "-H", "ce_source=/s", "-H", "ce_type=nothing"];
    send(&[&nothing[..], &["-Z", "-K", ":"]].concat(), "key:\n");
    let structured = r#"{"specversion":"1.0","id":"s","source":"/s","type":"structured","data":{"a":1}}"#;
    send(&["-H", "content-type=application/cloudevents+json"], structured);
    until_count(&engine, Status::Success, 5).await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let of = |event_type: &str| seen.iter().find(|event| event.event_type == event_type).unwrap();
    assert_eq!(seen.iter().filter(|event| event.event_type == "plain").count(), 2);
    assert_eq!(of("binary").data.decode::<String>().unwrap(), "hello");
    assert_eq!(of("nothing").data.bytes, None);
    assert_eq!(of("structured").data.decode::<serde_json::Value>().unwrap(), json!({ "a": 1 }));
    stop(engine).await;
    kafka.end().await;
}
