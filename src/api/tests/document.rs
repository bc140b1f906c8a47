//! The document itself, its viewer, and what `docs/http.md` says of both.

use std::collections::BTreeSet;

use super::contract::{DOCUMENT, violations};
use super::*;
use crate::api::problem::Code;
use crate::api::{plain, routes};

/// Path, method and description of every operation.
fn operations() -> Vec<(String, String, &'static Value)> {
    let mut operations = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push((path.clone(), method.to_uppercase(), operation));
        }
    }
    operations
}

/// Every code in this part of the document.
fn codes(part: &Value) -> BTreeSet<&str> {
    match part {
        Value::Array(parts) => parts.iter().flat_map(codes).collect(),
        Value::Object(members) => {
            let words = members.get("code").and_then(|code| code["enum"].as_array());
            let words = words.into_iter().flatten().filter_map(Value::as_str);
            words.chain(members.values().flat_map(codes)).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn names<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    list.as_array().map(|all| all.iter().map(|one| one[member].as_str().unwrap()).collect()).unwrap_or_default()
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

#[test]
fn every_code_is_among_the_answers() {
    let answers = json!([DOCUMENT["paths"], DOCUMENT["components"]["responses"]]);
    assert_eq!(codes(&answers), Code::ALL.iter().map(|code| code.as_str()).collect());
}

#[test]
fn every_operation_has_a_name_of_its_own_and_a_known_tag() {
    let tags = names(&DOCUMENT["tags"], "name");
    let mut ids = BTreeSet::new();
    for (path, _, operation) in operations() {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{path}");
        assert!(tags.contains(&operation["tags"][0].as_str().unwrap()), "{path}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{path}");
    }
}

#[test]
fn the_contract_changes_only_on_purpose() {
    let mut outline = String::new();
    for (path, method, operation) in operations() {
        let parameters = names(&operation["parameters"], "name").join(" ");
        let head = format!("{method} {path} ({}) {parameters}", operation["operationId"].as_str().unwrap());
        outline.push_str(head.trim_end());
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let content = answer["content"].as_object().into_iter().flatten();
            let kinds: Vec<&str> = content.map(|(kind, _)| kind.as_str()).collect();
            let words = codes(&answer["content"]["application/problem+json"]).into_iter().collect::<Vec<_>>().join(" ");
            let line = format!("\n  {status} {}", if words.is_empty() { kinds.join(", ") } else { words });
            outline.push_str(line.trim_end());
        }
        outline.push('\n');
    }
    insta::assert_snapshot!(outline);
}

#[test]
fn the_shapes_change_only_on_purpose() {
    let mut shapes = String::new();
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        shapes.push_str(&format!("{name}\n"));
        // What is flattened stands in a part of its own.
        let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
        for part in &parts {
            let required = part["required"].as_array().cloned().unwrap_or_default();
            for (member, shape) in part["properties"].as_object().into_iter().flatten() {
                let mark = if required.contains(&json!(member)) { "" } else { "?" };
                let kind = ["type", "$ref", "oneOf"].iter().find_map(|keyword| shape.get(*keyword));
                let kind = kind.map_or_else(|| "anything".to_owned(), ToString::to_string);
                shapes.push_str(&format!("  {member}{mark} {}\n", kind.replace("#/components/schemas/", "")));
            }
        }
        for word in schema["enum"].as_array().into_iter().flatten() {
            shapes.push_str(&format!("  = {}\n", word.as_str().unwrap()));
        }
    }
    insta::assert_snapshot!(shapes);
}

#[test]
fn what_an_answer_has_nothing_to_say_of_is_null_and_not_absent() {
    // What is sent may leave out what it likes, and a lane is a part of some actors only.
    let others = ["PlainEvent", "CloudEvent", "Filters", "OperationAsked", "Reason", "Edited", "Lane"];
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        let parts = schema["allOf"].as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
        for part in parts.iter().filter(|_| !others.contains(&name.as_str())) {
            for (member, shape) in part["properties"].as_object().into_iter().flatten() {
                let is_required = part["required"].as_array().is_some_and(|all| all.contains(&json!(member)));
                assert!(is_required || !shape.to_string().contains(r#""null""#), "{name}.{member}");
            }
        }
    }
}

#[actix::test]
async fn what_the_document_gives_as_examples_is_accepted() {
    let node = Node::start().await;
    for (name, content_type) in [("PlainEvent", "application/json"), ("CloudEvent", "application/cloudevents+json")] {
        let schema = &DOCUMENT["components"]["schemas"][name];
        let example = &schema["examples"][0];
        assert_eq!(violations(schema, example), Vec::<String>::new());
        assert_eq!(node.send(content_type, example.to_string()).await.said(), told(202, ""), "{name}");
    }
    node.end().await;
}

#[actix::test]
async fn the_document_is_served_and_not_sent_again_to_who_has_it() {
    let node = Node::start().await;
    let answer = node.get("/openapi.json").await;
    assert_eq!((answer.said(), answer.header("content-type")), (told(200, ""), Some("application/json")));
    let document = answer.json();
    assert_eq!(
        (&document["openapi"], &document["info"]["version"]),
        (&json!("3.1.0"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let tag = answer.header("etag").unwrap();
    for (known, status) in [(tag.to_owned(), 304), (format!("\"x\", W/{tag}"), 304), ("\"x\"".to_owned(), 200)] {
        let again = node.ask(TestRequest::with_uri("/openapi.json").insert_header(("if-none-match", known))).await;
        assert_eq!((again.status.as_u16(), again.header("etag")), (status, Some(tag)));
    }
    let head = node.head("/openapi.json").await;
    assert_eq!((head.said(), head.header("etag")), (told(200, ""), Some(tag)));
    node.end().await;
}

#[actix::test]
async fn the_viewer_loads_nothing_from_elsewhere() {
    let node = Node::start().await;
    let entrance = node.get("/docs").await;
    assert_eq!((entrance.status.as_u16(), entrance.header("location")), (308, Some("/docs/")));
    let page = node.get("/docs/").await;
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self';"));
    let loaded: Vec<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| page.text.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap().trim_start_matches("./"))
        .collect();
    assert!(loaded.contains(&"swagger-ui-bundle.js") && loaded.contains(&"swagger-ui.css"), "{loaded:?}");
    for file in loaded {
        // What is somewhere else, or missing, is not found here.
        assert_eq!(node.head(&format!("/docs/{file}")).await.said(), told(200, ""), "{file}");
    }
    let settings = node.get("/docs/swagger-initializer.js").await.text;
    assert!(
        settings.contains(r#""url": "/openapi.json""#) && settings.contains(r#""validatorUrl": "none""#),
        "{settings}"
    );
    assert!(!settings.contains("://"), "{settings}");
    node.end().await;
}

#[actix::test]
async fn what_is_not_beside_the_viewer_is_refused_like_everything_else() {
    let node = Node::start().await;
    assert_eq!(node.get("/docs/nothing.js").await.said(), told(404, "not_found"));
    assert_eq!(node.get("/docs/a/b").await.said(), told(404, "unknown_path"));
    let posted = node.post("/docs/", json!({})).await;
    assert_eq!((posted.said(), posted.header("allow")), (told(405, "method_not_allowed"), Some("GET, HEAD")));
    node.end().await;
}

/// The rows of the tables in `docs/http.md` that are made from the code.
fn tables() -> [(&'static str, String); 2] {
    let row = |(path, method, operation): &(String, String, &Value)| {
        let parameters: Vec<String> =
            names(&operation["parameters"], "name").iter().map(|name| format!("`{name}`")).collect();
        format!("| `{method} {path}` | {} | {} |\n", operation["summary"].as_str().unwrap(), parameters.join(" "))
    };
    let routes = operations().iter().map(row).collect::<String>();
    let codes = Code::ALL
        .iter()
        .map(|code| {
            let (word, status) = (code.as_str(), code.status().as_u16());
            format!("| `{word}` | {status} | {} | {} |\n", code.title(), code.advice())
        })
        .collect::<String>();
    [
        ("routes", format!("| request | what it does | parameters |\n|---|---|---|\n{routes}")),
        ("codes", format!("| code | status | what it is | what to do |\n|---|---|---|---|\n{codes}")),
    ]
}

#[test]
fn the_tables_of_the_http_page_are_those_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/http.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut made = page.clone();
    for (name, table) in tables() {
        let (start, end) = (format!("<!-- {name}: made from the code -->\n"), format!("<!-- end of {name} -->\n"));
        let (before, rest) = made.split_once(&start).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        made = format!("{before}{start}\n{table}\n{end}{after}");
    }
    if std::env::var_os("EVENKEEL_UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert!(page == made, "docs/http.md is behind the code: run this test with EVENKEEL_UPDATE_DOCS=1, and look at it");
}
