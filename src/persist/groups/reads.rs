//! Reading the groups of dead letters: few rows, however many dead letters there are.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::column::word;
use super::super::reads::Reads;
use crate::clock::Timestamp;
use crate::lifecycle::FinalStatus;

/// What a group of dead letters has in common, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Group)]
pub struct Group {
    /// What a list or an operation names it by.
    pub group: String,
    /// How they ended.
    pub final_status: FinalStatus,
    /// Whose they are; nobody's if no handler is bound to their type.
    #[schema(required)]
    pub handler: Option<String>,
    /// Their type, if no handler is bound to it.
    #[serde(rename = "type")]
    #[schema(required)]
    pub event_type: Option<String>,
    /// What went wrong, without the values that differ from one to the other.
    pub title: String,
    /// What went wrong in one of them.
    #[schema(required)]
    pub sample: Option<String>,
    /// How many are dead now.
    pub count: i64,
    /// When the first of them died, those that were redriven or discarded included. A group that was empty begins anew.
    pub first_seen: Timestamp,
    /// When the last of them died, those that were redriven or discarded included.
    pub last_seen: Timestamp,
}

/// Which groups a list holds; nothing set is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFilter {
    /// How they ended.
    pub final_status: Option<FinalStatus>,
    /// Whose they are.
    pub handler: Option<String>,
    /// One alone.
    pub group: Option<String>,
}

/// Which groups come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupOrder {
    /// The largest.
    #[default]
    Count,
    /// The one that grew last.
    LastSeen,
}

/// Where a page of groups ended. Groups grow and shrink meanwhile: one that has overtaken this place is not on the pages
/// after it, one that has fallen behind it is there again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEnd {
    /// What the last group was ordered by: how many it had, or when it grew last.
    pub place: i64,
    /// The last group itself.
    pub group: String,
}

impl GroupOrder {
    /// Where a page ends that ends with this group.
    #[must_use]
    pub fn end(self, last: &Group) -> GroupEnd {
        let place = match self {
            Self::Count => last.count,
            Self::LastSeen => last.last_seen.0,
        };
        GroupEnd { place, group: last.group.clone() }
    }
}

impl Reads {
    /// Up to `limit` groups that are not empty.
    ///
    /// # Errors
    /// The database's.
    pub async fn groups(&self, filter: &GroupFilter, order: GroupOrder, limit: u64) -> Result<Vec<Group>, DbErr> {
        self.groups_after(None, filter, order, limit).await
    }

    /// The same, those after the end of the page before.
    ///
    /// # Errors
    /// The database's.
    pub async fn groups_after(
        &self,
        after: Option<&GroupEnd>,
        filter: &GroupFilter,
        order: GroupOrder,
        limit: u64,
    ) -> Result<Vec<Group>, DbErr> {
        // What a node's share does not know, another's does: only the sum can be asked about.
        let (mut having, mut values) = (String::from("SUM(n) > 0"), Vec::<Value>::new());
        let mut also = |column: &str, value: Option<&str>| {
            if let Some(value) = value {
                having.push_str(&format!(" AND {column} = ?"));
                values.push(value.into());
            }
        };
        also("MAX(final_status)", filter.final_status.map(FinalStatus::as_str));
        also("MAX(handler_name)", filter.handler.as_deref());
        let only = if filter.group.is_some() { "WHERE fingerprint = ?" } else { "" };
        values.splice(0..0, filter.group.as_deref().map(Value::from));
        let order = match order {
            GroupOrder::Count => "SUM(n)",
            GroupOrder::LastSeen => "MAX(last_seen)",
        };
        if let Some(GroupEnd { place, group }) = after {
            having.push_str(&format!(" AND ({order} < ? OR ({order} = ? AND fingerprint > ?))"));
            values.extend([Value::from(*place), Value::from(*place), Value::from(group.as_str())]);
        }
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let sql = format!(
            "SELECT fingerprint, CAST(SUM(n) AS bigint) AS total, MAX(handler_name) AS handler, \
             MAX(event_type) AS of_type, MAX(final_status) AS ended, MAX(title) AS message, MAX(sample) AS example, \
             MIN(first_seen) AS seen_first, MAX(last_seen) AS seen_last FROM dead_letter_group {only} \
             GROUP BY fingerprint HAVING {having} ORDER BY {order} DESC, fingerprint LIMIT ?"
        );
        let rows = self.db.query_all_raw(self.statement(&sql, values)).await?;
        rows.iter().map(Group::from_row).collect()
    }
}

impl Group {
    fn from_row(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            group: row.try_get("", "fingerprint")?,
            final_status: word(&row.try_get::<String>("", "ended")?)?,
            handler: row.try_get("", "handler")?,
            event_type: row.try_get("", "of_type")?,
            title: row.try_get("", "message")?,
            sample: row.try_get("", "example")?,
            count: row.try_get("", "total")?,
            first_seen: Timestamp(row.try_get("", "seen_first")?),
            last_seen: Timestamp(row.try_get("", "seen_last")?),
        })
    }
}
