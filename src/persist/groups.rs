//! Groups of dead letters: how many failed in the same way, kept in the transaction that buries or raises them, so that
//! they are exact at any size. A record has its fingerprint for as long as it is dead: groups count what is dead now.

mod reads;

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};
use uuid::Uuid;

use super::column::clean;
use super::counts::Counts;
use super::dialect::statement;
use super::fault::Fault;
use super::rows::{
    Bulk,
    Type::{Id, Long, Text},
};
use super::tx::Tx;
use crate::clock::Timestamp;
use crate::fingerprint::Fingerprint;
use crate::lifecycle::FinalStatus;
pub use reads::{Group, GroupEnd, GroupFilter, GroupOrder};

/// The longest error that a group shows, in characters.
const LONGEST_SAMPLE: usize = 1_000;

pub(super) const MARK: Bulk = Bulk {
    head: "UPDATE event_record SET fingerprint = v.column2 FROM (",
    types: &[Id, Text],
    row: "(?, ?)",
    tail: ") AS v WHERE event_record.id = v.column1",
};

/// A share that only counts down knows nothing of its group, and takes nothing away from what is known.
const MERGE: Bulk = Bulk {
    head: "INSERT INTO dead_letter_group (node, fingerprint, n, handler_name, event_type, final_status, title, sample, \
           first_seen, last_seen) ",
    types: &[Id, Text, Long, Text, Text, Text, Text, Text, Long, Long],
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    tail: " ON CONFLICT (node, fingerprint) DO UPDATE SET n = dead_letter_group.n + excluded.n, \
           handler_name = COALESCE(excluded.handler_name, dead_letter_group.handler_name), \
           event_type = COALESCE(excluded.event_type, dead_letter_group.event_type), \
           final_status = COALESCE(excluded.final_status, dead_letter_group.final_status), \
           title = COALESCE(excluded.title, dead_letter_group.title), \
           sample = COALESCE(excluded.sample, dead_letter_group.sample), \
           first_seen = CASE WHEN excluded.first_seen < dead_letter_group.first_seen THEN excluded.first_seen \
           ELSE COALESCE(dead_letter_group.first_seen, excluded.first_seen) END, \
           last_seen = CASE WHEN excluded.last_seen > dead_letter_group.last_seen THEN excluded.last_seen \
           ELSE COALESCE(dead_letter_group.last_seen, excluded.last_seen) END",
};

const FORGET: Bulk = Bulk {
    head: "DELETE FROM dead_letter_group WHERE n = 0 AND (node, fingerprint) IN (SELECT v.column1, v.column2 FROM (",
    types: &[Id, Text],
    row: "(?, ?)",
    tail: ") AS v)",
};

/// A death, as its group sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Buried {
    fingerprint: Fingerprint,
    handler: Option<String>,
    event_type: Option<String>,
    end: FinalStatus,
    sample: Option<String>,
    at: Timestamp,
}

impl Buried {
    /// An event that was given up.
    pub fn dead(handler: &str, error: Option<&str>, at: Timestamp) -> Self {
        Self {
            fingerprint: Fingerprint::of_death(handler, error),
            handler: Some(handler.to_owned()),
            event_type: None,
            end: FinalStatus::DeadLetter,
            sample: error.map(|error| error.chars().take(LONGEST_SAMPLE).collect()),
            at,
        }
    }

    /// An event that nobody handles.
    pub fn unhandled(event_type: &str, at: Timestamp) -> Self {
        Self {
            fingerprint: Fingerprint::of_unhandled(event_type),
            handler: None,
            event_type: Some(event_type.to_owned()),
            end: FinalStatus::NoHandler,
            sample: None,
            at,
        }
    }

    /// The group's name.
    pub fn group(&self) -> &str {
        &self.fingerprint.id
    }
}

/// What one transaction changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Groups(BTreeMap<String, Share>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    n: i64,
    /// The first and the last of those that were buried.
    buried: Option<(Timestamp, Buried)>,
}

impl Groups {
    /// So many have died in this way.
    pub(super) fn bury(&mut self, death: Buried, n: i64) {
        let share = self.0.entry(death.group().to_owned()).or_default();
        share.n += n;
        // A commit has its deaths in no order.
        share.buried = Some(match share.buried.take() {
            Some((first, last)) if last.at > death.at => (first.min(death.at), last),
            Some((first, _)) => (first.min(death.at), death),
            None => (death.at, death),
        });
    }

    /// One of these is dead no more. A death from before groups were kept has none yet.
    pub(super) fn raise(&mut self, group: Option<&str>) {
        if let Some(group) = group {
            self.0.entry(group.to_owned()).or_default().n -= 1;
        }
    }

    /// Writes the node's share; what has come to nothing is forgotten.
    pub(super) async fn write(self, tx: &Tx, node: Uuid) -> Result<(), DbErr> {
        let (mut values, mut fewer) = (Vec::with_capacity(self.0.len() * 10), Vec::new());
        for (group, share) in self.0 {
            if share.n < 0 {
                fewer.extend([Value::from(node), group.as_str().into()]);
            }
            if share.n != 0 {
                push(&mut values, node, group, share);
            }
        }
        MERGE.execute(tx, values).await?;
        FORGET.execute(tx, fewer).await?;
        Ok(())
    }
}

fn push(values: &mut Vec<Value>, node: Uuid, group: String, share: Share) {
    values.extend([node.into(), group.into(), share.n.into()]);
    let Some((first, death)) = share.buried else {
        let (text, time) = (Value::String(None), Value::BigInt(None));
        values.extend([text.clone(), text.clone(), text.clone(), text.clone(), text, time.clone(), time]);
        return;
    };
    values.extend([
        death.handler.into(),
        death.event_type.into(),
        death.end.as_str().into(),
        clean(&death.fingerprint.title).into(),
        death.sample.as_deref().map(clean).into(),
        first.0.into(),
        death.at.0.into(),
    ]);
}

/// Puts records that have just died into their groups.
pub(super) async fn bury(tx: &Tx, deaths: Vec<(Uuid, Buried)>, counts: &mut Counts) -> Result<(), Fault> {
    let mut marks = Vec::with_capacity(deaths.len() * 2);
    for (record, death) in deaths {
        marks.extend([Value::from(record), death.group().into()]);
        counts.groups.bury(death, 1);
    }
    MARK.execute(tx, marks).await?;
    Ok(())
}

/// Shares of the groups that are no live node's, and not this one's.
const SHARES_OF_THE_GONE: &str = "node <> ? AND NOT EXISTS (SELECT 1 FROM node l WHERE l.id = dead_letter_group.node \
                                  AND l.fenced_at IS NULL)";

/// Whether a node that is gone has left its share of a group.
pub(super) async fn is_anything_left(db: &impl ConnectionTrait, me: Uuid) -> Result<bool, DbErr> {
    let sql = format!("SELECT node FROM dead_letter_group WHERE {SHARES_OF_THE_GONE} LIMIT 1");
    Ok(db.query_one_raw(statement(db.get_database_backend(), &sql, [me.into()])).await?.is_some())
}

/// Makes the shares of nodes that are gone this node's. On PostgreSQL both steps are one statement, as with the counts by
/// status: what is deleted is what is added.
pub(super) async fn fold(tx: &Tx, me: Uuid) -> Result<(), DbErr> {
    const COLUMNS: &str =
        "fingerprint, n, handler_name, event_type, final_status, title, sample, first_seen, last_seen";
    const SUM: &str = "SELECT ?, fingerprint, CAST(SUM(n) AS bigint), MAX(handler_name), MAX(event_type), \
                       MAX(final_status), MAX(title), MAX(sample), MIN(first_seen), MAX(last_seen)";
    let (backend, head, merge) = (tx.get_database_backend(), MERGE.head, MERGE.tail);
    if backend == DbBackend::Postgres {
        let sql = format!(
            "WITH gone AS (DELETE FROM dead_letter_group WHERE {SHARES_OF_THE_GONE} RETURNING {COLUMNS}) \
             {head}{SUM} FROM gone GROUP BY fingerprint{merge}"
        );
        tx.execute_raw(statement(backend, &sql, [me.into(), me.into()])).await?;
    } else {
        let sql = format!("{head}{SUM} FROM dead_letter_group WHERE {SHARES_OF_THE_GONE} GROUP BY fingerprint{merge}");
        tx.execute_raw(statement(backend, &sql, [me.into(), me.into()])).await?;
        let sql = format!("DELETE FROM dead_letter_group WHERE {SHARES_OF_THE_GONE}");
        tx.execute_raw(statement(backend, &sql, [me.into()])).await?;
    }
    let sql = "DELETE FROM dead_letter_group WHERE node = ? AND n = 0";
    tx.execute_raw(statement(backend, sql, [me.into()])).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_death_are_found_in_any_order() {
        let death = |at| Buried::dead("h", Some("no"), Timestamp(at));
        let name = death(0).group().to_owned();
        for order in [[1, 2, 3], [3, 1, 2], [2, 3, 1], [3, 2, 1]] {
            let mut groups = Groups::default();
            order.into_iter().for_each(|at| groups.bury(death(at), 1));
            groups.raise(Some(&name));
            let share = &groups.0[&name];
            let (first, last) = share.buried.as_ref().unwrap();
            assert_eq!((share.n, *first, last.at), (2, Timestamp(1), Timestamp(3)), "{order:?}");
        }
    }
}
