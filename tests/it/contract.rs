//! The contract, judged from outside: whether it is one, and whether the program keeps it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::Place;
use crate::process::Node;
use crate::tools;

/// The same requests each time.
const SEED: &str = "20261124";

/// A node, and what it says of itself.
async fn described(place: &Place) -> (Node, Value) {
    let node = Node::dev(place).await;
    // So that something can be found by the id of the document's examples.
    node.submit(&json!({ "type": "demo.fail", "id": "order-7", "source": "/shop" })).await;
    let document = node.get("/openapi.json").await;
    (node, document)
}

/// Runs a program on a document: whether it is content, and what it says.
async fn judged(mut program: Command, document: &Value, place: &Place) -> (bool, String) {
    let file = place.path().join("contract.json");
    std::fs::write(&file, document.to_string()).unwrap();
    program.arg(file).current_dir(place.path());
    // Apart from this thread, which notices meanwhile that idle connections are closed.
    let ended = tokio::task::spawn_blocking(move || program.output()).await.unwrap().unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// schemathesis, for a node that this document is said to describe.
fn schemathesis(python: &Path, node: &Node, more: &[&str]) -> Command {
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/schemathesis.toml");
    let mut judge = Command::new(python);
    judge.args(["-m", "schemathesis.cli", "--config-file", settings, "run", "--url", &node.url]);
    judge.args(["--checks", "all", "--seed", SEED, "--generation-database", "none", "--no-color"]);
    judge.args(more);
    judge
}

#[actix::test]
async fn the_document_is_what_openapi_3_1_allows() {
    let Some(python) = tools::python() else { return };
    let place = Place::new();
    let (_node, document) = described(&place).await;
    let mut judge = Command::new(python);
    judge.args(["-m", "openapi_spec_validator", "--schema", "3.1"]);
    let (is_content, said) = judged(judge, &document, &place).await;
    assert!(is_content, "{said}");
}

#[actix::test]
async fn schemathesis_finds_no_answer_that_the_document_does_not_have() {
    let Some(python) = tools::python() else { return };
    let place = Place::new();
    let (node, document) = described(&place).await;
    let all = ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "100", "--continue-on-failure"];
    let judge = schemathesis(&python, &node, &all);
    let (is_content, said) = judged(judge, &document, &place).await;
    assert!(is_content, "{said}");
    // Every operation was tried, and none of it did any harm.
    let paths = document["paths"].as_object().unwrap().values();
    let operations: usize = paths.map(|path| path.as_object().unwrap().len()).sum();
    assert!(said.contains(&format!("Tested: {operations}")), "{said}");
    assert_eq!(node.get("/readyz").await["status"], "ready");
}

#[actix::test]
async fn schemathesis_finds_an_answer_that_is_missing_in_the_document() {
    let Some(python) = tools::python() else { return };
    let place = Place::new();
    let (node, mut document) = described(&place).await;
    let missing = document["paths"]["/api/v1/events/{id}"]["get"]["responses"].as_object_mut().unwrap().remove("404");
    assert!(missing.is_some());
    let only = ["--include-operation-id", "get_event", "--phases", "coverage", "--max-examples", "5"];
    let (is_content, said) = judged(schemathesis(&python, &node, &only), &document, &place).await;
    assert!(!is_content && said.contains("Undocumented status code"), "{said}");
}
