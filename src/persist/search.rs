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
use super::late;
use super::reads::{Filter, Part, Reads, is_waiting, parts};
use super::record::Record;
use crate::clock::Timestamp;
use crate::event::Payload;
use crate::lifecycle::{FinalStatus, Status};

/// How many records a page looks at, slice by slice: what is frequent is found in the first.
const SLICES: [u64; 3] = [2_000, 6_000, 17_000];

/// How many that are, for a page to say so.
pub const LOOKED_AT: i64 = (SLICES[0] + SLICES[1] + SLICES[2]).cast_signed();

/// How many late records a page looks at, after all others.
const LATE: u64 = 2_500;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// All records.
    All,
    /// Those that ended like this, which is not well.
    Ended(FinalStatus),
    /// Those that have an error.
    Failed,
    /// Those of one group of the dead.
    Grouped(String),
    /// Those that wait with this status.
    Waiting(Status),
    /// Those in hand: no more than there are permits.
    InHand,
    /// Those of one event id.
    Named,
}

impl Way {
    pub(super) fn of(filter: &Filter) -> Self {
        match (filter.end(), filter.status) {
            _ if filter.event_id.is_some() => Self::Named,
            _ if let Some(group) = &filter.group => Self::Grouped(group.clone()),
            (Some(end), _) if end != FinalStatus::Completed => Self::Ended(end),
            (_, Some(status)) if is_waiting(status) => Self::Waiting(status),
            _ if filter.error.is_some() => Self::Failed,
            (_, Some(Status::Processing)) => Self::InHand,
            _ => Self::All,
        }
    }

    /// The record that is so many behind `before`, or nothing if there are not so many.
    pub(super) fn floor(&self, before: Uuid, since: Uuid, slice: u64) -> (String, Vec<Value>) {
        let (index, which, mut values) = match self {
            Self::Ended(end) => (
                " INDEXED BY event_record_ended",
                format!("{ENDED} AND final_status = ? AND "),
                vec![Value::from(end.as_str())],
            ),
            Self::Failed => (" INDEXED BY event_record_error", format!("{FAILED} AND "), Vec::new()),
            Self::Grouped(group) => {
                (" INDEXED BY event_record_group", "fingerprint = ? AND ".to_owned(), vec![Value::from(group.as_str())])
            }
            Self::Waiting(status) => (
                " INDEXED BY event_record_status",
                format!("{WAITING} AND status = ? AND "),
                vec![Value::from(status.as_str())],
            ),
            Self::All | Self::InHand | Self::Named => ("", String::new(), Vec::new()),
        };
        values.extend([before.into(), since.into()]);
        let sql = format!(
            "SELECT id FROM event_record{index} WHERE {which}id < ? AND id >= ? ORDER BY id DESC LIMIT 1 OFFSET {}",
            slice - 1
        );
        (sql, values)
    }

    /// Whether it is looked at slice by slice; what is little is looked at as a whole.
    pub(super) const fn is_sliced(&self) -> bool {
        !matches!(self, Self::InHand | Self::Named)
    }

    /// The records of this part between two ids, newest first.
    pub(super) fn page(
        &self,
        backend: DbBackend,
        part: &Part,
        before: Option<Uuid>,
        floor: Option<Uuid>,
    ) -> Select<event_record::Entity> {
        let mut query = part.between(floor, before);
        if *self == Self::InHand {
            query = query.filter(Expr::cust(in_hand(backend)));
        }
        query.order_by_desc(event_record::Column::Id)
    }
}

/// The ids in hand, found once and before all else.
const fn in_hand(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "id = ANY(ARRAY(SELECT id FROM event_record WHERE owner IS NOT NULL))",
        _ => "id IN (SELECT id FROM event_record INDEXED BY event_record_owner WHERE owner IS NOT NULL)",
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
        let (way, backend) = (Way::of(filter), self.db.get_database_backend());
        let mut parts = parts(filter).into_iter();
        let (Some(part), late) = (parts.next(), parts.next()) else { return Ok(Found::default()) };
        let mut found = Found { next: before, ..Found::default() };
        for slice in slices {
            let floor = if way.is_sliced() { self.floor(&way, filter, found.next, *slice).await? } else { None };
            let page = way.page(backend, &part, found.next, floor);
            if self.fill(&mut found, page, limit).await? {
                return Ok(found);
            }
            found.next = floor;
            if floor.is_none() {
                // What was late has older ids than all of this.
                return match late {
                    Some(late) => self.search_late(&way, &late, before, limit, found).await,
                    None => Ok(found),
                };
            }
        }
        self.ended_early(found).await
    }

    /// Looks among what was late, in one slice: it is little, unless a broker was away for long.
    async fn search_late(
        &self,
        way: &Way,
        late: &Part,
        before: Option<Uuid>,
        limit: u64,
        mut found: Found,
    ) -> Result<Found, DbErr> {
        let top = late.end_of_late().into_iter().chain(before).min().unwrap_or(Uuid::max());
        let floor = self.first_id(&late::floor(LATE), vec![top.into()]).await?;
        let page = way.page(self.db.get_database_backend(), late, Some(top), Some(floor.unwrap_or(Uuid::nil())));
        if self.fill(&mut found, page, limit).await? {
            return Ok(found);
        }
        found.next = floor;
        self.ended_early(found).await
    }

    /// Says how far it came, if it did not come to the end.
    async fn ended_early(&self, mut found: Found) -> Result<Found, DbErr> {
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

    async fn floor(&self, way: &Way, filter: &Filter, before: Option<Uuid>, slice: u64) -> Result<Option<Uuid>, DbErr> {
        let until = filter.below().into_iter().chain(before).min().unwrap_or(Uuid::max());
        let since = filter.above().unwrap_or(Uuid::nil());
        let (sql, values) = way.floor(until, since, slice);
        self.first_id(&sql, values).await
    }

    async fn first_id(&self, sql: &str, values: Vec<Value>) -> Result<Option<Uuid>, DbErr> {
        let row = self.db.query_one_raw(self.statement(sql, values)).await?;
        row.map(|row| row.try_get("", "id")).transpose()
    }
}
