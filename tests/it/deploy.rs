//! What is in `deploy/`: its rules hold what they promise, and ask for metrics that the engine has.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::Place;
use crate::process::{Node, configure};
use crate::readme::ROOT;
use crate::tools::promtool;

fn deployed(path: &str) -> PathBuf {
    PathBuf::from(ROOT).join("deploy").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(deployed(path)).unwrap()
}

/// Runs promtool, which has to be content; `stdin` is what it reads.
fn content(arguments: &[&str], stdin: &str) {
    let Some(program) = promtool() else { return };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(deployed("prometheus"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|stream| String::from_utf8(stream).unwrap()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

/// Every name of a metric of ours in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("evenkeel_")).map(str::to_owned).collect()
}

/// The metrics of an engine that has had a success, a failure and a dead letter.
async fn metrics() -> String {
    let place = Place::new();
    configure(
        &place,
        "retry.initial_delay = \"1ms\"\nretry.max_retries = 1\n\
         [[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"ok\"]\n\
         [[handler]]\nname = \"hook\"\nkind = \"webhook\"\ntypes = [\"fail\"]\nurl = \"http://127.0.0.1:1/\"\nallow_private = true\n",
    );
    let mut node = Node::serve(&place).await;
    let good = node.submit(&json!({ "type": "ok" })).await;
    node.until(&good, "SUCCESS").await;
    let bad = node.submit(&json!({ "type": "fail" })).await;
    node.until(&bad, "FAILED_MAX_RETRY").await;
    let (_, text) = node.text("/metrics").await;
    node.terminate().await;
    text
}

#[actix::test]
async fn every_metric_of_the_rules_and_of_the_dashboard_is_one_of_the_engine() {
    let metrics = metrics().await;
    let samples = names(&metrics.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n"));
    for path in ["prometheus/alerts.yml", "prometheus/alerts_test.yml", "grafana/evenkeel.json"] {
        let asked = names(&text(path));
        assert!(asked.len() > 5, "{path}");
        let unknown: Vec<&String> = asked.difference(&samples).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
    content(&["check", "metrics"], &metrics);
}

#[test]
fn the_rules_are_raised_when_their_examples_say_so() {
    content(&["check", "config", "prometheus.yml"], "");
    content(&["check", "rules", "alerts.yml"], "");
    content(&["test", "rules", "alerts_test.yml"], "");
}

#[test]
fn every_rule_has_examples_and_advice() {
    let (rules, page) = (
        text("prometheus/alerts.yml"),
        std::fs::read_to_string(PathBuf::from(ROOT).join("docs/operations.md")).unwrap(),
    );
    let examples = text("prometheus/alerts_test.yml");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 5);
    for alert in alerts {
        assert!(examples.contains(&format!("alertname: {alert}")), "{alert} has no example");
        assert!(page.contains(&format!("`{alert}`")), "docs/operations.md says nothing of {alert}");
    }
}

#[test]
fn every_query_of_the_dashboard_can_be_read() {
    let dashboard: Value = serde_json::from_str(&text("grafana/evenkeel.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    // A rule for each: promtool reads rules only, and knows nothing of Grafana's variables.
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (n, query) in queries.enumerate() {
        let query = query["expr"].as_str().unwrap().replace("$__rate_interval", "1m").replace("$instance", ".*");
        rules.push_str(&format!("      - record: panel:query:number{n}\n        expr: {}\n", json!(query)));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, rules).unwrap();
    content(&["check", "rules", path.to_str().unwrap()], "");
}
