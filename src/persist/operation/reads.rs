//! Reading operations, and the records that they are about: a bounded number of rows at a time.

use evenkeel_entity::{event_record, operation, operation_failure};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::column::word;
use super::super::groups::{GroupFilter, GroupOrder};
use super::super::reads::{Filter, Reads, select};
use crate::clock::Timestamp;
use crate::lifecycle::{FinalStatus, OperationAction, OperationState, Status};

/// So many dead letters are looked at in one statement, whether they match or not.
const WINDOW: u64 = 5_000;

/// Word by word the condition of the index of dead letters.
const DEAD: &str = "final_status IN ('DEAD_LETTER', 'NO_HANDLER')";

/// An operation on many dead letters, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Operation)]
pub struct OperationRecord {
    /// Its id, a uuid v7.
    pub id: Uuid,
    /// What it does.
    pub action: OperationAction,
    /// To which records: names and values of the filters.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub filter: Value,
    /// Where it stands.
    pub state: OperationState,
    /// How many records matched at its beginning.
    pub matched: i64,
    /// Whether that is all of them; else there are so many at least.
    pub matched_is_exact: bool,
    /// How many it has changed.
    pub done: i64,
    /// How many somebody else had changed before it came to them.
    pub skipped: i64,
    /// How many could not be changed.
    pub failed: i64,
    /// How far it has come, from 0 to 1, if that is known.
    #[schema(required)]
    pub progress: Option<f64>,
    /// How many records a second it changes at most; nothing is as fast as it can.
    #[schema(required)]
    pub rate: Option<u32>,
    /// Why it failed as a whole.
    #[schema(required)]
    pub error: Option<String>,
    /// Who began it, as far as is known.
    pub actor: String,
    /// Why, if they said.
    #[schema(required)]
    pub reason: Option<String>,
    /// The node that works on it.
    #[schema(required)]
    pub node: Option<Uuid>,
    /// When it began. It is about what had died by then.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When it ended.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) cursor: Option<Uuid>,
    #[serde(skip)]
    pub(crate) died_by: Timestamp,
}

/// A record that an operation could not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OperationFailure {
    /// Which record.
    pub record_id: Uuid,
    /// Why.
    pub reason: String,
}

/// How many records match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched {
    /// So many.
    pub count: u64,
    /// Whether that is all of them, or only so many dead letters were looked at.
    pub is_exact: bool,
}

/// The next dead letters of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Ids and types of those that match, in order.
    pub records: Vec<(Uuid, String)>,
    /// How far it was looked; nothing if there was nothing to look at.
    pub upto: Option<Uuid>,
    /// Whether there is nothing after it.
    pub is_last: bool,
}

impl OperationRecord {
    /// Which records it is about.
    ///
    /// # Errors
    /// If it was written by a version that knows more filters.
    pub fn filter(&self) -> Result<Filter, serde_json::Error> {
        serde_json::from_value(self.filter.clone())
    }

    fn from_model(row: operation::Model) -> Result<Self, DbErr> {
        let state: OperationState = word(&row.state)?;
        let mut filter: Value = serde_json::from_str(&row.filter).map_err(|error| DbErr::Json(error.to_string()))?;
        if let Value::Object(members) = &mut filter {
            members.retain(|_, value| !value.is_null());
        }
        Ok(Self {
            id: row.id,
            action: word(&row.action)?,
            filter,
            state,
            matched: row.matched,
            matched_is_exact: row.is_exact,
            done: row.done,
            skipped: row.skipped,
            failed: row.failed,
            progress: progress(state, row.is_exact, row.matched, row.done + row.skipped + row.failed),
            rate: row.rate.and_then(|rate| u32::try_from(rate).ok()),
            error: row.error,
            actor: row.actor,
            reason: row.reason,
            node: row.owner,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            ended_at: row.ended_at.map(Timestamp),
            cursor: row.cursor,
            died_by: Timestamp(row.died_by),
        })
    }
}

/// How far it has come, if that is known. It never says that it is at the end before it is.
fn progress(state: OperationState, is_exact: bool, matched: i64, seen: i64) -> Option<f64> {
    if state == OperationState::Done {
        return Some(1.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    (is_exact && matched > 0).then(|| (seen as f64 / matched as f64).min(0.999))
}

impl Filter {
    /// Whether the kept counts by status say how many dead letters match.
    fn is_counted_by_status(&self) -> bool {
        let plain = Self {
            status: self.status,
            final_status: self.final_status,
            handler: self.handler.clone(),
            ..Self::default()
        };
        *self == plain
    }

    /// Whether the kept counts by group say how many dead letters match.
    fn is_counted_by_group(&self) -> bool {
        let plain = Self { final_status: self.final_status, group: self.group.clone(), ..Self::default() };
        *self == plain && self.group.is_some()
    }
}

impl Reads {
    /// Up to `limit` operations, newest first, that are older than `before`.
    ///
    /// # Errors
    /// The database's.
    pub async fn operations(
        &self,
        state: Option<OperationState>,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<OperationRecord>, DbErr> {
        use operation::Column as C;
        let query = operation::Entity::find()
            .apply_if(state, |query, state| query.filter(C::State.eq(state.as_str())))
            .apply_if(before, |query, before| query.filter(C::Id.lt(before)));
        let rows = query.order_by_desc(C::Id).limit(limit).all(&self.db).await?;
        rows.into_iter().map(OperationRecord::from_model).collect()
    }

    /// Operations that run, oldest first; up to `limit` of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn running_operations(&self, limit: u64) -> Result<Vec<OperationRecord>, DbErr> {
        use operation::Column as C;
        let rows = operation::Entity::find()
            // Word by word the condition of their index.
            .filter(Expr::cust("state IN ('RUNNING', 'PAUSED')"))
            .filter(C::State.eq(OperationState::Running.as_str()))
            .order_by_asc(C::Id)
            .limit(limit)
            .all(&self.db)
            .await?;
        rows.into_iter().map(OperationRecord::from_model).collect()
    }

    /// One operation.
    ///
    /// # Errors
    /// The database's.
    pub async fn operation(&self, id: Uuid) -> Result<Option<OperationRecord>, DbErr> {
        operation::Entity::find_by_id(id).one(&self.db).await?.map(OperationRecord::from_model).transpose()
    }

    /// What an operation could not change, the first of it.
    ///
    /// # Errors
    /// The database's.
    pub async fn operation_failures(&self, id: Uuid) -> Result<Vec<OperationFailure>, DbErr> {
        use operation_failure::Column as C;
        let rows = operation_failure::Entity::find()
            .filter(C::OperationId.eq(id))
            .order_by_asc(C::RecordId)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|row| OperationFailure { record_id: row.record_id, reason: row.reason }).collect())
    }

    /// How many dead letters match that had died by this moment: by the kept counts if these can say it, else by looking
    /// at so many of them at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn matching(&self, filter: &Filter, died_by: Timestamp, most: u64) -> Result<Matched, DbErr> {
        let exact = |count: i64| Matched { count: u64::try_from(count).unwrap_or(0), is_exact: true };
        if filter.is_counted_by_status() {
            let is_meant = |lane: &str, status: Status| {
                let end = status.final_status();
                matches!(end, Some(FinalStatus::DeadLetter | FinalStatus::NoHandler))
                    && filter.final_status.is_none_or(|wanted| end == Some(wanted))
                    && filter.status.is_none_or(|wanted| status == wanted)
                    && filter.handler.as_deref().is_none_or(|wanted| lane == wanted)
            };
            let counts = self.counts().await?;
            return Ok(exact(counts.iter().filter(|((lane, of), _)| is_meant(lane, *of)).map(|(_, n)| n).sum()));
        }
        if filter.is_counted_by_group() {
            let which = GroupFilter { group: filter.group.clone(), final_status: filter.final_status, handler: None };
            let found = self.groups(&which, GroupOrder::default(), 1).await?;
            return Ok(exact(found.first().map_or(0, |group| group.count)));
        }
        let (mut count, mut after) = (0, None);
        for _ in 0..most.div_ceil(WINDOW) {
            let edge = self.edge(filter, after).await?;
            let found = within(filter, died_by, after, edge).select_only().column(event_record::Column::Id);
            count += found.count(&self.db).await?;
            if edge.is_none() {
                return Ok(Matched { count, is_exact: true });
            }
            after = edge;
        }
        Ok(Matched { count, is_exact: false })
    }

    /// The next dead letters after this one that match and had died by this moment, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub async fn window(
        &self,
        filter: &Filter,
        died_by: Timestamp,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Window, DbErr> {
        let edge = self.edge(filter, after).await?;
        let records: Vec<(Uuid, String)> = within(filter, died_by, after, edge)
            .select_only()
            .columns([event_record::Column::Id, event_record::Column::EventType])
            .order_by_asc(event_record::Column::Id)
            .limit(limit)
            .into_tuple()
            .all(&self.db)
            .await?;
        let is_full = records.len() as u64 == limit;
        let last = records.last().map(|(id, _)| *id);
        Ok(Window { upto: if is_full { last } else { edge.or(last) }, is_last: !is_full && edge.is_none(), records })
    }

    /// The last of the next dead letters that are looked at; nothing if there are fewer.
    async fn edge(&self, filter: &Filter, after: Option<Uuid>) -> Result<Option<Uuid>, DbErr> {
        edge(filter, after).into_tuple().one(&self.db).await
    }
}

/// The dead letters after this one, of the filter's group if it has one.
fn dead(filter: &Filter, after: Option<Uuid>) -> Select<event_record::Entity> {
    use event_record::Column as C;
    event_record::Entity::find()
        .filter(Expr::cust(DEAD))
        .apply_if(filter.group.as_deref(), |query, group| query.filter(C::Fingerprint.eq(group)))
        .apply_if(after, |query, after| query.filter(C::Id.gt(after)))
}

pub(in crate::persist) fn edge(filter: &Filter, after: Option<Uuid>) -> Select<event_record::Entity> {
    use event_record::Column as C;
    dead(filter, after).select_only().column(C::Id).order_by_asc(C::Id).offset(WINDOW - 1).limit(1)
}

pub(in crate::persist) fn within(
    filter: &Filter,
    died_by: Timestamp,
    after: Option<Uuid>,
    upto: Option<Uuid>,
) -> Select<event_record::Entity> {
    use event_record::Column as C;
    select(filter)
        .filter(Expr::cust(DEAD))
        .filter(C::CompletedAt.lte(died_by.0))
        .apply_if(filter.since, |query, since| query.filter(C::CreatedAt.gte(since.0)))
        .apply_if(after, |query, after| query.filter(C::Id.gt(after)))
        .apply_if(upto, |query, upto| query.filter(C::Id.lte(upto)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_known_where_the_end_is_and_ends_only_with_the_operation() {
        use OperationState::{Done, Paused, Running};
        assert_eq!(progress(Running, true, 200, 50), Some(0.25));
        assert_eq!(progress(Running, true, 200, 200), Some(0.999));
        assert_eq!((progress(Paused, false, 200, 50), progress(Running, true, 0, 0)), (None, None));
        assert_eq!(progress(Done, false, 0, 0), Some(1.0));
    }

    #[test]
    fn only_filters_that_kept_counts_know_are_answered_by_them() {
        let (text, all) = (|| Some("x".to_owned()), Filter::default());
        let handler = Filter { handler: text(), final_status: Some(FinalStatus::DeadLetter), ..all.clone() };
        assert!(all.is_counted_by_status() && handler.is_counted_by_status() && !all.is_counted_by_group());
        let group = Filter { group: text(), ..all.clone() };
        assert!(group.is_counted_by_group() && !group.is_counted_by_status());
        let both = Filter { handler: text(), ..group };
        assert!(!both.is_counted_by_group() && !both.is_counted_by_status());
        let subject = Filter { subject: text(), ..all };
        assert!(!subject.is_counted_by_status());
    }

    #[test]
    fn a_filter_reads_back_and_one_of_a_later_version_does_not() {
        let filter = Filter { event_type: Some("a".to_owned()), since: Some(Timestamp(1)), ..Filter::default() };
        let written = serde_json::to_value(&filter).unwrap();
        assert_eq!(written["type"], "a");
        assert_eq!(serde_json::from_value::<Filter>(written).unwrap(), filter);
        assert!(serde_json::from_value::<Filter>(serde_json::json!({ "colour": "red" })).is_err());
    }
}
