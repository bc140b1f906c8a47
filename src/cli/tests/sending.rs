//! `send`: batches, splits, retries and what is told of them.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, Request, ResponseTemplate};

use super::*;

const ID: &str = "0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11";

fn posts() -> wiremock::MockBuilder {
    Mock::given(method("POST")).and(path("/api/v1/events"))
}

fn accepted(event: &Value) -> Value {
    json!({ "id": ID, "event_id": event["id"], "source": "/api/v1/events", "type": event["type"],
            "status": "PENDING", "duplicate": event["subject"] == "duplicate" })
}

/// A node that refuses the events whose subject is `bad`, and bodies over `limit` bytes.
fn node_with_limit(limit: usize) -> impl Fn(&Request) -> ResponseTemplate {
    move |request| {
        if request.body.len() > limit {
            return ResponseTemplate::new(413).set_body_json(json!({ "title": "Body too large", "status": 413 }));
        }
        let events: Vec<Value> = request.body_json().unwrap();
        let problem = json!({ "title": "Schema violation", "status": 422, "detail": "`cas` is missing",
                              "errors": [{ "pointer": "/data/cas", "detail": "is missing" }] });
        let bad = |event: &Value| event["subject"] == "bad";
        let results: Vec<Value> =
            events.iter().map(|event| if bad(event) { json!({ "error": problem }) } else { accepted(event) }).collect();
        let invalid = events.iter().filter(|event| bad(event)).count();
        let status = match invalid {
            0 => 202,
            all if all == events.len() => 422,
            _ => 207,
        };
        ResponseTemplate::new(status).set_body_json(
            json!({ "accepted": events.len() - invalid, "duplicates": 0, "invalid": invalid, "results": results }),
        )
    }
}

async fn node(limit: usize) -> MockServer {
    let node = MockServer::start().await;
    posts().respond_with(node_with_limit(limit)).mount(&node).await;
    node
}

/// A file in a folder that goes away with the test.
fn file(name: &str, content: &[u8]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_file_goes_out_in_batches_and_in_order() {
    let node = node(usize::MAX).await;
    let lines: String = (0..5).map(|n| format!("{{\"type\":\"a\",\"data\":{n}}}\n")).collect();
    let (_folder, path) = file("events.ndjson", lines.as_bytes());
    let ran = run(&node.uri(), &["send", "--file", &path, "--batch", "2", "--output", "json"]).await;
    assert_eq!(ran.exit, Ok(Exit::Done));
    let summary = ran.json();
    assert_eq!((&summary["sent"], &summary["accepted"], &summary["invalid"]), (&json!(5), &json!(5), &json!(0)));
    let bodies = bodies(&node).await;
    let data: Vec<Vec<u64>> = bodies
        .iter()
        .map(|batch| batch.as_array().unwrap().iter().map(|event| event["data"].as_u64().unwrap()).collect())
        .collect();
    assert_eq!(data, [vec![0, 1], vec![2, 3], vec![4]]);
}

#[tokio::test]
async fn sending_a_file_twice_sends_the_same_ids() {
    let node = node(usize::MAX).await;
    let (_folder, path) = file("events.ndjson", b"{\"type\":\"a\"}\n{\"type\":\"a\"}\n");
    run(&node.uri(), &["send", "--file", &path]).await;
    run(&node.uri(), &["send", "--file", &path]).await;
    let bodies = bodies(&node).await;
    assert_eq!(bodies[0], bodies[1]);
    assert_ne!(bodies[0][0]["id"], bodies[0][1]["id"]);
}

#[tokio::test]
async fn gzipped_cloud_events_go_out_as_a_cloud_events_batch() {
    let node = MockServer::start().await;
    posts()
        .and(header("content-type", "application/cloudevents-batch+json"))
        .respond_with(node_with_limit(usize::MAX))
        .expect(1)
        .mount(&node)
        .await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(br#"{"specversion":"1.0","id":"1","source":"/s","type":"a"}"#).unwrap();
    let (_folder, path) = file("events.ndjson.gz", &gzip.finish().unwrap());
    let ran = run(&node.uri(), &["send", "--file", &path]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
}

#[tokio::test]
async fn bad_lines_are_told_by_number_and_the_rest_is_sent() {
    let node = node(usize::MAX).await;
    let lines = br#"{"type":"a","id":"1"}
not json
{"type":"a","id":"3","subject":"bad"}

{"type":"a","id":"5","subject":"duplicate"}
"#;
    let (_folder, path) = file("events.ndjson", lines);
    let ran = run(&node.uri(), &["send", "--file", &path]).await;
    assert_eq!(ran.exit, Ok(Exit::Failed));
    let told = ran.out.split_once("events/s\n").unwrap().1;
    insta::assert_snapshot!(told, @r"
    accepted    1
    duplicates  1
    invalid     2

    line 2: Not JSON: expected ident at column 2
    line 3: Schema violation: `cas` is missing
      /data/cas: is missing
    ");
}

#[tokio::test]
async fn a_batch_that_is_too_large_goes_in_halves_and_only_the_large_event_is_invalid() {
    let node = node(200).await;
    let big = "x".repeat(300);
    let lines: String =
        ["a", "b", &big, "d"].iter().map(|data| format!("{{\"type\":\"a\",\"data\":\"{data}\"}}\n")).collect();
    let (_folder, path) = file("events.ndjson", lines.as_bytes());
    let ran = run(&node.uri(), &["send", "--file", &path, "--output", "json"]).await;
    assert_eq!(ran.exit, Ok(Exit::Failed));
    let summary = ran.json();
    assert_eq!((&summary["accepted"], &summary["invalid"]), (&json!(3), &json!(1)));
    assert_eq!(summary["problems"], json!([{ "line": 3, "problem": { "title": "Body too large", "status": 413 } }]));
}

#[tokio::test]
async fn a_busy_node_is_asked_again_and_nothing_is_sent_twice_under_another_id() {
    let node = MockServer::start().await;
    let busy = ResponseTemplate::new(503).insert_header("retry-after", "0");
    posts().respond_with(busy).up_to_n_times(2).mount(&node).await;
    posts()
        .respond_with(|request: &Request| {
            ResponseTemplate::new(202).set_body_json(accepted(&request.body_json().unwrap()))
        })
        .mount(&node)
        .await;
    let ran = run(&node.uri(), &["send", "demo.hello", r#"{"name":"Ada"}"#]).await;
    assert_eq!(ran.exit, Ok(Exit::Done), "{}", ran.err);
    assert_eq!(ran.out, format!("accepted {ID} (demo.hello) PENDING\n"));
    assert_eq!(ran.err.matches("Trying again").count(), 1);
    let bodies = bodies(&node).await;
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| body == &bodies[0]));
    assert_eq!(bodies[0]["data"], json!({ "name": "Ada" }));
}

#[tokio::test]
async fn a_node_that_is_away_for_longer_than_the_wait_is_told() {
    let node = MockServer::start().await;
    let busy = json!({ "title": "Not ready", "detail": "the database is away", "hint": "See /readyz." });
    let answer = ResponseTemplate::new(503).insert_header("retry-after", "60").set_body_json(busy);
    posts().respond_with(answer).expect(1).mount(&node).await;
    let ran = run(&node.uri(), &["send", "demo.hello"]).await;
    assert_eq!(ran.exit, Err("Not ready: the database is away\n  See /readyz.".to_owned()));
}

#[tokio::test]
async fn nobody_at_the_url_is_told_with_what_to_do() {
    let pace = Pace { retry_total: Duration::ZERO, ..quick() };
    // Port 1 is reserved and nobody listens there.
    let ran = run_at("http://127.0.0.1:1", &["send", "demo.hello"], &pace).await;
    let error = ran.exit.unwrap_err();
    assert!(error.contains("http://127.0.0.1:1/") && error.contains("`evenkeel dev`"), "{error}");
}

#[tokio::test]
async fn a_refused_event_is_one_json_document_and_status_1() {
    let node = MockServer::start().await;
    let problem = json!({ "title": "Id used again", "status": 409, "code": "id_reused", "detail": "other data" });
    posts().respond_with(ResponseTemplate::new(409).set_body_json(problem.clone())).mount(&node).await;
    let ran = run(&node.uri(), &["send", "a", "--id", "1", "--output", "json"]).await;
    assert_eq!(ran.exit, Ok(Exit::Failed));
    assert_eq!((&ran.json()["invalid"], &ran.json()["problem"]), (&json!(1), &problem));
    assert_eq!(ran.err, "error: Id used again: other data\n");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told() {
    let ran = run("http://127.0.0.1:1", &["send", "--file", "/no/such/file"]).await;
    assert_eq!(ran.exit, Err("cannot open /no/such/file: No such file or directory (os error 2)".to_owned()));
}
