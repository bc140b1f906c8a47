//! Exports: a line each, of as much as there is.

use super::*;

const EXPORT: &str = "/api/v1/events.ndjson";

fn lines(answer: &Answered) -> Vec<Value> {
    answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[actix::test]
async fn an_export_has_every_record_that_matches_with_its_data_newest_first() {
    let node = Node::start().await;
    let mut all = Vec::new();
    for n in 0..70 {
        all.insert(0, node.settle(NewEvent::new("ok.a", &json!({ "n": n })).unwrap()).await);
    }
    node.settle(event("fail")).await;
    let answer = node.get(&format!("{EXPORT}?status=SUCCESS")).await;
    assert_eq!((answer.said(), answer.header("content-type")), (told(200, ""), Some("application/x-ndjson")));
    let lines = lines(&answer);
    assert_eq!(lines.iter().map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>(), strings(&all));
    assert_eq!((&lines[0]["data"], &lines[0]["status"]), (&json!({ "n": 69 }), &json!("SUCCESS")));
    assert_eq!(node.get(&format!("{EXPORT}?status=POISON")).await.text, "");
    assert_eq!(node.head(EXPORT).await.said(), told(200, ""));
    node.end().await;
}

#[actix::test]
async fn what_is_exported_as_events_can_be_sent_again() {
    let node = Node::start().await;
    let sent = "{\n  \"big\": 123456789012345678901234567890,\r\n \"text\": \"a\\nb\"\n}";
    node.settle(NewEvent::raw("ok.a", Payload::json(sent)).id("1").source("/shop").extension("share", "x")).await;
    let text = Payload { content_type: Some("text/plain".to_owned()), bytes: Some("a\nb".into()) };
    node.settle(NewEvent::raw("ok.a", text).id("2").source("/shop")).await;
    node.settle(event("ok.a").id("3").source("/shop")).await;
    node.settle(event("ok.a").id("3").source("/shop")).await;
    let exported = node.get(&format!("{EXPORT}?form=event")).await;
    assert_eq!(exported.text.lines().count(), 3, "a duplicate is no event of its own: {exported:?}");
    let other = Node::start().await;
    let batch = format!("[{}]", exported.text.lines().collect::<Vec<_>>().join(","));
    let sent_again = other.send("application/cloudevents-batch+json", batch.clone()).await;
    assert_eq!((sent_again.said(), &sent_again.json()["accepted"]), (told(202, ""), &json!(3)));
    // And it is the same content: the first node knows all of it.
    let known = node.send("application/cloudevents-batch+json", batch).await;
    assert_eq!((known.said(), &known.json()["duplicates"]), (told(202, ""), &json!(3)));
    let record = node.get(&format!("{EXPORT}?event_id=1")).await;
    assert!(record.text.contains("123456789012345678901234567890"), "{record:?}");
    node.end().await;
    other.end().await;
}

#[actix::test]
async fn a_bad_export_is_refused_by_name_and_a_draining_node_gives_none() {
    let node = Node::start().await;
    for (query, code) in
        [("form=csv", "bad_parameter"), ("limit=1", "unknown_parameter"), ("status=x", "bad_parameter")]
    {
        assert_eq!(node.get(&format!("{EXPORT}?{query}")).await.said(), told(400, code));
    }
    node.engine.api().pool.drain();
    assert_eq!(node.get(EXPORT).await.said(), told(503, "draining"));
    node.end().await;
}
