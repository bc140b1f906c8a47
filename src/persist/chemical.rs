//! Chemicals: what a change of a status leaves in the two tables that the handler `chemical_status` keeps.
//!
//! Changes come in any order, and some come twice. So nothing here depends on the order: the history has a row for each
//! change, the status is the newest one's, and what is told of a compound is what the newest of its changes that tells
//! it says. A write that is done again finds all of it done.

mod reads;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sea_orm::Value;
use uuid::Uuid;

use super::fault::Fault;
use super::rows::{
    Bulk,
    Type::{Double, Id, Long, Text},
};
use super::tx::Tx;
use crate::clock::Timestamp;

pub use reads::{Chemical, PastChange};

/// A change of a compound's status, to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ChemicalChange {
    /// The record of its event, by which it is known again.
    pub record_id: Uuid,
    /// Which compound.
    pub cas: String,
    /// The status after it.
    pub status: String,
    /// The status before it, if it says so.
    pub previous_status: Option<String>,
    /// When the status changed.
    pub changed_at: Timestamp,
    /// Its place among the changes of the compound, not below 0, if it says so.
    pub sequence: Option<i64>,
    /// What else it tells of the compound.
    pub description: Description,
    /// Now.
    pub at: Timestamp,
}

/// What a change may tell of its compound beside the status.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are columns of chemical_status, described there")]
pub struct Description {
    pub name: Option<String>,
    pub formula: Option<String>,
    pub inchikey: Option<String>,
    pub pubchem_cid: Option<i64>,
    pub molecular_weight: Option<f64>,
}

impl ChemicalChange {
    /// What decides which of two changes is newer. Without a sequence it is the older; the record has the last word.
    fn age(&self) -> (Timestamp, Option<i64>, Uuid) {
        (self.changed_at, self.sequence, self.record_id)
    }
}

const HISTORY: Bulk = Bulk {
    head: "INSERT INTO chemical_status_change (record_id, cas, status, previous_status, changed_at, sequence, name, \
           formula, inchikey, pubchem_cid, molecular_weight, recorded_at) ",
    types: &[Id, Text, Text, Text, Long, Long, Text, Text, Text, Long, Double, Long],
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    tail: " ON CONFLICT (record_id) DO NOTHING",
};

const STATUSES: Bulk = Bulk {
    head: "INSERT INTO chemical_status (cas, status, previous_status, changed_at, sequence, record_id, updated_at) ",
    types: &[Text, Text, Text, Long, Long, Id, Long],
    row: "(?, ?, ?, ?, ?, ?, ?)",
    tail: " ON CONFLICT (cas) DO UPDATE SET status = excluded.status, previous_status = excluded.previous_status, \
           changed_at = excluded.changed_at, sequence = excluded.sequence, record_id = excluded.record_id, \
           updated_at = excluded.updated_at \
           WHERE (excluded.changed_at, COALESCE(excluded.sequence, -1), excluded.record_id) > \
           (chemical_status.changed_at, COALESCE(chemical_status.sequence, -1), chemical_status.record_id)",
};

/// A column of a compound, as the newest of its changes that tells it has it.
macro_rules! newest {
    ($column:literal) => {
        concat!(
            $column,
            " = (SELECT h.",
            $column,
            " FROM chemical_status_change h WHERE h.cas = chemical_status.cas AND h.",
            $column,
            " IS NOT NULL ORDER BY h.changed_at DESC, h.sequence DESC NULLS LAST, h.record_id DESC LIMIT 1)"
        )
    };
}

pub(super) const DESCRIPTIONS: Bulk = Bulk {
    head: concat!(
        "UPDATE chemical_status SET ",
        newest!("name"),
        ", ",
        newest!("formula"),
        ", ",
        newest!("inchikey"),
        ", ",
        newest!("pubchem_cid"),
        ", ",
        newest!("molecular_weight"),
        " FROM ("
    ),
    types: &[Text],
    row: "(?)",
    tail: ") AS v WHERE chemical_status.cas = v.column1",
};

/// Keeps all of them.
pub(super) async fn keep(tx: &Tx, changes: &[&ChemicalChange]) -> Result<(), Fault> {
    let newest = newest_by_cas(changes);
    // The statuses first, in the order of their keys: where several nodes write, this locks the compounds, and always
    // in one order. The descriptions last: they are read from a history that is complete then.
    STATUSES.execute(tx, newest.values().flat_map(|change| status(change)).collect()).await?;
    HISTORY.execute(tx, changes.iter().flat_map(|change| history(change)).collect()).await?;
    DESCRIPTIONS.execute(tx, newest.keys().map(|cas| (*cas).into()).collect()).await?;
    Ok(())
}

/// One statement may touch a row once only, so that each compound is in it once.
fn newest_by_cas<'a>(changes: &[&'a ChemicalChange]) -> BTreeMap<&'a str, &'a ChemicalChange> {
    let mut newest: BTreeMap<&str, &ChemicalChange> = BTreeMap::new();
    for change in changes {
        let known = newest.entry(&change.cas).or_insert(change);
        if change.age() > known.age() {
            *known = change;
        }
    }
    newest
}

fn status(change: &ChemicalChange) -> [Value; 7] {
    [
        change.cas.as_str().into(),
        change.status.as_str().into(),
        change.previous_status.as_deref().into(),
        change.changed_at.0.into(),
        change.sequence.into(),
        change.record_id.into(),
        change.at.0.into(),
    ]
}

fn history(change: &ChemicalChange) -> [Value; 12] {
    let Description { name, formula, inchikey, pubchem_cid, molecular_weight } = &change.description;
    [
        change.record_id.into(),
        change.cas.as_str().into(),
        change.status.as_str().into(),
        change.previous_status.as_deref().into(),
        change.changed_at.0.into(),
        change.sequence.into(),
        name.as_deref().into(),
        formula.as_deref().into(),
        inchikey.as_deref().into(),
        (*pubchem_cid).into(),
        (*molecular_weight).into(),
        change.at.0.into(),
    ]
}
