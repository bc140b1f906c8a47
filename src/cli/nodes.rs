//! `nodes`: who works on the ledger.

use clap::Args;
use serde_json::Value;

use super::client::{Client, ClientArgs};
use super::{Exit, Screen, answer, text};

const HELP: &str = "\
Examples:
  evenkeel nodes
  evenkeel nodes --output json | jq '.items[] | select(.state == \"live\")'

Any node answers for all that share its ledger.";

/// Arguments of `nodes`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct NodesArgs {
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

pub(super) async fn run(args: &NodesArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let url = client.url(&["nodes"]);
    if let Some(nodes) = answer::ask(&client, &url, args.client.output, screen).await? {
        screen.line(shown(&nodes))?;
    }
    Ok(Exit::Done)
}

fn shown(nodes: &Value) -> String {
    let header = ["ID", "NAME", "STATE", "IN HAND#", "HANDLERS#", "STARTED", "LEASE UNTIL"];
    text::table(&header, answer::items(nodes).iter().map(row))
}

fn row(node: &Value) -> Vec<String> {
    let word = |member: &str| node.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let handlers = node.get("handlers").and_then(Value::as_array).map_or(0, Vec::len);
    vec![
        word("id"),
        word("name"),
        word("state"),
        node.get("in_hand").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), text::count),
        text::count(handlers as u64),
        word("started_at"),
        word("lease_until"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_a_line_with_what_it_has_in_hand() {
        let nodes = json!({ "items": [
            { "id": "b", "name": "web/2", "state": "live", "handlers": [{ "name": "x", "types": [] }], "in_hand": 12,
              "started_at": "2026-01-05T08:02:20Z", "lease_until": "2026-01-05T08:03:00Z" },
            { "id": "a", "name": "web/1", "state": "gone", "handlers": [], "in_hand": 0,
              "started_at": "2026-01-05T08:00:00Z", "lease_until": null },
        ]});
        insta::assert_snapshot!(shown(&nodes), @r"
        ID  NAME   STATE  IN HAND  HANDLERS  STARTED               LEASE UNTIL
        b   web/2  live        12         1  2026-01-05T08:02:20Z  2026-01-05T08:03:00Z
        a   web/1  gone         0         0  2026-01-05T08:00:00Z  -
        ");
    }
}
