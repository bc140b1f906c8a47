//! The contract, judged from outside: whether it is one, and whether the program keeps it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::harness::Place;
use crate::process::Node;
use crate::tools;

/// The same requests each time.
const SEED: &str = "20261124";

/// A node, and a file with what it says of itself.
async fn described(place: &Place) -> (Node, PathBuf) {
    let node = Node::dev(place).await;
    let file = place.path().join("contract.json");
    std::fs::write(&file, node.get("/openapi.json").await.to_string()).unwrap();
    (node, file)
}

/// Runs a program to its end; what it says counts only if it is content.
fn content(mut program: Command, place: &Path) -> String {
    let ended = program.current_dir(place).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    said
}

#[actix::test]
async fn the_document_is_what_openapi_3_1_allows() {
    let Some(python) = tools::python() else { return };
    let place = Place::new();
    let (_node, file) = described(&place).await;
    let mut judge = Command::new(python);
    judge.args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(file);
    assert!(content(judge, place.path()).contains("OK"));
}

#[actix::test]
async fn schemathesis_finds_no_answer_that_the_document_does_not_have() {
    let Some(python) = tools::python() else { return };
    let place = Place::new();
    let (node, file) = described(&place).await;
    // So that something can be found by the id of the document's examples.
    node.submit(&json!({ "type": "demo.fail", "id": "order-7", "source": "/shop" })).await;

    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/schemathesis.toml");
    let mut judge = Command::new(python);
    judge.args(["-m", "schemathesis.cli", "--config-file", settings, "run", "--url", &node.url]).arg(file);
    judge.args(["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--seed", SEED]);
    judge.args(["--max-examples", "20", "--max-time", "40", "--continue-on-failure", "--no-color"]);
    judge.args(["--generation-database", "none"]);
    let said = content(judge, place.path());

    // Every operation was tried, and none of it did any harm.
    let document = node.get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert!(said.contains(&format!("Tested: {operations}")), "{said}");
    assert_eq!(node.get("/readyz").await["status"], "ready");
}
