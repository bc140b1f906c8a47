//! What goes over a bus arrives as it was: events, what is no event, dead letters, and the trace through all of it.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use evenkeel::ingest::decode::decode_object;
use evenkeel::lifecycle::Status;
use evenkeel::{Engine, Event, HandlerError, NewEvent, Payload};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::bus::{Bus, Raw, on_each_broker, on_each_bus};
use crate::harness::{Place, eventually, settled, stop};
use crate::process::{Node, configure};
use crate::target::{Reply, Target};

/// The real events, as they would be submitted.
fn real_events() -> Vec<NewEvent> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
    let files = ["chemical-status.ndjson.gz", "github-webhooks.ndjson.gz"];
    let lines = files.into_iter().flat_map(|file| {
        let file = std::fs::File::open(format!("{data}{file}")).unwrap();
        BufReader::new(GzDecoder::new(file)).lines().map(Result::unwrap)
    });
    lines.map(|line| decode_object(Bytes::from(line)).unwrap()).collect()
}

on_each_bus!(the_real_events_come_out_as_they_went_in_with_the_ids_that_were_answered);
async fn the_real_events_come_out_as_they_went_in_with_the_ids_that_were_answered<B: Bus>(bus: B, place: Place) {
    let mut config = place.config();
    bus.configure(&mut config);
    let seen = Arc::<Mutex<HashMap<String, Event<Payload>>>>::default();
    let notes = Arc::clone(&seen);
    let note = move |event: Event<Payload>| {
        let again = notes.lock().unwrap().insert(format!("{} {}", event.source, event.id), event);
        assert!(again.is_none(), "{again:?} was handled before");
        std::future::ready(Ok(()))
    };
    let engine = Engine::builder().config(config).handler_fn("*", note).start().await.unwrap();
    let events = real_events();
    assert_eq!(events.len(), 1_329);
    let mut accepted = Vec::new();
    for batch in events.chunks(500) {
        for result in engine.submit_all(batch.to_vec()).await.unwrap() {
            accepted.push(result.unwrap());
        }
    }
    eventually("all of it is handled", async || (seen.lock().unwrap().len() == 1_329).then_some(())).await;
    let mut positions = HashSet::new();
    for (sent, accepted) in events.iter().zip(&accepted) {
        // Who has an answer of a broker has no record yet.
        assert!(!accepted.duplicate && (!B::capabilities().broker || accepted.status == Status::Pending));
        let record = settled(&engine, accepted.id).await;
        assert_eq!((record.status, record.attempt_count), (Status::Success, 1));
        assert_eq!((&record.event_id, &record.source), (&accepted.event_id, &accepted.source));
        assert_eq!(record.origin.topic.is_some(), B::capabilities().broker);
        let position = record.origin.partition.zip(record.origin.offset);
        assert_eq!(position.is_some_and(|position| positions.insert(position)), B::capabilities().positions);
        let got = seen.lock().unwrap().remove(&format!("{} {}", accepted.source, accepted.event_id)).unwrap();
        let mut extensions = got.extensions;
        let promised = extensions.remove("evenkeelid");
        assert_eq!(promised, B::capabilities().broker.then(|| accepted.id.to_string().into()));
        assert_eq!((&got.event_type, &got.subject, got.time), (&sent.event_type, &sent.subject, sent.time));
        assert_eq!((&extensions, &got.data.bytes), (&sent.extensions, &sent.payload.bytes));
    }
    assert_eq!(engine.reads().list(&Default::default(), None, 10_000).await.unwrap().len(), 1_329);
    stop(engine).await;
    bus.end().await;
}

on_each_bus!(what_is_no_event_is_kept_with_its_bytes_or_left_to_its_sender_and_stops_nobody);
async fn what_is_no_event_is_kept_with_its_bytes_or_left_to_its_sender_and_stops_nobody<B: Bus>(bus: B, place: Place) {
    let target = Target::new(|_| Reply::Now(200));
    let schema = "[[schema]]\ntype = \"strict\"\nfile = \"strict.json\"\n";
    std::fs::write(place.path().join("strict.json"), r#"{"type":"object","required":["amount"]}"#).unwrap();
    let handler = target.handler("target", "*");
    configure(&place, &format!("{}server.body_limit = 1000\n{schema}{handler}", bus.toml(1)));
    let mut node = Node::serve(&place).await;
    let oversized = Raw::event("good", "huge", &format!("\"{}\"", "x".repeat(1_000)));
    let cases = [
        (Raw::json(&b"\x00\xff\xfe poison"[..]).header("x-sender", "a"), "this is not UTF-8"),
        (Raw::json(&b"{\"data\":1"[..]), "this is not well-formed JSON"),
        (Raw::json(&b"{\"data\":1}"[..]), "`type` is missing"),
        (oversized, "`server.body_limit` is 1000"),
        (Raw::event("strict", "s-1", r#"{"amoumt":7}"#), "amount"),
    ];
    let mut left = Vec::new();
    for (number, (message, _)) in cases.iter().enumerate() {
        left.extend(bus.publish(&node, std::slice::from_ref(message)).await);
        assert!(bus.publish(&node, &[Raw::numbered("good", number)]).await.is_empty());
    }
    // Who sends over HTTP still has it, and only what breaks its schema is kept.
    assert_eq!(left.len(), if B::capabilities().broker { 0 } else { cases.len() - 1 });
    let kept = cases.len() - left.len();
    node.until_count("INVALID", kept as u64).await;
    node.until_count("SUCCESS", cases.len() as u64).await;
    for record in node.list("status=INVALID").await {
        let record = node.record(record["id"].as_str().unwrap()).await;
        assert_eq!(record["final_status"], "FAILED");
        assert_eq!(record["origin"]["topic"].is_string(), B::capabilities().broker, "{record}");
        assert_eq!(record["origin"]["offset"].is_number(), B::capabilities().positions, "{record}");
        let is_first = record["error"].as_str().unwrap().starts_with("this is not UTF-8");
        assert_eq!(record["extensions"]["x-sender"] == "a", is_first, "{record}");
    }
    assert_eq!(node.metric("evenkeel_events_total{status=\"INVALID\"}").await, Some(kept as f64));
    assert!(node.terminate().await.success());
    let rows = place.rows("SELECT data, error FROM event_record WHERE status = 'INVALID'").await;
    let reasons: HashMap<Vec<u8>, String> =
        rows.iter().map(|row| (row.try_get("", "data").unwrap(), row.try_get("", "error").unwrap())).collect();
    for (message, reason) in &cases {
        let is_left = left.iter().any(|left| left.body == message.body);
        // Of what is an event the data is kept.
        let bytes = if *reason == "amount" { &b"{\"amoumt\":7}"[..] } else { &message.body };
        let told = reasons.get(bytes);
        assert!(if is_left { told.is_none() } else { told.unwrap().contains(reason) }, "{reason}: {told:?}");
    }
    bus.end().await;
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn parent() -> String {
    format!("00-{TRACE}-b7ad6b7169203331-01")
}

on_each_bus!(a_trace_goes_on_from_the_sender_to_the_handler);
async fn a_trace_goes_on_from_the_sender_to_the_handler<B: Bus>(bus: B, place: Place) {
    let target = Target::new(|_| Reply::Now(200));
    configure(&place, &format!("{}{}", bus.toml(1), target.handler("target", "*")));
    let mut node = Node::serve(&place).await;
    // One names its trace in the protocol's own place, and one has it as its attribute.
    let own = json!({
        "specversion": "1.0", "id": "own", "source": "/suite", "type": "t", "traceparent": parent(), "tracestate": "a=1"
    });
    let structured = Raw { content_type: "application/cloudevents+json", ..Raw::json(own.to_string()) };
    let header = Raw::numbered("t", 1).header("traceparent", &parent()).header("tracestate", "a=1");
    assert!(bus.publish(&node, &[structured, header]).await.is_empty());
    // And one is posted over HTTP, whatever the bus is.
    let request = node.http.post(format!("{}/api/v1/events", node.url)).header("traceparent", parent());
    let answer =
        request.header("tracestate", "a=1").json(&json!({ "type": "t", "id": "posted" })).send().await.unwrap();
    assert!(answer.status().is_success());
    node.until_count("SUCCESS", 3).await;
    let traces: Vec<String> = target.seen().into_iter().filter_map(|delivery| delivery.trace).collect();
    assert_eq!(traces.len(), 3);
    for record in node.list("").await {
        assert_eq!(record["extensions"]["tracestate"], "a=1", "{record}");
        let kept = record["extensions"]["traceparent"].as_str().unwrap();
        assert_eq!(kept.split('-').nth(1), Some(TRACE), "{record}");
        assert!(traces.iter().all(|trace| trace.split('-').nth(1) == Some(TRACE)), "{traces:?}");
    }
    assert!(node.terminate().await.success());
    bus.end().await;
}

on_each_broker!(a_death_is_published_once_with_what_it_was_and_why);
async fn a_death_is_published_once_with_what_it_was_and_why<B: Bus>(bus: B, place: Place) {
    let target = Target::new(|_| Reply::Now(400));
    configure(&place, &format!("{}{}", bus.toml(1), target.handler("target", "dead")));
    let mut node = Node::serve(&place).await;
    let event = json!({
        "specversion": "1.0", "id": "d-1", "source": "/suite", "type": "dead", "subject": "x", "traceparent": parent(),
        "time": "2026-01-05T08:02:20+01:00", "datacontenttype": "text/plain", "data": "hello €", "partitionkey": "k"
    });
    let structured = Raw { content_type: "application/cloudevents+json", ..Raw::json(event.to_string()) };
    // What is INVALID is no dead letter, and what has no handler is none either.
    assert!(bus.publish(&node, &[Raw::json("poison"), structured, Raw::numbered("else", 1)]).await.is_empty());
    let letter = bus.letter().await;
    let record = node.list("final_status=DEAD_LETTER").await.remove(0);
    let expected = json!({
        "specversion": "1.0", "id": "d-1", "source": "/suite", "type": "dead", "subject": "x", "traceparent": parent(),
        "time": "2026-01-05T08:02:20+01:00", "partitionkey": "k"
    });
    assert_eq!(Value::Object(letter.attributes), expected);
    assert_eq!((letter.content_type.as_deref(), &letter.body[..]), (Some("text/plain"), "hello €".as_bytes()));
    let whole = node.record(record["id"].as_str().unwrap()).await;
    let told = |name: &str| letter.headers.get(name).cloned().unwrap_or_default();
    for (name, value) in [
        ("traceparent", &json!(parent())),
        ("evenkeel_record_id", &record["id"]),
        ("evenkeel_reason", &json!("FAILED_PERMANENT")),
        ("evenkeel_error", &record["error"]),
        ("evenkeel_handler", &json!("target")),
        ("evenkeel_topic", &whole["origin"]["topic"]),
        ("evenkeel_partition", &whole["origin"]["partition"]),
        ("evenkeel_offset", &whole["origin"]["offset"]),
        ("evenkeel_round", &json!(1)),
        ("evenkeel_attempts", &json!(1)),
    ] {
        assert_eq!(text(&told(name)), text(value), "{name}");
    }
    // A redrive that fails is another death.
    node.until_count("INVALID", 1).await;
    node.until_count("NO_HANDLER", 1).await;
    let redrive = format!("/api/v1/dead-letters/{}/redrive", record["id"].as_str().unwrap());
    node.post(&redrive, &json!({})).await;
    let second = bus.letter().await;
    assert_eq!(second.headers["evenkeel_record_id"], record["id"]);
    assert_eq!((text(&second.headers["evenkeel_round"]), bus.letters().await), ("2".to_owned(), 0));
    assert!(node.terminate().await.success());
    // Nor does a start publish anything again.
    let mut node = Node::serve(&place).await;
    assert!(bus.publish(&node, &[Raw::numbered("dead", 2)]).await.is_empty());
    assert_eq!(bus.letter().await.attributes["id"], "2");
    assert_eq!(bus.letters().await, 0);
    assert!(node.terminate().await.success());
    bus.end().await;
}

on_each_broker!(what_died_on_another_bus_is_not_published);
async fn what_died_on_another_bus_is_not_published<B: Bus>(bus: B, place: Place) {
    let give_up = |_: Event<Payload>| std::future::ready(Err(HandlerError::permanent("no")));
    let engine = place.engine().handler_fn("dead", give_up).start().await.unwrap();
    let first = engine.submit(NewEvent::raw("dead", Payload::default())).await.unwrap().id;
    settled(&engine, first).await;
    stop(engine).await;
    let mut config = place.config();
    bus.configure(&mut config);
    let engine = Engine::builder().config(config).handler_fn("dead", give_up).start().await.unwrap();
    let second = engine.submit(NewEvent::raw("dead", Payload::default())).await.unwrap().id;
    assert_eq!(bus.letter().await.headers["evenkeel_record_id"], second.to_string());
    assert_eq!(bus.letters().await, 0);
    stop(engine).await;
    bus.end().await;
}

/// A header's value: some protocols know numbers, and some only text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
