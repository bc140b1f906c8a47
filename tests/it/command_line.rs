//! The command line as an operator uses it: the real program against a real node, through the life of a dead letter.

use serde_json::{Value, json};

use crate::harness::Place;
use crate::process::{Node, configure, run};
use crate::target::{Reply, Target};

/// An operator at no terminal, in the folder of the node.
struct Operator<'a> {
    place: &'a Place,
    url: &'a str,
}

impl Operator<'_> {
    /// Runs a command against the node: exit code, stdout, stderr.
    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        run(self.place.path(), &[arguments, &["--url", self.url]].concat()).await
    }

    /// What a command that succeeds prints for people.
    async fn text(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        out
    }

    /// What a command that succeeds prints for scripts.
    async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[arguments, &["--output", "json"]].concat()).await).unwrap()
    }

    /// Sends an event that becomes a dead letter; gives the id of its record.
    async fn dead_letter(&self, event_id: &str) -> String {
        let arguments = ["send", "order.paid", "--id", event_id, "--source", "/shop", "--wait", "--output", "json"];
        let (code, out, err) = self.run(&arguments).await;
        assert_eq!(code, 1, "{err}");
        let sent: Value = serde_json::from_str(&out).unwrap();
        let record = &sent["record"];
        assert_eq!(record["final_status"], "DEAD_LETTER", "{record}");
        record["id"].as_str().unwrap().to_owned()
    }
}

#[actix::test]
async fn a_dead_letter_is_found_redriven_and_another_one_discarded() {
    let target = Target::new(|delivery| Reply::Now(if delivery.attempt == 1 { 400 } else { 200 }));
    let place = Place::new();
    configure(&place, &target.handler("billing", "order.*"));
    let mut node = Node::serve(&place).await;
    let operator = Operator { place: &place, url: &node.url };

    let id = operator.dead_letter("order-1").await;
    let list = operator.text(&["dlq", "ls", "--handler", "billing", "--since", "1h"]).await;
    assert!(list.contains(&id) && list.contains("FAILED_PERMANENT"), "{list}");
    assert_eq!(operator.json(&["dlq", "ls", "--status", "poison"]).await["items"], json!([]));
    let told = operator.text(&["dlq", "redrive", &id, "--reason", "the bank is back"]).await;
    assert!(told.starts_with(&format!("redriven {id} (order.paid) ")), "{told}");
    node.until(&id, "SUCCESS").await;
    let (code, _, err) = operator.run(&["dlq", "redrive", &id]).await;
    assert_eq!(code, 1);
    assert!(err.contains(&format!("{id} is SUCCESS")), "{err}");

    let (one, other) = (operator.dead_letter("order-2").await, operator.dead_letter("order-3").await);
    let (code, out, err) = operator.run(&["dlq", "discard", "--all"]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("2 dead letters") && err.contains("--yes"), "{err}");
    let shown = operator.json(&["dlq", "discard", "--type", "order.paid", "--dry-run"]).await;
    assert_eq!((&shown["matching"], &shown["more"]), (&json!(2), &json!(false)));
    assert_eq!(
        operator.text(&["dlq", "discard", "order-2", "--yes"]).await,
        format!("discarded {one} (order.paid) DISCARDED\n")
    );
    let told = operator.json(&["dlq", "discard", "--all", "--yes"]).await;
    assert_eq!((&told["discarded"], &told["operation"]["state"]), (&json!(1), &json!("DONE")));
    let operation = told["operation"]["id"].as_str().unwrap();
    assert!(operator.text(&["operations", "get", operation]).await.contains("DONE"));
    assert!(operator.text(&["audit", "--target", operation]).await.contains("begin_discard"));
    for id in [one, other] {
        let record = operator.json(&["events", "get", &id]).await;
        assert_eq!((&record["status"], &record["attempt_count"]), (&json!("DISCARDED"), &json!(1)));
    }

    operator.text(&["send", "nobody.cares"]).await;
    assert!(operator.text(&["dlq", "ls", "--no-handler"]).await.contains("nobody.cares"));
    assert!(operator.text(&["dlq", "groups"]).await.contains("no handler is bound to nobody.cares"));
    let (code, out, err) = operator.run(&["dlq", "redrive", "--no-handler", "--yes"]).await;
    assert_eq!((code, out.as_str()), (1, "redriven 0 events without a handler\n"));
    assert!(err.contains("1 record could not be changed"), "{err}");
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn handlers_are_paused_and_resumed_and_the_actors_show_it() {
    let place = Place::new();
    configure(&place, "[[handler]]\nname = \"note taker\"\nkind = \"log\"\ntypes = [\"note.*\"]\n");
    let mut node = Node::serve(&place).await;
    let operator = Operator { place: &place, url: &node.url };

    let paused = operator.text(&["handlers", "pause", "note taker", "--reason", "no paper"]).await;
    assert!(paused.contains("PAUSED"), "{paused}");
    let sent = operator.json(&["send", "note.taken"]).await;
    let id = sent["event"]["id"].as_str().unwrap();
    assert_eq!(sent["event"]["status"], "PENDING");
    let handlers = operator.json(&["handlers"]).await;
    assert_eq!((&handlers["items"][0]["state"], &handlers["items"][0]["queued"]), (&json!("PAUSED"), &json!(1)));
    let tree = operator.text(&["actors"]).await;
    assert!(tree.starts_with("ACTOR") && tree.contains("\nengine "), "{tree}");
    let handler = tree.lines().find(|line| line.contains("└── note taker")).unwrap();
    // Whether the event waits in memory or in the ledger is up to the lane.
    assert!(handler.contains(" PAUSED "), "{handler}");
    assert_eq!(operator.json(&["actors"]).await["name"], "engine");

    let resumed = operator.text(&["handlers", "resume", "note taker"]).await;
    assert!(resumed.contains("RUNNING"), "{resumed}");
    node.until(id, "SUCCESS").await;
    let (code, _, err) = operator.run(&["handlers", "pause", "note"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("note"), "{err}");
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn what_needs_no_node_works_without_one() {
    let place = Place::new();
    configure(
        &place,
        "[[handler]]\nname = \"billing\"\nkind = \"webhook\"\ntypes = [\"*\"]\n\
         url = \"https://user:hidden@example.org/\"\nsecret = \"whsec_hidden\"\n",
    );
    let (code, out, err) = run(place.path(), &["config", "--config", "config.toml"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("# config.toml:1:8") && out.contains("# default"), "{out}");
    assert!(out.contains("[redacted]") && !out.contains("hidden"), "{out}");
    let (code, out, _) = run(place.path(), &["config", "--output", "json"]).await;
    let config: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &config["config"]["telemetry"]["log_format"]), (0, &json!("json")));
    assert_eq!(config["origins"]["handler.billing.timeout"], "as timeouts.handler");
    let (code, out, _) = run(place.path(), &["completions", "fish"]).await;
    assert!(code == 0 && out.contains("redrive"), "{out}");
    let (code, _, err) = run(place.path(), &["dlq", "redrive"]).await;
    assert!(code == 2 && err.contains("--all"), "{err}");
    let (code, _, err) = run(place.path(), &["dlq", "ls", "--url", "http://127.0.0.1:1"]).await;
    assert!(code == 1 && err.contains("no engine answers"), "{err}");
}
