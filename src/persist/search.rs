//! Searching the ledger: pages of records, newest first, that look at no more of it than a page may.
//!
//! What no index serves is looked for in the order of the ids, slice by slice, so that a page costs the same however
//! rare its records are and however many there are. How far it came is part of the answer.

use std::collections::HashMap;

use evenkeel_entity::event_record;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Value,
};
use uuid::Uuid;

use super::column::{ENDED, FAILED, WAITING};
use super::dialect;
use super::reads::{Filter, Reads, parts};
use super::record::Record;
use crate::clock::Timestamp;
use crate::event::Payload;
use crate::lifecycle::{FinalStatus, Status};

/// How many records a page looks at, slice by slice: what is frequent is found in the first.
const SLICES: [u64; 3] = [2_000, 8_000, 40_000];

/// Up to so many events that wait are looked at by themselves, wherever they are.
const FEW: i64 = 20_000;

/// A page of what was looked for.
#[derive(Debug, Default)]
pub struct Found {
    /// The records, newest first.
    pub records: Vec<Record>,
    /// What is older than this record has not been looked at; if there is none, all has been.
    pub next: Option<Uuid>,
    /// When that record was taken in, if the page ended there because it had looked at as many as it may.
    pub searched_until: Option<Timestamp>,
}

/// What a search has to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// All records.
    All,
    /// Those that ended like this, which is not well.
    Ended(FinalStatus),
    /// Those that have an error.
    Failed,
    /// Those in hand: no more than there are permits.
    InHand,
    /// Those that wait, if they are few.
    Waiting,
    /// Those of one event id.
    Named,
}

impl Way {
    pub(super) fn of(filter: &Filter) -> Self {
        match (filter.end(), filter.status) {
            _ if filter.event_id.is_some() => Self::Named,
            (Some(end), _) if end != FinalStatus::Completed => Self::Ended(end),
            _ if filter.error.is_some() => Self::Failed,
            (_, Some(Status::Processing)) => Self::InHand,
            (_, Some(Status::Pending | Status::Scheduled | Status::RetryScheduled)) => Self::Waiting,
            _ => Self::All,
        }
    }

    /// The record that is so many behind `before`, or nothing if there are not so many.
    pub(super) fn floor(self, before: Uuid, since: Uuid, slice: u64) -> (String, Vec<Value>) {
        let (index, which, mut values) = match self {
            Self::Ended(end) => (
                " INDEXED BY event_record_ended",
                format!("{ENDED} AND final_status = ? AND "),
                vec![Value::from(end.as_str())],
            ),
            Self::Failed => (" INDEXED BY event_record_error", format!("{FAILED} AND "), Vec::new()),
            Self::All | Self::InHand | Self::Waiting | Self::Named => ("", String::new(), Vec::new()),
        };
        values.extend([before.into(), since.into()]);
        let sql = format!(
            "SELECT id FROM event_record{index} WHERE {which}id < ? AND id >= ? ORDER BY id DESC LIMIT 1 OFFSET {}",
            slice - 1
        );
        (sql, values)
    }

    /// The records of this part between two ids, newest first.
    pub(super) fn page(
        self,
        backend: DbBackend,
        part: Select<event_record::Entity>,
        before: Option<Uuid>,
        floor: Option<Uuid>,
    ) -> Select<event_record::Entity> {
        let mut query = part;
        if let Some(few) = self.few() {
            query = query.filter(Expr::cust(dialect::statement(backend, &few, []).sql));
        }
        if let Some(before) = before {
            query = query.filter(event_record::Column::Id.lt(before));
        }
        if let Some(floor) = floor {
            query = query.filter(event_record::Column::Id.gte(floor));
        }
        query.order_by_desc(event_record::Column::Id)
    }

    /// The ids of the few records that are looked at, if they are few.
    fn few(self) -> Option<String> {
        match self {
            Self::InHand => Some(
                "id IN (SELECT id FROM event_record INDEXED BY event_record_owner WHERE owner IS NOT NULL)".to_owned(),
            ),
            Self::Waiting => Some(format!(
                "id IN (SELECT id FROM event_record INDEXED BY event_record_waiting WHERE {WAITING} AND crash_count < 2 \
                 UNION ALL SELECT id FROM event_record INDEXED BY event_record_suspect WHERE {WAITING} AND crash_count >= 2)"
            )),
            Self::All | Self::Ended(_) | Self::Failed | Self::Named => None,
        }
    }
}

impl Reads {
    /// Up to `limit` records, newest first, that are older than `before`; it may end before it has found so many.
    ///
    /// # Errors
    /// The database's.
    pub async fn search(&self, filter: &Filter, before: Option<Uuid>, limit: u64) -> Result<Found, DbErr> {
        self.search_within(&SLICES, filter, before, limit).await
    }

    /// The data of these records; a few of them, since all of it is in memory then.
    ///
    /// # Errors
    /// The database's.
    pub async fn payloads(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Payload>, DbErr> {
        use event_record::Column as C;
        let query = event_record::Entity::find().select_only().columns([C::Id, C::ContentType, C::Data]);
        let query = query.filter(C::Id.is_in(ids.iter().copied()));
        let rows = query.into_tuple::<(Uuid, Option<String>, Option<Vec<u8>>)>().all(&self.db).await?;
        let payload = |content_type, bytes: Option<Vec<u8>>| Payload { content_type, bytes: bytes.map(Into::into) };
        Ok(rows.into_iter().map(|(id, content_type, bytes)| (id, payload(content_type, bytes))).collect())
    }

    pub(super) async fn search_within(
        &self,
        slices: &[u64],
        filter: &Filter,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Found, DbErr> {
        let never = filter
            .status
            .is_some_and(|status| filter.final_status.is_some_and(|end| status.final_status() != Some(end)));
        if never {
            return Ok(Found::default());
        }
        let (way, backend) = (self.way(filter).await?, self.db.get_database_backend());
        let mut parts = parts(filter).into_iter();
        let (Some(part), late) = (parts.next(), parts.next()) else { return Ok(Found::default()) };
        let mut found = Found { next: before, ..Found::default() };
        for slice in slices {
            let floor = match way {
                Way::InHand | Way::Waiting | Way::Named => None,
                Way::All | Way::Ended(_) | Way::Failed => self.floor(way, filter, found.next, *slice).await?,
            };
            let page = way.page(backend, part.clone(), found.next, floor);
            if self.fill(&mut found, page, limit).await? {
                return Ok(found);
            }
            found.next = floor;
            if floor.is_none() {
                // What was late has older ids than all of this, and is little.
                if let Some(late) = late {
                    self.fill(&mut found, way.page(backend, late, before, None), limit).await?;
                }
                return Ok(found);
            }
        }
        if let Some(next) = found.next {
            found.searched_until = self.record(next).await?.map(|record| record.created_at);
        }
        Ok(found)
    }

    /// Adds what a query finds; true if the page is full, and then it knows where the next begins.
    async fn fill(&self, found: &mut Found, query: Select<event_record::Entity>, limit: u64) -> Result<bool, DbErr> {
        // One more than is shown, to know whether there is a next page.
        let wanted = (limit + 1).saturating_sub(found.records.len() as u64);
        found.records.extend(self.records(query, wanted).await?);
        let full = found.records.len() as u64 > limit;
        if full {
            found.records.pop();
            found.next = found.records.last().map(|last| last.id);
        }
        Ok(full)
    }

    /// What has to be looked at. Events that wait may be most of the ledger; their number is kept.
    async fn way(&self, filter: &Filter) -> Result<Way, DbErr> {
        let way = Way::of(filter);
        if way != Way::Waiting {
            return Ok(way);
        }
        let waits = |status| matches!(status, Status::Pending | Status::Scheduled | Status::RetryScheduled);
        let waiting: i64 = self.counts().await?.iter().filter(|((_, status), _)| waits(*status)).map(|(_, n)| n).sum();
        Ok(if waiting > FEW { Way::All } else { way })
    }

    async fn floor(&self, way: Way, filter: &Filter, before: Option<Uuid>, slice: u64) -> Result<Option<Uuid>, DbErr> {
        let until = filter.below().into_iter().chain(before).min().unwrap_or(Uuid::max());
        let since = filter.above().unwrap_or(Uuid::nil());
        let (sql, values) = way.floor(until, since, slice);
        let row = self.db.query_one_raw(self.statement(&sql, values)).await?;
        row.map(|row| row.try_get("", "id")).transpose()
    }
}
