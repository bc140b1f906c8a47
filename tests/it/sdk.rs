//! Events of other people's SDKs, Python's and JavaScript's: taken in every mode that they have, and posted by the
//! webhook handler as events that are equal, which the same SDK reads back.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::harness::{Place, eventually};
use crate::kafka_broker::Kafka;
use crate::process::{Node, configure};
use crate::tools;

const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools");

/// Runs a program with this input; gives the JSON that it prints.
async fn run(mut command: Command, input: String) -> Value {
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let ended = ended.await.unwrap();
    assert!(ended.status.success(), "the script ended with {}", ended.status);
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// A delivery as the scripts print events.
fn canonical(request: &Request) -> Value {
    let mut members: Map<String, Value> = serde_json::from_slice(&request.body).unwrap();
    let (data, base64) = (members.remove("data"), members.remove("data_base64"));
    let mut attributes = Map::new();
    for (name, value) in members {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let time = || chrono::DateTime::parse_from_rfc3339(&text).unwrap().to_utc();
        let utc = (name == "time").then(|| time().to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        attributes.insert(name, utc.unwrap_or(text).into());
    }
    match (data, base64) {
        (Some(Value::String(text)), None) => json!({ "attributes": attributes, "bytes": STANDARD.encode(text) }),
        (Some(data), None) => json!({ "attributes": attributes, "json": data }),
        (None, Some(bytes)) => json!({ "attributes": attributes, "bytes": bytes }),
        (None, None) => json!({ "attributes": attributes }),
        both => panic!("{both:?}"),
    }
}

/// Lets a script send its events, and compares what the webhook's receiver gets with what the script has sent.
async fn through(script: impl Fn(&[&str]) -> Command) -> Vec<Request> {
    let receiver = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(204)).mount(&receiver).await;
    let place = Place::new();
    let url = receiver.uri();
    let hook = "[[handler]]\nname = \"hook\"\nkind = \"webhook\"\ntypes = [\"sdk.*\"]\nallow_private = true";
    configure(&place, &format!("{hook}\nurl = \"{url}\"\n"));
    let mut node = Node::serve(&place).await;
    let sent = run(script(&["send", &node.url]), String::new()).await;
    let sent = sent.as_array().unwrap();
    node.idle().await;

    let requests = receiver.received_requests().await.unwrap();
    assert_eq!(requests.len(), sent.len(), "one delivery an event");
    let delivery_of =
        |record: &Value| requests.iter().find(|request| request.headers["webhook-id"] == *record.as_str().unwrap());
    let received: Vec<Request> = sent.iter().map(|one| delivery_of(&one["record"]).unwrap().clone()).collect();
    for (one, request) in sent.iter().zip(&received) {
        assert_eq!(canonical(request), one["event"], "{}", one["case"]);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let content_type = |request: &Request| request.headers["content-type"].to_str().unwrap().to_owned();
    let deliveries: Vec<Value> = received
        .iter()
        .map(|request| json!({ "content_type": content_type(request), "body": text(&request.body) }))
        .collect();
    let read = run(script(&["read"]), Value::from(deliveries).to_string()).await;
    for (one, read) in sent.iter().zip(read.as_array().unwrap()) {
        assert_eq!(read, &one["event"], "{}", one["case"]);
    }
    assert_eq!(read.as_array().unwrap().len(), sent.len());
    assert!(node.terminate().await.success());
    received
}

/// Publishes to Kafka what a script makes, and compares what the webhook's receiver gets.
async fn through_kafka(kafka: Kafka, script: Command) -> usize {
    let receiver = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(204)).mount(&receiver).await;
    let place = Place::new();
    let hook = "[[handler]]\nname = \"hook\"\nkind = \"webhook\"\ntypes = [\"sdk.*\"]\nallow_private = true";
    configure(&place, &format!("{}{hook}\nurl = \"{}\"\n", kafka.toml(), receiver.uri()));
    let mut node = Node::serve(&place).await;
    let messages = run(script, String::new()).await;
    let (messages, client) = (messages.as_array().unwrap(), kafka.client());
    for message in messages {
        let headers = message["headers"].as_object().unwrap().iter();
        let headers: Vec<(&str, &str)> =
            headers.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        let value = message["value"].as_str().map(|value| STANDARD.decode(value).unwrap());
        client.publish(&kafka.topic, &headers, value.as_deref()).await;
    }
    eventually("all is handled", async || {
        let stats = node.get("/api/v1/stats").await;
        assert_eq!(stats["by_status"]["INVALID"], 0, "{}", node.get("/api/v1/events?status=INVALID").await);
        (stats["by_status"]["SUCCESS"] == messages.len()).then_some(())
    })
    .await;
    let requests = receiver.received_requests().await.unwrap();
    let received: Vec<Value> = requests.iter().map(canonical).collect();
    for message in messages {
        assert!(received.contains(&message["event"]), "{}: {received:?}", message["case"]);
    }
    assert!(node.terminate().await.success());
    kafka.end().await;
    messages.len()
}

#[actix::test]
async fn messages_of_the_python_sdk_are_understood_over_kafka() {
    let (Some(kafka), Some(python)) = (Kafka::start(), tools::python()) else { return };
    let mut script = Command::new(&python);
    script.arg(Path::new(TOOLS).join("sdk.py")).arg("kafka");
    assert_eq!(through_kafka(kafka, script).await, 16);
}

#[actix::test]
async fn messages_of_the_javascript_sdk_are_understood_over_kafka() {
    let (Some(kafka), Some(folder)) = (Kafka::start(), tools::javascript()) else { return };
    let mut script = Command::new("node");
    script.current_dir(&folder).arg(Path::new(TOOLS).join("sdk.mjs")).arg("kafka");
    assert_eq!(through_kafka(kafka, script).await, 14);
}

#[actix::test]
async fn events_of_the_python_sdk_come_out_of_the_webhook_equal() {
    let Some(python) = tools::python() else { return };
    let script = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.arg(Path::new(TOOLS).join("sdk.py")).args(arguments);
        command
    };
    let received = through(script).await;
    assert_eq!(received.len(), 24);
    // Python's integers have no bounds, and ours need none.
    let digits = format!("\"n\": {}", 1_u128 << 70);
    let exact = received.iter().filter(|request| String::from_utf8_lossy(&request.body).contains(&digits)).count();
    assert_eq!(exact, 3);
}

#[actix::test]
async fn events_of_the_javascript_sdk_come_out_of_the_webhook_equal() {
    let Some(folder) = tools::javascript() else { return };
    let script = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.current_dir(&folder).arg(Path::new(TOOLS).join("sdk.mjs")).args(arguments);
        command
    };
    assert_eq!(through(script).await.len(), 21);
}
