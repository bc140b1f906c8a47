//! Reading the ledger: from a pool of its own, never through Persistence, so that a reader never delays a write.

use std::collections::BTreeMap;

use evenkeel_entity::{event_attempt, event_record, handler_state, idempotency_key, status_count};
use sea_orm::sea_query::{BinOper, Expr, ExprTrait, Func, Query, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Statement, Value,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::column::{ENDED, FAILED, WAITING, signed, word};
use super::database::Readers;
use super::record::{AttemptRecord, Record};
use super::{dialect, late};
use crate::clock::Timestamp;
use crate::event::Payload;
use crate::lifecycle::{FinalStatus, Status};

/// Which records a list holds; nothing set is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
// A version that does not know a member would be about more records than were meant.
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the member of the record that must be equal")]
pub struct Filter {
    pub status: Option<Status>,
    pub final_status: Option<FinalStatus>,
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    pub handler: Option<String>,
    pub source: Option<String>,
    pub event_id: Option<String>,
    pub subject: Option<String>,
    /// The text that its last error holds, in capitals or not.
    pub error: Option<String>,
    /// Taken at this moment or later.
    pub since: Option<Timestamp>,
    /// Taken before this moment.
    pub until: Option<Timestamp>,
    /// The group of its death.
    pub group: Option<String>,
}

impl Filter {
    /// Dead letters only; events without a handler if it says so, or if it names their group.
    pub fn confine_to_the_dead(&mut self) {
        if self.group.is_none() {
            self.final_status.get_or_insert(FinalStatus::DeadLetter);
        }
    }
}

impl Filter {
    /// How the records have ended, if all of them have.
    pub(super) fn end(&self) -> Option<FinalStatus> {
        self.final_status.or_else(|| self.status?.final_status())
    }

    /// No record that was taken in time has a smaller id, unless it was late.
    pub(super) fn above(&self) -> Option<Uuid> {
        self.since.map(late::first_id)
    }

    /// No record that was taken in time has this id or a larger one.
    pub(super) fn below(&self) -> Option<Uuid> {
        self.until.map(late::end_of_ids)
    }
}

/// A record with everything that is known of it.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The record.
    pub record: Record,
    /// Its data.
    pub payload: Payload,
    /// All its attempts, in order; the one that runs is the last.
    pub attempts: Vec<AttemptRecord>,
}

/// Counts by lane and status.
pub type CountsByLane = BTreeMap<(String, Status), i64>;

/// The reading side of the ledger; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reads {
    pub(super) db: Readers,
}

impl Reads {
    /// Up to `limit` records, newest first, that are older than `before`.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, filter: &Filter, before: Option<Uuid>, limit: u64) -> Result<Vec<Record>, DbErr> {
        let mut found = Vec::new();
        for part in parts(filter) {
            let part = part.between(None, before).order_by_desc(event_record::Column::Id);
            let left = limit.saturating_sub(found.len() as u64);
            found.extend(self.records(part, left).await?);
        }
        Ok(found)
    }

    /// Up to `limit` records, oldest first, that are younger than `after` and older than `before`.
    ///
    /// # Errors
    /// The database's.
    pub async fn oldest_first(
        &self,
        filter: &Filter,
        after: Option<Uuid>,
        before: Uuid,
        limit: u64,
    ) -> Result<Vec<Record>, DbErr> {
        let floor = after.map(|after| Uuid::from_u128(after.as_u128().saturating_add(1)));
        let mut found = Vec::new();
        for part in parts(filter).into_iter().rev() {
            let part = part.between(floor, Some(before)).order_by_asc(event_record::Column::Id);
            let left = limit.saturating_sub(found.len() as u64);
            found.extend(self.records(part, left).await?);
        }
        Ok(found)
    }

    /// The first records that a query finds, without their data.
    pub(super) async fn records(&self, query: Select<event_record::Entity>, limit: u64) -> Result<Vec<Record>, DbErr> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let columns = without_data();
        let rows = query.select_only().columns(columns).expr_as(Expr::value(Option::<Vec<u8>>::None), "data");
        let rows = rows.limit(limit).into_model::<event_record::Model>().all(&self.db).await?;
        rows.into_iter().map(|row| Record::from_model(row).map(|(record, _)| record)).collect()
    }

    /// Ids and types of up to `limit` records.
    ///
    /// # Errors
    /// The database's.
    pub async fn ids(&self, filter: &Filter, limit: u64) -> Result<Vec<(Uuid, String)>, DbErr> {
        let mut found: Vec<(Uuid, String)> = Vec::new();
        for part in parts(filter).into_iter().rev() {
            let columns = [event_record::Column::Id, event_record::Column::EventType];
            let part = part.between(None, None).select_only().columns(columns);
            let part = part.order_by_asc(event_record::Column::Id);
            let left = limit.saturating_sub(found.len() as u64);
            found.extend(part.limit(left).into_tuple::<(Uuid, String)>().all(&self.db).await?);
        }
        Ok(found)
    }

    /// One record and all about it.
    ///
    /// # Errors
    /// The database's.
    pub async fn whole(&self, id: Uuid) -> Result<Option<Whole>, DbErr> {
        let Some(row) = event_record::Entity::find_by_id(id).one(&self.db).await? else { return Ok(None) };
        let (record, payload) = Record::from_model(row)?;
        // Two reads are no snapshot: an attempt that ended between them belongs to a state that was not read.
        let ended = record.attempt_count.saturating_sub(u32::from(record.claim.is_some()));
        let rows = event_attempt::Entity::find()
            .filter(event_attempt::Column::RecordId.eq(id))
            .filter(event_attempt::Column::AttemptNumber.lte(signed(ended)))
            .order_by_asc(event_attempt::Column::AttemptNumber)
            .all(&self.db)
            .await?;
        let mut attempts = rows.into_iter().map(AttemptRecord::from_model).collect::<Result<Vec<_>, _>>()?;
        attempts.extend(AttemptRecord::running(&record));
        Ok(Some(Whole { record, payload, attempts }))
    }

    /// One record.
    ///
    /// # Errors
    /// The database's.
    pub async fn record(&self, id: Uuid) -> Result<Option<Record>, DbErr> {
        let row = event_record::Entity::find_by_id(id).one(&self.db).await?;
        row.map(|row| Record::from_model(row).map(|(record, _)| record)).transpose()
    }

    /// Those of these ids that a record has.
    ///
    /// # Errors
    /// The database's.
    pub async fn taken(&self, ids: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
        let mut taken = Vec::new();
        for ids in ids.chunks(500) {
            let query = event_record::Entity::find().select_only().column(event_record::Column::Id);
            let found = query.filter(event_record::Column::Id.is_in(ids.iter().copied()));
            taken.extend(found.into_tuple::<Uuid>().all(&self.db).await?);
        }
        Ok(taken)
    }

    /// Those of these records that have a final status.
    ///
    /// # Errors
    /// The database's.
    pub async fn ended(&self, ids: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
        let mut ended = Vec::new();
        for ids in ids.chunks(500) {
            let query = event_record::Entity::find().select_only().column(event_record::Column::Id);
            let found = query
                .filter(event_record::Column::Id.is_in(ids.iter().copied()))
                .filter(event_record::Column::FinalStatus.is_not_null());
            ended.extend(found.into_tuple::<Uuid>().all(&self.db).await?);
        }
        Ok(ended)
    }

    /// The records that hold the key of this event id, by source.
    ///
    /// # Errors
    /// The database's.
    pub async fn holders(&self, event_id: &str, source: Option<&str>) -> Result<Vec<(String, Uuid)>, DbErr> {
        let mut query = idempotency_key::Entity::find()
            .select_only()
            .columns([idempotency_key::Column::Source, idempotency_key::Column::RecordId])
            .filter(idempotency_key::Column::EventId.eq(event_id));
        if let Some(source) = source {
            query = query.filter(idempotency_key::Column::Source.eq(source));
        }
        query.order_by_asc(idempotency_key::Column::Source).limit(10).into_tuple().all(&self.db).await
    }

    /// How many records stand where, by lane; exact, and cheap at any size.
    ///
    /// # Errors
    /// The database's.
    pub async fn counts(&self) -> Result<CountsByLane, DbErr> {
        let rows = status_count::Entity::find().all(&self.db).await?;
        let mut counts = CountsByLane::new();
        for row in rows {
            *counts.entry((row.handler_name, word(&row.status)?)).or_default() += row.n;
        }
        Ok(counts)
    }

    /// Since when the oldest event of this lane is due, if one is.
    ///
    /// # Errors
    /// The database's.
    pub async fn oldest_due(&self, handler: &str, now: Timestamp) -> Result<Option<Timestamp>, DbErr> {
        let sql = format!(
            "SELECT MIN(next_attempt_at) AS at FROM event_record INDEXED BY event_record_waiting \
             WHERE {WAITING} AND crash_count < 2 AND handler_name = ? AND next_attempt_at <= ?"
        );
        self.moment(sql, handler, now).await
    }

    /// When the next event of this lane that is not due yet will be.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_due(&self, handler: &str, now: Timestamp) -> Result<Option<Timestamp>, DbErr> {
        let sql = format!(
            "SELECT MIN(next_attempt_at) AS at FROM event_record INDEXED BY event_record_waiting \
             WHERE {WAITING} AND crash_count < 2 AND handler_name = ? AND next_attempt_at > ?"
        );
        self.moment(sql, handler, now).await
    }

    async fn moment(&self, sql: String, handler: &str, now: Timestamp) -> Result<Option<Timestamp>, DbErr> {
        let values = [handler.into(), now.0.into()];
        let statement = self.statement(&sql, values);
        let row = self.db.query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get::<Option<i64>>("", "at")).transpose()?.flatten().map(Timestamp))
    }

    /// Since or from when the first event of each of these lanes is due; of a lane in which nothing waits there is none.
    ///
    /// # Errors
    /// The database's.
    pub async fn heads(&self, lanes: &[&str]) -> Result<BTreeMap<String, Timestamp>, DbErr> {
        if lanes.is_empty() {
            return Ok(BTreeMap::new());
        }
        // One look into the index a lane, whatever the database thinks of its tables.
        let sql = format!(
            "SELECT v.column1 AS lane, (SELECT MIN(next_attempt_at) FROM event_record INDEXED BY event_record_waiting \
             WHERE {WAITING} AND crash_count < 2 AND handler_name = v.column1) AS at FROM (VALUES {}) AS v",
            vec!["(?)"; lanes.len()].join(", ")
        );
        let values = lanes.iter().map(|lane| Value::from(*lane));
        let mut heads = BTreeMap::new();
        for row in self.db.query_all_raw(self.statement(&sql, values)).await? {
            if let Some(at) = row.try_get::<Option<i64>>("", "at")? {
                heads.insert(row.try_get("", "lane")?, Timestamp(at));
            }
        }
        Ok(heads)
    }

    /// How many retries are due by now, counted up to a bound.
    ///
    /// # Errors
    /// The database's.
    pub async fn retries_due(&self, handlers: &[String], now: Timestamp) -> Result<i64, DbErr> {
        let mut due = 0;
        for handler in handlers {
            let sql = format!(
                "SELECT COUNT(*) AS n FROM (SELECT 1 FROM event_record INDEXED BY event_record_waiting WHERE {WAITING} \
                 AND crash_count < 2 AND handler_name = ? AND next_attempt_at <= ? AND status = 'RETRY_SCHEDULED' \
                 LIMIT 10000) AS due"
            );
            let values = [handler.as_str().into(), now.0.into()];
            let statement = self.statement(&sql, values);
            if let Some(row) = self.db.query_one_raw(statement).await? {
                due += row.try_get::<i64>("", "n")?;
            }
        }
        Ok(due)
    }

    /// Whether any event that waits may have killed a process.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_suspects(&self) -> Result<bool, DbErr> {
        let sql = format!(
            "SELECT 1 FROM event_record INDEXED BY event_record_suspect WHERE {WAITING} AND crash_count >= 2 LIMIT 1"
        );
        let statement = self.statement(&sql, []);
        Ok(self.db.query_one_raw(statement).await?.is_some())
    }

    /// The handlers that are paused.
    ///
    /// # Errors
    /// The database's.
    pub async fn paused(&self) -> Result<Vec<String>, DbErr> {
        handler_state::Entity::find()
            .select_only()
            .column(handler_state::Column::HandlerName)
            .filter(handler_state::Column::Paused.eq(true))
            .into_tuple()
            .all(&self.db)
            .await
    }

    /// The lanes and types of everything that waits.
    ///
    /// # Errors
    /// The database's.
    pub async fn waiting_types(&self) -> Result<Vec<(String, String)>, DbErr> {
        let sql = format!(
            "SELECT DISTINCT handler_name, event_type FROM event_record INDEXED BY event_record_waiting \
             WHERE {WAITING} AND crash_count < 2 \
             UNION SELECT DISTINCT handler_name, event_type FROM event_record INDEXED BY event_record_suspect \
             WHERE {WAITING} AND crash_count >= 2"
        );
        let rows = self.db.query_all_raw(self.statement(&sql, [])).await?;
        rows.iter().map(|row| Ok((row.try_get("", "handler_name")?, row.try_get("", "event_type")?))).collect()
    }

    /// The types that had no handler, and how many events of each.
    ///
    /// # Errors
    /// The database's.
    pub async fn unhandled_types(&self) -> Result<Vec<(String, i64)>, DbErr> {
        let sql = "SELECT event_type, COUNT(*) AS n FROM event_record INDEXED BY event_record_dead \
                   WHERE final_status IN ('DEAD_LETTER', 'NO_HANDLER') AND final_status = 'NO_HANDLER' \
                   GROUP BY event_type";
        let rows = self.db.query_all_raw(self.statement(sql, [])).await?;
        rows.iter().map(|row| Ok((row.try_get("", "event_type")?, row.try_get("", "n")?))).collect()
    }

    pub(super) fn statement(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        dialect::statement(self.db.get_database_backend(), sql, values)
    }

    /// Whether the ledger can be read.
    ///
    /// # Errors
    /// The database's.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.db.ping().await
    }
}

/// A part of what a filter finds, and the ids between which it lies.
#[derive(Clone, Debug)]
pub(super) struct Part {
    found: Select<event_record::Entity>,
    floor: Option<Uuid>,
    before: Option<Uuid>,
    /// The period of what is late, if this is about it.
    late: Option<(Timestamp, Option<Timestamp>)>,
}

impl Part {
    /// What of it has ids from `floor` on and below `before`. Each end is bounded once: of two bounds SQLite begins at
    /// whichever it likes, and reads its way to the other.
    pub(super) fn between(&self, floor: Option<Uuid>, before: Option<Uuid>) -> Select<event_record::Entity> {
        use event_record::Column as C;
        let floor = self.floor.into_iter().chain(floor).max();
        let before = self.before.into_iter().chain(before).min();
        let mut query = self.found.clone();
        if let Some((since, until)) = self.late {
            query = query.filter(C::Id.in_subquery(late::ids(since, until, floor.zip(before))));
        }
        if let Some(floor) = floor {
            query = query.filter(C::Id.gte(floor));
        }
        if let Some(before) = before {
            query = query.filter(C::Id.lt(before));
        }
        query
    }

    /// Below which id it lies, if it is what came late.
    pub(super) fn end_of_late(&self) -> Option<Uuid> {
        self.late.and(self.before)
    }
}

/// The parts of what a filter finds, each younger than the one that follows it. There is a second only if it has a
/// beginning: what is late has ids from before it.
pub(super) fn parts(filter: &Filter) -> Vec<Part> {
    use event_record::Column as C;
    let (found, before) = (select(filter), filter.below());
    let Some(since) = filter.since else { return vec![Part { found, floor: None, before, late: None }] };
    let first = late::first_id(since);
    let late = Part {
        found: found.clone(),
        floor: None,
        before: before.into_iter().chain([first]).min(),
        late: Some((since, filter.until)),
    };
    vec![Part { found: found.filter(C::CreatedAt.gte(since.0)), floor: Some(first), before, late: None }, late]
}

/// What a filter finds, if a period had no beginning; the ids that bound it are not among the conditions.
pub(super) fn select(filter: &Filter) -> Select<event_record::Entity> {
    use event_record::Column as C;
    let mut query = event_record::Entity::find();
    if let Some(status) = filter.status {
        query = query.filter(C::Status.eq(status.as_str()));
        if is_waiting(status) {
            query = query.filter(Expr::cust(WAITING));
        }
    }
    // A final status is one of few words, a status of many: the first has the index.
    if let Some(end) = filter.end() {
        query = query.filter(C::FinalStatus.eq(end.as_str()));
        if end != FinalStatus::Completed {
            query = query.filter(Expr::cust(ENDED));
        }
    }
    if let Some(error) = &filter.error {
        query = query.filter(Expr::cust(FAILED)).filter(holds(error));
    }
    let texts = [
        (C::EventType, &filter.event_type),
        (C::HandlerName, &filter.handler),
        (C::Source, &filter.source),
        (C::Subject, &filter.subject),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            query = query.filter(column.eq(text.as_str()));
        }
    }
    if let Some(group) = &filter.group {
        query = query.filter(C::Fingerprint.eq(group.as_str()));
    }
    if let Some(event_id) = &filter.event_id {
        query = query.filter(C::Id.in_subquery(named(event_id)));
    }
    if let Some(until) = filter.until {
        query = query.filter(C::CreatedAt.lt(until.0));
    }
    query
}

/// Whether events of this status wait for their next attempt.
pub(super) const fn is_waiting(status: Status) -> bool {
    matches!(status, Status::Pending | Status::RetryScheduled | Status::Scheduled)
}

/// Whether the error holds this text. Both sides are put into small letters by the database, which means a to z on SQLite
/// and what its locale says on PostgreSQL.
fn holds(text: &str) -> Expr {
    let mut pattern = String::with_capacity(text.len() + 2);
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    let pattern = Expr::expr(Func::lower(format!("%{pattern}%"))).binary(BinOper::Escape, Expr::cust("'!'"));
    Expr::expr(Func::lower(Expr::col(event_record::Column::Error))).binary(BinOper::Like, pattern)
}

/// The ids of the records of an event id: the one that holds the key, and those that hold none.
fn named(event_id: &str) -> SelectStatement {
    use event_record::Column as C;
    let keyless = Query::select()
        .column(C::Id)
        .from(event_record::Entity)
        // Word by word the condition of their index.
        .and_where(Expr::cust("status IN ('DUPLICATE', 'INVALID')"))
        .and_where(C::EventId.eq(event_id))
        .to_owned();
    Query::select()
        .column(idempotency_key::Column::RecordId)
        .from(idempotency_key::Entity)
        .and_where(idempotency_key::Column::EventId.eq(event_id))
        .union(UnionType::All, keyless)
        .to_owned()
}

fn without_data() -> Vec<event_record::Column> {
    use sea_orm::Iterable;
    event_record::Column::iter().filter(|column| !matches!(column, event_record::Column::Data)).collect()
}
