//! W3C trace context: an event belongs to the trace that it names, or else to that of its request.

use wiremock::Request;

use super::wire::{Wire, binary, event_of, post};
use super::*;

const OURS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OWN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn traced(request: TestRequest) -> TestRequest {
    request
        .append_header(("traceparent", OURS))
        .append_header(("tracestate", "a=1"))
        .append_header(("tracestate", "b=2"))
}

/// The trace of a delivery: its extensions, which its headers have to repeat.
fn trace(request: &Request) -> [Option<String>; 2] {
    let document: Value = serde_json::from_slice(&request.body).unwrap();
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let told = ["traceparent", "tracestate"].map(header);
    assert_eq!(told, ["traceparent", "tracestate"].map(|name| document[name].as_str().map(str::to_owned)));
    told
}

fn is(parent: &str, state: Option<&str>) -> [Option<String>; 2] {
    [Some(parent.to_owned()), state.map(str::to_owned)]
}

#[actix::test]
async fn events_without_a_trace_join_that_of_their_request() {
    let wire = Wire::start().await;
    let structured = post("application/cloudevents+json", event_of("s", json!({})).to_string());
    let plain = post("application/json", json!({ "type": "wire.sent" }).to_string());
    for request in [structured, plain, binary("b", &[], "", "")] {
        assert_eq!(trace(&wire.through(traced(request)).await), is(OURS, Some("a=1,b=2")));
    }
    let record = wire.node.get(&format!("{EVENTS}/s")).await.json();
    assert_eq!(record["extensions"], json!({ "traceparent": OURS, "tracestate": "a=1,b=2" }));
    wire.node.end().await;
}

#[actix::test]
async fn the_trace_of_an_event_is_its_own_whatever_its_request_belongs_to() {
    let wire = Wire::start().await;
    let structured = post("application/cloudevents+json", event_of("s", json!({ "traceparent": OWN })).to_string());
    let state = [("traceparent", OWN), ("tracestate", "own=1")];
    assert_eq!(trace(&wire.through(traced(structured)).await), is(OWN, None));
    assert_eq!(trace(&wire.through(traced(binary("b", &state, "", ""))).await), is(OWN, Some("own=1")));
    wire.node.end().await;
}

#[actix::test]
async fn each_event_of_a_batch_has_its_own_trace_or_that_of_the_request() {
    let wire = Wire::start().await;
    let batch = json!([event_of("1", json!({ "traceparent": OWN })), { "type": "wire.sent" }, 7]);
    let outcome = wire.node.ask(traced(post("application/json", batch.to_string()))).await.json();
    for (n, expected) in [(0, is(OWN, None)), (1, is(OURS, Some("a=1,b=2")))] {
        let received = wire.received(outcome["results"][n]["id"].as_str().unwrap()).await;
        assert_eq!(trace(&received), expected);
    }
    wire.node.end().await;
}

#[actix::test]
async fn no_trace_is_invented_and_a_wrong_one_is_ignored() {
    let wire = Wire::start().await;
    assert_eq!(trace(&wire.through(binary("none", &[], "", "")).await), [None, None]);
    let wrong = binary("wrong", &[], "", "").append_header(("traceparent", OURS.to_uppercase()));
    assert_eq!(trace(&wire.through(wrong.append_header(("tracestate", "a=1"))).await), [None, None]);
    let state = binary("state", &[], "", "").append_header(("tracestate", "a=1"));
    assert_eq!(trace(&wire.through(state).await), [None, None]);
    wire.node.end().await;
}

#[actix::test]
async fn an_extension_that_is_no_trace_is_kept_and_told_to_nobody() {
    let wire = Wire::start().await;
    let received = wire.through(traced(binary("b", &[("traceparent", "00-%0d%0ax-y")], "", ""))).await;
    let document: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(document["traceparent"], json!("00-\r\nx-y"));
    assert_eq!(received.headers.get("traceparent"), None);
    wire.node.end().await;
}

#[actix::test]
async fn the_same_event_in_another_trace_is_a_duplicate() {
    let wire = Wire::start().await;
    let request = || binary("b", &[], "text/plain", "hi");
    let first = wire.node.ask(traced(request())).await.json();
    let second = wire.node.ask(request().append_header(("traceparent", OWN))).await.json();
    assert_eq!((&second["duplicate"], &second["id"]), (&json!(true), &first["id"]));
    assert_eq!(trace(&wire.received(first["id"].as_str().unwrap()).await), is(OURS, Some("a=1,b=2")));
    wire.node.end().await;
}
