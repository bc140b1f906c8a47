//! The list of nodes: who runs on this ledger, who has, and which handlers each of them has.
//!
//! Nothing is written here but the rows of the long gone, which are forgotten.

use std::collections::HashMap;

use evenkeel_entity::{event_record, node};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::reads::Reads;
use super::tx::Tx;
use crate::clock::Timestamp;

/// So many nodes are read at a time: all that live, and of the others the last.
const MOST: u64 = 100;

/// A handler, as its node lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ListedHandler)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The patterns of the types that it gets.
    pub types: Vec<String>,
}

/// What a node says of itself, as the column `handlers` holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Which bus it is on.
    pub bus: String,
    /// Its handlers.
    pub handlers: Vec<Listed>,
}

/// What stood in the column before.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Listing(Listing),
    Names(Vec<String>),
}

impl Listing {
    /// What is written. Of a version that listed names alone there are only these; what a later version writes may say
    /// nothing to this one.
    pub(super) fn read(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(Written::Listing(listing)) => listing,
            Ok(Written::Names(names)) => {
                let handlers = names.into_iter().map(|name| Listed { name, types: Vec::new() });
                Self { bus: String::new(), handlers: handlers.collect() }
            }
            Err(_) => Self::default(),
        }
    }
}

/// How a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It works.
    Live,
    /// It works off what it has in hand, and stops.
    Draining,
    /// Its lease has run out, and nobody has taken over from it yet.
    Lapsed,
    /// It has stopped, or others have taken over what it had in hand.
    Gone,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// New at each start, and whenever others have taken over from it.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// How it stands.
    pub state: NodeState,
    /// What it says of itself.
    pub listing: Listing,
    /// When it started.
    pub started_at: Timestamp,
    /// Until when it counts as alive without a sign.
    pub lease_until: Option<Timestamp>,
    /// Whether it is, or was, stopping on purpose.
    pub draining: bool,
    /// When others took over from it.
    pub fenced_at: Option<Timestamp>,
}

impl Node {
    fn from_model(row: node::Model, now: Timestamp) -> Self {
        let (lease_until, fenced_at) = (row.lease_until.map(Timestamp), row.fenced_at.map(Timestamp));
        let state = match lease_until {
            _ if fenced_at.is_some() => NodeState::Gone,
            Some(until) if until < now => NodeState::Lapsed,
            _ if row.draining => NodeState::Draining,
            _ => NodeState::Live,
        };
        Self {
            id: row.id,
            name: row.name,
            state,
            listing: Listing::read(&row.handlers),
            started_at: Timestamp(row.started_at),
            lease_until,
            draining: row.draining,
            fenced_at,
        }
    }

    /// Whether it may still work off events.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !matches!(self.state, NodeState::Gone)
    }

    /// When it gave its last sign, at the latest.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        let lease = self.lease_until.or(self.fenced_at).unwrap_or(self.started_at);
        self.fenced_at.map_or(lease, |fenced| fenced.min(lease))
    }
}

impl Reads {
    /// The nodes, newest first: all that live and the last that are gone.
    ///
    /// # Errors
    /// The database's.
    pub async fn nodes(&self, now: Timestamp) -> Result<Vec<Node>, DbErr> {
        let rows = node::Entity::find()
            .order_by_asc(node::Column::FencedAt.is_not_null())
            .order_by_desc(node::Column::Id)
            .limit(MOST)
            .all(&self.db)
            .await?;
        let mut nodes: Vec<Node> = rows.into_iter().map(|row| Node::from_model(row, now)).collect();
        nodes.sort_unstable_by_key(|node| std::cmp::Reverse(node.id));
        Ok(nodes)
    }

    /// How many events each node has in hand; none is not said.
    ///
    /// # Errors
    /// The database's.
    pub async fn in_hand(&self) -> Result<HashMap<Uuid, i64>, DbErr> {
        let rows: Vec<(Uuid, i64)> = event_record::Entity::find()
            .select_only()
            .column(event_record::Column::Owner)
            .expr(event_record::Column::Id.count())
            .filter(event_record::Column::Owner.is_not_null())
            .group_by(event_record::Column::Owner)
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().collect())
    }
}

/// Forgets the nodes that were gone before this moment.
pub(super) async fn forget(tx: &Tx, before: Timestamp) -> Result<(), DbErr> {
    node::Entity::delete_many().filter(node::Column::FencedAt.lt(before.0)).exec(tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_alone_is_read_and_what_says_nothing_is_an_empty_list() {
        let names = Listing::read(r#"["a", "order.*"]"#);
        assert_eq!(names.handlers.iter().map(|listed| &*listed.name).collect::<Vec<_>>(), ["a", "order.*"]);
        let listing =
            Listing { bus: "rabbitmq".into(), handlers: vec![Listed { name: "a".into(), types: vec!["b.*".into()] }] };
        assert_eq!(Listing::read(&serde_json::to_string(&listing).unwrap()), listing);
        assert_eq!(Listing::read("{\"later\": 1}"), Listing::default());
    }
}
