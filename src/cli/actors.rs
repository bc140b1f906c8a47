//! `actors`: the live tree of actors.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::{Client, ClientArgs};
use super::{Exit, Screen, answer, text};

const HELP: &str = "\
Examples:
  evenkeel actors
  evenkeel actors --output json | jq '.. | objects | select(.restarts? > 0)'

The mailbox of a handler holds the events that wait in memory, that of the retry scheduler its
timers.";

/// Arguments of `actors`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct ActorsArgs {
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

pub(super) async fn run(args: &ActorsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let url = client.url(&["actors"]);
    if let Some(tree) = answer::ask(&client, &url, args.client.output, screen).await? {
        screen.line(shown(&tree))?;
    }
    Ok(Exit::Done)
}

fn shown(tree: &Value) -> String {
    let mut rows = Vec::new();
    push(&mut rows, tree, "", "");
    text::table(&["ACTOR", "STATE", "MAILBOX#", "RESTARTS#", "LAST ERROR"], rows)
}

/// An actor and all below it. `stem` stands before its own name, `below` before those of its children.
fn push(rows: &mut Vec<Vec<String>>, actor: &Value, stem: &str, below: &str) {
    let word = |member: &str| actor.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let number = |member: &str| actor.get(member).and_then(Value::as_u64).map_or_else(|| "-".to_owned(), text::count);
    let name = format!("{stem}{}", word("name"));
    rows.push(vec![name, word("state"), number("mailbox"), number("restarts"), word("last_error")]);
    for attempt in list(actor, "in_hand") {
        rows.push(in_hand(attempt, below));
    }
    let children = list(actor, "children");
    for (index, child) in children.iter().enumerate() {
        let (fork, rest) = if index + 1 == children.len() { ("└── ", "    ") } else { ("├── ", "│   ") };
        push(rows, child, &format!("{below}{fork}"), &format!("{below}{rest}"));
    }
}

/// What a handler is doing now.
fn in_hand(attempt: &Value, below: &str) -> Vec<String> {
    let number = |member: &str| attempt.get(member).and_then(Value::as_u64).unwrap_or_default();
    let record = attempt.get("record_id").and_then(Value::as_str).unwrap_or("-");
    let span = text::duration(Duration::from_millis(number("for_ms")));
    vec![format!("{below}· {record}, attempt {}, for {span}", number("attempt_number"))]
}

fn list<'a>(actor: &'a Value, member: &str) -> &'a [Value] {
    actor.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tree_shows_who_hangs_below_whom() {
        let actor = |name: &str, mailbox: Value, children: Vec<Value>| {
            json!({ "name": name, "kind": "x", "state": "RUNNING", "restarts": 0, "last_error": null,
                    "mailbox": mailbox, "children": children })
        };
        let mut billing = actor("billing", json!(1_200), vec![]);
        billing["in_hand"] = json!([
            { "record_id": "0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11", "attempt_number": 2, "for_ms": 3_400 },
        ]);
        billing["state"] = json!("DOWN");
        billing["restarts"] = json!(3);
        billing["last_error"] = json!("no more\npaper");
        let processors = vec![actor("processor-0", json!(null), vec![]), actor("processor-1", json!(null), vec![])];
        let pool = actor("processor-pool", json!(null), processors);
        let handlers = actor("handlers", json!(null), vec![billing]);
        let tree = actor("engine", json!(null), vec![actor("persistence", json!(0), vec![]), pool, handlers]);
        insta::assert_snapshot!(shown(&tree), @r"
        ACTOR                                                                 STATE    MAILBOX  RESTARTS  LAST ERROR
        engine                                                                RUNNING        -         0  -
        ├── persistence                                                       RUNNING        0         0  -
        ├── processor-pool                                                    RUNNING        -         0  -
        │   ├── processor-0                                                   RUNNING        -         0  -
        │   └── processor-1                                                   RUNNING        -         0  -
        └── handlers                                                          RUNNING        -         0  -
            └── billing                                                       DOWN       1,200         3  no more\npaper
                · 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11, attempt 2, for 3.4 s
        ");
    }
}
