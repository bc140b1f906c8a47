//! Periods by the key: ids are nearly in the order of acceptance, so they bound a span of time, and `created_at` then says
//! exactly what is in it. What waited long in its broker keeps the id that its sender was told, which is older: such
//! records are few, and are listed apart by when they were taken in.

use std::time::Duration;

use evenkeel_entity::late_record;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, Value};
use uuid::Uuid;

use super::fault::Fault;
use super::record::NewRecord;
use super::rows::{
    Bulk,
    Type::{Id, Long},
};
use super::tx::Tx;
use crate::clock::Timestamp;

/// How much older than its record an id may be without being late.
const OLDER: Duration = Duration::from_secs(3_600);

/// How much younger than its record an id may be: the ids of a batch are made one after the other.
const YOUNGER: Duration = Duration::from_secs(10);

const LATE: Bulk =
    Bulk { head: "INSERT INTO late_record (created_at, record_id) ", types: &[Long, Id], row: "(?, ?)", tail: "" };

/// Writes down which of these new records are late.
pub(super) async fn note(tx: &Tx, records: &[&NewRecord]) -> Result<(), Fault> {
    let late = records.iter().filter(|record| record.id < first_id(record.created_at));
    let values = late.flat_map(|record| [Value::from(record.created_at.0), record.id.into()]);
    LATE.execute(tx, values.collect()).await?;
    Ok(())
}

/// The ids of what was taken in since this moment, but for those that are late, are not below this one.
pub(super) fn first_id(since: Timestamp) -> Uuid {
    smallest_id(since.before(OLDER))
}

/// The ids of what was taken in until this moment are below this one.
pub(super) fn end_of_ids(until: Timestamp) -> Uuid {
    smallest_id(until.after(YOUNGER))
}

/// The ids of late records of this time; with bounds, of those between these ids and no more is read.
pub(super) fn ids(since: Timestamp, until: Option<Timestamp>, between: Option<(Uuid, Uuid)>) -> SelectStatement {
    use late_record::Column as C;
    let mut ids = Query::select().column(C::RecordId).from(late_record::Entity).to_owned();
    let Some((floor, before)) = between else {
        ids.and_where(C::CreatedAt.gte(since.0)).and_where_option(until.map(|until| C::CreatedAt.lt(until.0)));
        return ids;
    };
    // With the sign the period cannot be what the database goes by.
    let created_at = || Expr::cust("+created_at");
    ids.and_where(C::RecordId.gte(floor)).and_where(C::RecordId.lt(before));
    ids.and_where(created_at().gte(since.0)).and_where_option(until.map(|until| created_at().lt(until.0)));
    ids
}

/// The late record that is so many behind another, or nothing if there are not so many.
pub(super) fn floor(slice: u64) -> String {
    format!(
        "SELECT record_id AS id FROM late_record INDEXED BY late_record_id WHERE record_id < ? \
         ORDER BY record_id DESC LIMIT 1 OFFSET {}",
        slice - 1
    )
}

/// The smallest uuid v7 of a moment.
fn smallest_id(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.0.div_euclid(1_000)).unwrap_or(0);
    Uuid::from_u128(u128::from(millis & 0xffff_ffff_ffff) << 80)
}
