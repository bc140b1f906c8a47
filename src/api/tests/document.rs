//! The document itself.

use std::collections::BTreeSet;

use super::contract::DOCUMENT;
use super::*;
use crate::api::problem::Code;
use crate::api::{plain, routes};

fn operations() -> Vec<(String, String, &'static Value)> {
    let mut operations = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            operations.push((path.clone(), verb.to_uppercase(), operation));
        }
    }
    operations
}

#[test]
fn every_route_is_in_the_document_and_every_operation_is_a_route() {
    let mut served = BTreeSet::new();
    for at in routes() {
        // HEAD goes with GET everywhere, and is said once.
        let methods = at.allow.split(", ").filter(|method| *method != "HEAD");
        served.extend(methods.map(|method| (plain(at.path), method.to_owned())));
    }
    let described: BTreeSet<_> = operations().into_iter().map(|(path, method, _)| (path, method)).collect();
    assert_eq!(served, described);
}

/// Every code in an answer's description of the document.
fn codes(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Array(schemas) => schemas.iter().for_each(|schema| codes(schema, found)),
        Value::Object(members) => {
            if let Some(words) = members.get("code").and_then(|code| code["enum"].as_array()) {
                found.extend(words.iter().map(|word| word.as_str().unwrap().to_owned()));
            }
            members.values().for_each(|schema| codes(schema, found));
        }
        _ => {}
    }
}

/// Status and codes of an operation's answers, a line each.
fn outline(operation: &Value) -> String {
    let mut lines = String::new();
    for (status, response) in operation["responses"].as_object().unwrap() {
        let mut words = Vec::new();
        codes(&response["content"]["application/problem+json"], &mut words);
        lines.push_str(&format!("  {status} {}\n", words.join(" ")));
    }
    lines
}

#[test]
fn the_outline_changes_only_on_purpose() {
    let mut outline_of_all = String::new();
    for (path, method, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        let parameters: Vec<&str> = operation["parameters"]
            .as_array()
            .map(|parameters| parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect())
            .unwrap_or_default();
        outline_of_all.push_str(&format!("{method} {path} ({id}) {}\n", parameters.join(" ")));
        outline_of_all.push_str(&outline(operation));
    }
    insta::assert_snapshot!(outline_of_all);
}

#[test]
fn dump() {
    std::fs::write("/tmp/openapi-dump.json", serde_json::to_string_pretty(&*DOCUMENT).unwrap()).unwrap();
    let mut found = Vec::new();
    codes(&DOCUMENT, &mut found);
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), all);
}
