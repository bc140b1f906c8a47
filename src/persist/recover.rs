//! Taking over at the start what a process that is gone had in hand.
//!
//! A ledger has one process, kept alone by its lock: whatever another node owns here belongs to the dead.

use std::collections::HashMap;

use evenkeel_entity::{event_record, node};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::column::unsigned;
use super::command::{Attempt, Finish};
use super::dialect::statement;
use super::tx::Tx;
use crate::clock::Timestamp;
use crate::lifecycle::{AttemptStatus, Illegal, Status, Verb, transition};

/// After this many deaths of a process with it in hand, an event is poison.
pub const POISON: u32 = 3;

/// What a dead node had in hand, before anything is decided about it.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// The record.
    pub record_id: Uuid,
    /// The claim.
    pub attempt_id: Uuid,
    /// Whose claim.
    pub owner: Uuid,
    /// Whose lane.
    pub handler: String,
    /// Attempts made, the orphaned one included.
    pub attempt_count: u32,
    /// Retries used.
    pub retry_count: u32,
    /// Deaths so far.
    pub crash_count: u32,
    /// In which round.
    pub round: u32,
    /// The bus it came from.
    pub bus: String,
    /// When the claim was made.
    pub claimed_at: Timestamp,
}

impl Orphan {
    /// What becomes of it: PENDING again, or POISON if its node died with it once too often. A node that was stopping
    /// on purpose is no crash.
    ///
    /// # Errors
    /// None in practice: both steps are legal.
    pub fn recovered(self, crashed: bool, now: Timestamp) -> Result<Finish, Illegal> {
        let crash_count = self.crash_count + u32::from(crashed);
        let poison = crash_count >= POISON;
        let error = match (crashed, poison) {
            (true, true) => format!("the process died {crash_count} times with this event in hand"),
            (true, false) => "the process died with this event in hand".to_owned(),
            (false, _) => "the process stopped before this attempt ended".to_owned(),
        };
        self.out_of_hand(Verb::Recover, if poison { Status::Poison } else { Status::Pending }, crash_count, error, now)
    }

    /// A claim of the living that nobody holds in memory any more.
    ///
    /// # Errors
    /// None in practice: the step is legal.
    pub fn handed_back(self, error: &str, now: Timestamp) -> Result<Finish, Illegal> {
        let crash_count = self.crash_count;
        self.out_of_hand(Verb::HandBack, Status::Pending, crash_count, error.to_owned(), now)
    }

    fn out_of_hand(
        self,
        verb: Verb,
        to: Status,
        crash_count: u32,
        error: String,
        now: Timestamp,
    ) -> Result<Finish, Illegal> {
        let attempt = Attempt {
            number: self.attempt_count,
            status: AttemptStatus::Abandoned,
            started_at: self.claimed_at,
            completed_at: now,
            node: self.owner,
        };
        Ok(Finish {
            record_id: self.record_id,
            attempt_id: self.attempt_id,
            handler: self.handler,
            step: transition(verb, Some(Status::Processing), to)?,
            attempt: Some(attempt),
            attempt_count: self.attempt_count,
            retry_count: self.retry_count,
            crash_count,
            round: self.round,
            next_attempt_at: (!to.is_final()).then_some(now),
            error: Some(error),
            bus: self.bus,
            at: now,
        })
    }
}

type OrphanRow = (Uuid, Uuid, Uuid, Option<String>, i32, i32, i32, i32, String, Option<i64>);

/// Up to so many claims: those of `owner`, or of everybody else.
pub(super) async fn claims(
    db: &impl ConnectionTrait,
    owner: Uuid,
    of_others: bool,
    limit: u64,
) -> Result<Vec<Orphan>, DbErr> {
    use event_record::Column as C;
    let whose = if of_others { C::Owner.ne(owner) } else { C::Owner.eq(owner) };
    let rows: Vec<OrphanRow> = event_record::Entity::find()
        .select_only()
        .columns([C::Id, C::AttemptId, C::Owner, C::HandlerName, C::AttemptCount, C::RetryCount, C::CrashCount])
        .columns([C::Round, C::Bus, C::ClaimedAt])
        .filter(C::Owner.is_not_null())
        .filter(whose)
        .order_by_asc(C::Id)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    let orphan = |row: OrphanRow| Orphan {
        record_id: row.0,
        attempt_id: row.1,
        owner: row.2,
        handler: row.3.unwrap_or_default(),
        attempt_count: unsigned(row.4),
        retry_count: unsigned(row.5),
        crash_count: unsigned(row.6),
        round: unsigned(row.7),
        bus: row.8,
        claimed_at: Timestamp(row.9.unwrap_or_default()),
    };
    Ok(rows.into_iter().map(orphan).collect())
}

/// The nodes that nobody has taken over yet, and whether they were stopping on purpose.
pub(super) async fn others(db: &impl ConnectionTrait, me: Uuid) -> Result<HashMap<Uuid, bool>, DbErr> {
    let rows: Vec<(Uuid, bool)> = node::Entity::find()
        .select_only()
        .columns([node::Column::Id, node::Column::Draining])
        .filter(node::Column::Id.ne(me))
        .filter(node::Column::FencedAt.is_null())
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Writes this process into the list of nodes.
pub(super) async fn register(tx: &Tx, me: Uuid, name: &str, handlers: &[String], now: Timestamp) -> Result<(), DbErr> {
    let row = node::ActiveModel {
        id: Set(me),
        name: Set(name.to_owned()),
        handlers: Set(serde_json::to_string(handlers).map_err(|error| DbErr::Json(error.to_string()))?),
        started_at: Set(now.0),
        lease_until: Set(None),
        draining: Set(false),
        fenced_at: Set(None),
    };
    node::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Says that this node stops on purpose: what it still has in hand is no crash.
pub(super) async fn drain(tx: &Tx, me: Uuid) -> Result<(), DbErr> {
    node::Entity::update_many()
        .filter(node::Column::Id.eq(me))
        .col_expr(node::Column::Draining, Expr::value(true))
        .exec(tx)
        .await?;
    Ok(())
}

/// Closes the books of all other nodes: they are fenced, and their share of the counts becomes this node's.
pub(super) async fn bury_nodes(tx: &Tx, me: Uuid, now: Timestamp) -> Result<(), DbErr> {
    node::Entity::update_many()
        .filter(node::Column::Id.ne(me))
        .filter(node::Column::FencedAt.is_null())
        .col_expr(node::Column::FencedAt, Expr::value(now.0))
        .exec(tx)
        .await?;
    let fold = "INSERT INTO status_count (node, handler_name, status, n) \
                SELECT ?, handler_name, status, SUM(n) FROM status_count WHERE node <> ? GROUP BY handler_name, status \
                ON CONFLICT (node, handler_name, status) DO UPDATE SET n = status_count.n + excluded.n";
    let backend = tx.get_database_backend();
    tx.execute_raw(statement(backend, fold, [me.into(), me.into()])).await?;
    let forget = "DELETE FROM status_count WHERE node <> ?";
    tx.execute_raw(statement(backend, forget, [me.into()])).await?;
    Ok(())
}
