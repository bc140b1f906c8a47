//! Kafka as the bus: what it alone has. What holds of every bus is in `bus_suite.rs`.

use std::process::{Command, Stdio};

use evenkeel::engine::Error;
use evenkeel::lifecycle::Status;
use evenkeel::{Engine, NewEvent, Payload};
use serde_json::json;

use crate::harness::{Place, settled, stop};
use crate::kafka_broker::Kafka;
use crate::rabbitmq::{Seen, noting, until_count};
use crate::tools;

async fn engine(place: &Place, kafka: &Kafka, seen: &Seen) -> Engine {
    let mut config = place.config();
    kafka.configure(&mut config);
    Engine::builder().config(config).handler_fn("*", noting(seen)).start().await.unwrap()
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

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
    let (partition_of_nothing, offset_of_nothing) = client.publish(topic, &[("x-sender", "a")], None).await;
    until_count(&engine, Status::Success, 5).await;
    until_count(&engine, Status::Invalid, 1).await;
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
    let filter = evenkeel::persist::Filter { status: Some(Status::Invalid), ..Default::default() };
    let nothing = engine.reads().list(&filter, None, 10).await.unwrap().remove(0);
    let origin = (nothing.origin.partition, nothing.origin.offset);
    assert_eq!(origin, (Some(partition_of_nothing), Some(offset_of_nothing)));
    assert_eq!((&nothing.source, &nothing.extensions["x-sender"]), (&format!("/kafka/{topic}"), &json!("a")));
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
