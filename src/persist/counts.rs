//! Counts by status and by group, kept in the transaction that moves the rows, so that they are exact at any size.

use std::collections::BTreeMap;

use sea_orm::DbErr;
use uuid::Uuid;

use super::groups::Groups;
use super::rows::{
    Bulk,
    Type::{Id, Long, Text},
};
use super::tx::Tx;
use crate::lifecycle::{Status, Transition};

const UPSERT: Bulk = Bulk {
    head: "INSERT INTO status_count (node, handler_name, status, n) ",
    types: &[Id, Text, Text, Long],
    row: "(?, ?, ?, ?)",
    tail: " ON CONFLICT (node, handler_name, status) DO UPDATE SET n = status_count.n + excluded.n",
};

/// What one transaction changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    statuses: BTreeMap<(String, Status), i64>,
    /// Those of the dead, by how they died.
    pub groups: Groups,
}

impl Counts {
    /// One record has taken this step in this lane.
    pub(super) fn step(&mut self, handler: &str, step: Transition) {
        if let Some(from) = step.from() {
            self.add(handler, from, -1);
        }
        self.add(handler, step.to(), 1);
    }

    /// One record has taken this step out of one lane into another.
    pub(super) fn step_between(&mut self, old: &str, new: &str, step: Transition) {
        if let Some(from) = step.from() {
            self.add(old, from, -1);
        }
        self.add(new, step.to(), 1);
    }

    pub(super) fn add(&mut self, handler: &str, status: Status, n: i64) {
        if let Some(count) = self.statuses.get_mut(&(handler.to_owned(), status)) {
            *count += n;
        } else {
            self.statuses.insert((handler.to_owned(), status), n);
        }
    }

    /// Writes the node's share.
    pub(super) async fn write(self, tx: &Tx, node: Uuid) -> Result<(), DbErr> {
        let mut values = Vec::with_capacity(self.statuses.len() * 4);
        for ((handler, status), n) in self.statuses {
            if n != 0 {
                values.extend([node.into(), handler.into(), status.as_str().into(), n.into()]);
            }
        }
        UPSERT.execute(tx, values).await?;
        self.groups.write(tx, node).await
    }
}
