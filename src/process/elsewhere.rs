//! The handlers that other nodes have, and this one does not: in a rolling change of handlers their events wait for
//! them, and are no events without a handler.
//!
//! What is known here is what the list of nodes said when it was read last.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sea_orm::DbErr;

use super::Pool;
use crate::clock::Timestamp;
use crate::persist::{Node, NodeState};

/// For so long a handler that no live node has any more may come back: its node is being started again.
const COMES_BACK: Duration = Duration::from_secs(600);

/// What other nodes have listed.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(RwLock<Arc<[Node]>>);

impl Elsewhere {
    #[cfg(test)]
    pub(super) fn of(nodes: impl Into<Arc<[Node]>>) -> Self {
        Self(RwLock::new(nodes.into()))
    }

    fn nodes(&self) -> Arc<[Node]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The handler of a type: of those that match, the one whose pattern is the most specific.
    pub(super) fn resolve(&self, event_type: &str) -> Option<Arc<str>> {
        most_specific(&self.nodes(), event_type)
    }

    /// Whether a live node has a handler of this name.
    pub(super) fn has_live(&self, handler: &str) -> bool {
        self.nodes().iter().any(|node| node.is_live() && lists(node, handler))
    }

    /// Whether a node has, or had until lately, a handler of this name.
    pub(super) fn has(&self, handler: &str) -> bool {
        self.nodes().iter().any(|node| lists(node, handler))
    }

    /// The types of a handler that a live node has.
    pub(super) fn types_of(&self, handler: &str) -> Option<Vec<String>> {
        let nodes = self.nodes();
        let mut live = nodes.iter().filter(|node| node.is_live()).flat_map(|node| &node.listing.handlers);
        live.find(|listed| listed.name == handler).map(|listed| listed.types.clone())
    }
}

fn lists(node: &Node, handler: &str) -> bool {
    node.listing.handlers.iter().any(|listed| listed.name == handler)
}

fn most_specific(nodes: &[Node], event_type: &str) -> Option<Arc<str>> {
    let handlers = nodes.iter().flat_map(|node| &node.listing.handlers);
    let patterns = handlers.flat_map(|listed| listed.types.iter().map(|pattern| (pattern.as_str(), &*listed.name)));
    let matching = patterns.filter_map(|(pattern, name)| {
        let length = match pattern.strip_suffix('*') {
            Some(prefix) => event_type.starts_with(prefix).then_some(prefix.len()),
            None => (pattern == event_type).then_some(usize::MAX),
        };
        Some((length?, name))
    });
    // Of two nodes that call it by other names, all take the same.
    matching.max().map(|(_, name)| name.into())
}

impl Pool {
    /// Whether no other node on this bus is older: for what one of them does for all. Around a change two may think so.
    pub(crate) fn is_eldest_on(&self, bus: &str) -> bool {
        let (lease, nodes) = (self.persist.lease(), self.elsewhere.nodes());
        let before = |node: &Node| node.id < lease.node() && node.state == NodeState::Live && node.listing.bus == bus;
        lease.holds() && !nodes.iter().any(before)
    }

    /// Reads the list of nodes, where there can be others.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn look_elsewhere(&self) -> Result<(), DbErr> {
        if !self.persist.is_shared() {
            return Ok(());
        }
        let now = self.clock.now();
        let nodes = self.persist.reads().nodes(now).await?;
        let others = nodes.into_iter().filter(|node| is_other(node, &self.persist.lease().nodes(), now)).collect();
        *self.elsewhere.0.write().unwrap_or_else(PoisonError::into_inner) = others;
        Ok(())
    }
}

fn is_other(node: &Node, mine: &[uuid::Uuid], now: Timestamp) -> bool {
    !mine.contains(&node.id) && (node.is_live() || node.last_seen() > now.before(COMES_BACK))
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::persist::{Listed, Listing};

    /// A node that has left.
    pub(in crate::process) fn gone(handlers: &[(&str, &[&str])]) -> Node {
        Node { state: NodeState::Gone, fenced_at: Some(Timestamp(0)), ..live(handlers) }
    }

    /// A node that works.
    pub(in crate::process) fn live(handlers: &[(&str, &[&str])]) -> Node {
        let listed = |(name, types): &(&str, &[&str])| Listed {
            name: (*name).to_owned(),
            types: types.iter().map(|pattern| (*pattern).to_owned()).collect(),
        };
        Node {
            id: Uuid::nil(),
            name: "n".to_owned(),
            state: NodeState::Live,
            listing: Listing { bus: "embedded".to_owned(), handlers: handlers.iter().map(listed).collect() },
            started_at: Timestamp(0),
            lease_until: None,
            draining: false,
            fenced_at: None,
        }
    }

    #[test]
    fn of_all_nodes_the_most_specific_pattern_wins() {
        let nodes = [live(&[("all", &["*"]), ("paid", &["order.paid"])]), live(&[("orders", &["a", "order.*"])])];
        let resolved = ["order.paid", "order.shipped", "invoice"].map(|name| most_specific(&nodes, name).unwrap());
        assert_eq!(resolved.map(|name| name.to_string()), ["paid", "orders", "all"]);
        assert_eq!(most_specific(&nodes[1..], "invoice"), None);
        assert_eq!(most_specific(&[live(&[("names.alone", &[])])], "names.alone"), None);
    }

    #[test]
    fn a_node_that_is_gone_counts_for_ten_minutes() {
        let now = Timestamp(0).after(Duration::from_secs(3_600));
        let since = |ago| Node { fenced_at: Some(now.before(Duration::from_secs(ago))), ..gone(&[]) };
        assert!(is_other(&Node { started_at: now, ..since(599) }, &[], now));
        assert!(!is_other(&Node { started_at: now, ..since(601) }, &[], now));
        assert!(!is_other(&live(&[]), &[Uuid::nil()], now));
    }
}
