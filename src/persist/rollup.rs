//! What happened in each ten seconds, for the charts: written by each node at the end of a slot, read summed over all.
//!
//! A slot of a node is written once. A write that is done again says the same again; a slot without a row is one in which
//! nobody ran.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::Reads;
use super::dialect::statement;
use super::rows::{
    Bulk,
    Type::{Id, Long},
};
use super::tx::Tx;
use crate::clock::Timestamp;
use crate::telemetry::{BUCKETS, SLOT, Span};

/// How long rows are kept: a day, and what the longest chart needs beyond it.
const KEPT: Duration = Duration::from_secs(25 * 3_600);

/// A slot and what happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollup {
    /// When the slot, or the bucket of slots, began.
    pub at: Timestamp,
    /// What happened in it.
    pub span: Span,
}

const ROLLUPS: Bulk = Bulk {
    head: "INSERT INTO rollup (at, node, accepted, finished, failed, retried, took_0, took_1, took_2, took_3, took_4, \
           took_5, took_6, took_7, took_8, took_9, took_10, took_11, took_12, took_13, \
           took_14, took_15, took_16) ",
    types: &[
        Long, Id, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long, Long,
        Long, Long, Long, Long,
    ],
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    tail: " ON CONFLICT (at, node) DO UPDATE SET accepted = excluded.accepted, finished = excluded.finished, failed = excluded.failed, \
           retried = excluded.retried, took_0 = excluded.took_0, took_1 = excluded.took_1, \
           took_2 = excluded.took_2, took_3 = excluded.took_3, took_4 = excluded.took_4, \
           took_5 = excluded.took_5, took_6 = excluded.took_6, took_7 = excluded.took_7, \
           took_8 = excluded.took_8, took_9 = excluded.took_9, took_10 = excluded.took_10, \
           took_11 = excluded.took_11, took_12 = excluded.took_12, took_13 = excluded.took_13, \
           took_14 = excluded.took_14, took_15 = excluded.took_15, took_16 = excluded.took_16",
};

/// Writes a slot of this node, and lets go of what is too old for any chart.
pub(super) async fn write(tx: &Tx, rollup: &Rollup, node: Uuid) -> Result<(), DbErr> {
    let long = |n: u64| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
    let Span { accepted, finished, failed, retried, took } = rollup.span;
    let mut values = vec![rollup.at.0.into(), node.into()];
    values.extend([accepted, finished, failed, retried].into_iter().chain(took).map(long));
    ROLLUPS.execute(tx, values).await?;
    let old = statement(tx.get_database_backend(), OLD, [rollup.at.before(KEPT).0.into()]);
    tx.execute_raw(old).await?;
    Ok(())
}

pub(super) const OLD: &str = "DELETE FROM rollup WHERE at < ?";

impl Rollup {
    /// The slot that a moment is in.
    #[must_use]
    pub fn slot(at: Timestamp) -> Timestamp {
        Self::bucket(at, SLOT)
    }

    /// The bucket of this width that a moment is in.
    #[must_use]
    pub fn bucket(at: Timestamp, width: Duration) -> Timestamp {
        let width = i64::try_from(width.as_micros()).unwrap_or(i64::MAX).max(1);
        Timestamp(at.0.div_euclid(width) * width)
    }
}

impl Reads {
    /// What happened from `since` on and before `until`, over all nodes, in buckets of this width; those in which nobody
    /// ran are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn rollups(&self, since: Timestamp, until: Timestamp, width: Duration) -> Result<Vec<Rollup>, DbErr> {
        let width = i64::try_from(width.as_micros()).unwrap_or(i64::MAX).max(1);
        let values = [width.into(), since.0.into(), until.0.into()];
        let rows = self.db.query_all_raw(self.statement(&buckets(), values)).await?;
        rows.iter()
            .map(|row| Ok(Rollup { at: Timestamp(row.try_get::<i64>("", "bucket")? * width), span: span(row)? }))
            .collect()
    }
}

/// The statement that sums slots up into buckets.
pub(super) fn buckets() -> String {
    let named = ["accepted", "finished", "failed", "retried"].map(ToOwned::to_owned).into_iter();
    let sums: Vec<String> = named
        .chain((0..BUCKETS).map(|bucket| format!("took_{bucket}")))
        .map(|column| format!("CAST(SUM({column}) AS BIGINT) AS {column}"))
        .collect();
    let sums = sums.join(", ");
    format!("SELECT at / ? AS bucket, {sums} FROM rollup WHERE at >= ? AND at < ? GROUP BY 1 ORDER BY 1")
}

fn span(row: &QueryResult) -> Result<Span, DbErr> {
    let n = |column: &str| Ok::<_, DbErr>(u64::try_from(row.try_get::<i64>("", column)?).unwrap_or(0));
    let mut took = [0; BUCKETS];
    for (bucket, count) in took.iter_mut().enumerate() {
        *count = n(&format!("took_{bucket}"))?;
    }
    Ok(Span { accepted: n("accepted")?, finished: n("finished")?, failed: n("failed")?, retried: n("retried")?, took })
}
