//! Taking over what nodes that are gone had in hand.
//!
//! A node is gone once it is fenced, and its row says so for good; one without a row never was there. It is fenced first,
//! in a transaction of its own, and its events are taken over then.

use evenkeel_entity::node;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryResult, Value,
};
use uuid::Uuid;

use super::column::unsigned;
use super::command::{Attempt, Finish};
use super::counts::Counts;
use super::dialect::{skip_locked, statement};
use super::fault::Fault;
use super::finish;
use super::groups;
use super::tx::Tx;
use crate::clock::Timestamp;
use crate::lifecycle::{AttemptStatus, Illegal, Status, Verb, transition};

/// After this many deaths of a process with it in hand, an event is poison.
pub const POISON: u32 = 3;

/// At most so many events are taken over in one commit.
pub(super) const TAKEN_AT_ONCE: usize = 250;

/// A claim as the ledger knows it, before anything is decided about it.
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
    /// Whether its node was stopping on purpose, if it is gone.
    pub drained: bool,
}

impl Orphan {
    /// What becomes of it: PENDING again, or POISON if its node died with it once too often. A node that was stopping
    /// on purpose is no crash.
    ///
    /// # Errors
    /// None in practice: both steps are legal.
    pub fn recovered(self, now: Timestamp) -> Result<Finish, Illegal> {
        let crashed = !self.drained;
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

/// The claims that this condition finds.
fn claims_sql(condition: &str, limit: usize) -> String {
    format!(
        "SELECT r.id, r.attempt_id, r.owner, r.handler_name, r.attempt_count, r.retry_count, r.crash_count, r.round, \
         r.bus, r.claimed_at, COALESCE((SELECT n.draining FROM node n WHERE n.id = r.owner), FALSE) AS drained \
         FROM event_record r INDEXED BY event_record_owner WHERE r.owner IS NOT NULL AND {condition} \
         ORDER BY r.id LIMIT {limit}"
    )
}

/// Its owner is no live node.
const OF_THE_GONE: &str = "NOT EXISTS (SELECT 1 FROM node l WHERE l.id = r.owner AND l.fenced_at IS NULL)";

/// Shares of the counts that are no live node's, and not this one's.
const SHARES_OF_THE_GONE: &str = "node <> ? AND NOT EXISTS (SELECT 1 FROM node l WHERE l.id = status_count.node \
                                  AND l.fenced_at IS NULL)";

/// The statement that [`take_over`] begins with. What another taker has before it is passed over.
pub(super) fn gone_sql(backend: DbBackend) -> String {
    format!("{}{}", claims_sql(OF_THE_GONE, TAKEN_AT_ONCE), skip_locked(backend))
}

fn orphan(row: &QueryResult) -> Result<Orphan, DbErr> {
    Ok(Orphan {
        record_id: row.try_get("", "id")?,
        attempt_id: row.try_get("", "attempt_id")?,
        owner: row.try_get("", "owner")?,
        handler: row.try_get::<Option<String>>("", "handler_name")?.unwrap_or_default(),
        attempt_count: unsigned(row.try_get("", "attempt_count")?),
        retry_count: unsigned(row.try_get("", "retry_count")?),
        crash_count: unsigned(row.try_get("", "crash_count")?),
        round: unsigned(row.try_get("", "round")?),
        bus: row.try_get("", "bus")?,
        claimed_at: Timestamp(row.try_get::<Option<i64>>("", "claimed_at")?.unwrap_or_default()),
        drained: row.try_get("", "drained")?,
    })
}

async fn orphans(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<Orphan>, DbErr> {
    db.query_all_raw(statement(db.get_database_backend(), sql, values)).await?.iter().map(orphan).collect()
}

/// Up to so many claims of nodes that are gone.
pub(super) async fn claims_of_the_gone(db: &impl ConnectionTrait, limit: usize) -> Result<Vec<Orphan>, DbErr> {
    orphans(db, &claims_sql(OF_THE_GONE, limit), []).await
}

/// Up to so many claims of these nodes.
pub(super) async fn claims_of(db: &impl ConnectionTrait, owners: &[Uuid], limit: usize) -> Result<Vec<Orphan>, DbErr> {
    let marks = vec!["?"; owners.len()].join(", ");
    orphans(db, &claims_sql(&format!("r.owner IN ({marks})"), limit), owners.iter().map(|owner| (*owner).into())).await
}

/// Whether a node that is gone has left anything: a claim, or its share of the counts.
pub(super) async fn is_anything_left(db: &impl ConnectionTrait, me: Uuid) -> Result<bool, DbErr> {
    if !claims_of_the_gone(db, 1).await?.is_empty() {
        return Ok(true);
    }
    let sql = format!("SELECT node FROM status_count WHERE {SHARES_OF_THE_GONE} LIMIT 1");
    let backend = db.get_database_backend();
    Ok(db.query_one_raw(statement(backend, &sql, [me.into()])).await?.is_some()
        || groups::is_anything_left(db, me).await?)
}

/// Puts what nodes that are gone had in hand out of it, as much as goes into one commit, and makes their share of the
/// counts this node's. Gives what it did.
pub(super) async fn take_over(tx: &Tx, me: Uuid, now: Timestamp, counts: &mut Counts) -> Result<Vec<Finish>, Fault> {
    let backend = tx.get_database_backend();
    let rows = tx.query_all_raw(statement(backend, &gone_sql(backend), [])).await?;
    let mut finishes = Vec::with_capacity(rows.len());
    for row in &rows {
        finishes.push(orphan(row)?.recovered(now).map_err(|illegal| Fault::Refused(illegal.to_string()))?);
    }
    finish::finish(tx, &finishes.iter().collect::<Vec<_>>(), false, counts).await?;
    fold_counts(tx, me).await?;
    groups::fold(tx, me).await?;
    Ok(finishes)
}

/// Makes the share of the counts of nodes that are gone this node's. A commit of one that does not know yet may add to its
/// share at this very moment: on PostgreSQL both steps are one statement, so that what is deleted is what is added.
async fn fold_counts(tx: &Tx, me: Uuid) -> Result<(), DbErr> {
    const ADD: &str = "INSERT INTO status_count (node, handler_name, status, n)";
    const UP: &str = "ON CONFLICT (node, handler_name, status) DO UPDATE SET n = status_count.n + excluded.n";
    let backend = tx.get_database_backend();
    if backend == DbBackend::Postgres {
        let sql = format!(
            "WITH gone AS (DELETE FROM status_count WHERE {SHARES_OF_THE_GONE} RETURNING handler_name, status, n) \
             {ADD} SELECT ?, handler_name, status, SUM(n)::int8 FROM gone GROUP BY handler_name, status {UP}"
        );
        tx.execute_raw(statement(backend, &sql, [me.into(), me.into()])).await?;
        return Ok(());
    }
    let sql = format!(
        "{ADD} SELECT ?, handler_name, status, SUM(n) FROM status_count WHERE {SHARES_OF_THE_GONE} \
         GROUP BY handler_name, status {UP}"
    );
    tx.execute_raw(statement(backend, &sql, [me.into(), me.into()])).await?;
    let sql = format!("DELETE FROM status_count WHERE {SHARES_OF_THE_GONE}");
    tx.execute_raw(statement(backend, &sql, [me.into()])).await?;
    Ok(())
}

/// Writes the only process of a ledger into the list of nodes, and fences all others: its lock says that they are gone.
pub(super) async fn register_alone(
    tx: &Tx,
    me: Uuid,
    name: &str,
    handlers: String,
    now: Timestamp,
) -> Result<(), DbErr> {
    node::Entity::update_many()
        .filter(node::Column::FencedAt.is_null())
        .col_expr(node::Column::FencedAt, Expr::value(now.0))
        .exec(tx)
        .await?;
    let row = node::ActiveModel {
        id: Set(me),
        name: Set(name.to_owned()),
        handlers: Set(handlers),
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

/// Says that this node is gone, so that nobody waits for its lease to run out.
pub(super) async fn retire(tx: &Tx, me: Uuid, now: Timestamp) -> Result<(), DbErr> {
    node::Entity::update_many()
        .filter(node::Column::Id.eq(me))
        .filter(node::Column::FencedAt.is_null())
        .col_expr(node::Column::FencedAt, Expr::value(now.0))
        .exec(tx)
        .await?;
    Ok(())
}
