//! What keeps the program from starting: it says what and where, leaves nothing behind, and disturbs nobody.

use std::path::Path;

use serde_json::json;

use crate::harness::Place;
use crate::process::{Node, configure, run};

/// What is in this folder.
pub fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a command that is to fail; gives what it says.
pub async fn refusal(place: &Place, arguments: &[&str]) -> String {
    let (code, out, err) = run(place.path(), arguments).await;
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    err
}

#[actix::test]
async fn an_unknown_key_is_an_error_with_its_line_and_a_suggestion() {
    let place = Place::new();
    std::fs::write(place.path().join("config.toml"), "[pool]\nprocessors = 4\nqueue_capacty = 50\n").unwrap();
    for command in ["check", "serve", "migrate"] {
        let text = refusal(&place, &[command, "--config", "config.toml"]).await;
        let finding = "config.toml:3:1: pool.queue_capacty: unknown key; did you mean `queue_capacity`?";
        assert!(text.contains(finding), "{text}");
    }
    assert_eq!(files(place.path()), ["config.toml"]);
}

#[actix::test]
async fn check_creates_nothing() {
    let place = Place::new();
    configure(&place, "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"*\"]\n");
    let (code, out, err) = run(place.path(), &["check", "--config", "config.toml"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("good, with 1 handlers"), "{out}");
    assert_eq!(files(place.path()), ["config.toml"]);
}

#[actix::test]
async fn a_schema_that_cannot_be_used_is_named_with_its_file() {
    let place = Place::new();
    configure(&place, "[[schema]]\ntype = \"order.paid\"\nfile = \"schemas/order-paid.json\"\n");
    std::fs::create_dir(place.path().join("schemas")).unwrap();
    for (text, finding) in [
        (None, "cannot be read: No such file"),
        (Some("{\"type\": "), "is no JSON: EOF"),
        (Some("{\"type\": 7}"), "is no JSON Schema: 7 is not valid"),
        (Some("{\"$ref\": \"file:///etc/hostname\"}"), "refers to `file:///etc/hostname`, which is not in the file"),
    ] {
        if let Some(text) = text {
            std::fs::write(place.path().join("schemas/order-paid.json"), text).unwrap();
        }
        for command in ["check", "serve"] {
            let text = refusal(&place, &[command, "--config", "config.toml"]).await;
            let named = format!("the schema of `order.paid`, schemas/order-paid.json, {finding}");
            assert!(text.contains(&named), "{text}");
            assert_eq!(text.matches(finding).count(), 1, "{text}");
        }
    }
    // The file is looked for beside the configuration, wherever that is named from.
    std::fs::write(place.path().join("schemas/order-paid.json"), "{}").unwrap();
    let config = place.path().join("config.toml").display().to_string();
    let (code, out, err) = run(&place.path().join("schemas"), &["check", "--config", &config]).await;
    assert!(code == 0 && out.contains("good, with 0 handlers and 1 schemas"), "{out}{err}");
    assert_eq!(files(place.path()), ["config.toml", "schemas"]);
}

#[actix::test]
async fn a_port_in_use_is_named_before_the_ledger_is_touched() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let text = refusal(&place, &["dev", "--port", &port, "--data-dir", "data"]).await;
    assert!(text.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{text}");
    assert!(text.contains("Is another process using it?"), "{text}");
    assert!(files(place.path()).is_empty());
}

#[actix::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let place = Place::new();
    // Nobody can make a folder below a file, whoever runs the tests.
    std::fs::write(place.path().join("file"), "").unwrap();
    let text = refusal(&place, &["dev", "--port", "0", "--data-dir", "file/data"]).await;
    assert!(text.contains("file/data") && text.contains("Choose a folder that this user may write to"), "{text}");
    assert_eq!(files(place.path()), ["file"]);
}

#[actix::test]
async fn a_second_process_on_the_same_ledger_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let mut node = Node::dev(&place).await;
    let before = node.submit(&json!({ "type": "demo.hello" })).await;
    let text = refusal(&place, &["dev", "--port", "0", "--data-dir", "."]).await;
    assert!(text.contains("another process is using") && text.contains("evenkeel.db"), "{text}");
    let after = node.submit(&json!({ "type": "demo.hello" })).await;
    for id in [before, after] {
        node.until(&id, "SUCCESS").await;
    }
    assert!(node.terminate().await.success());
    // The lock goes with its process.
    let mut node = Node::dev(&place).await;
    node.process.kill9();
    Node::dev(&place).await;
}

#[actix::test]
async fn a_wrong_command_line_is_answered_with_status_2_and_a_node_that_is_away_with_1() {
    let place = Place::new();
    for arguments in [&["send", "demo.hello", "{broken"][..], &["serve", "--colour"], &["fly"]] {
        let (code, out, err) = run(place.path(), arguments).await;
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
    }
    let text = refusal(&place, &["stats", "--url", "http://127.0.0.1:1"]).await;
    assert!(text.contains("127.0.0.1:1"), "{text}");
}
