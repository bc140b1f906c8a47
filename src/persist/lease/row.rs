//! The row of a node on PostgreSQL. Its times are the database's own: no node's clock decides who is alive.

use std::time::Duration;

use sea_orm::sqlx::{self, AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::persist::nodes::Listing;

/// Now, in microseconds.
const NOW: &str = "(extract(epoch FROM now()) * 1000000)::int8";

/// A live node, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id at present.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// What it says of itself.
    pub listing: Listing,
    /// When it started.
    pub started_at: Timestamp,
    /// Until when it counts as alive without a sign.
    pub lease_until: Option<Timestamp>,
    /// Whether it is stopping on purpose.
    pub draining: bool,
}

/// What a node says of itself.
#[derive(Clone, Debug)]
pub(in crate::persist) struct Myself {
    pub name: String,
    /// Its [`Listing`].
    pub handlers: String,
    pub started_at: Timestamp,
}

/// What time it is there.
pub(in crate::persist) async fn now(connection: &mut PgConnection) -> Result<Timestamp, sqlx::Error> {
    let sql = format!("SELECT {NOW}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.map(Timestamp)
}

/// Writes a node into the list, alive for this long. A start that had no answer writes itself again.
pub(super) async fn register(
    connection: &mut PgConnection,
    id: Uuid,
    myself: &Myself,
    draining: bool,
    lease: Duration,
) -> Result<Timestamp, sqlx::Error> {
    let sql = format!(
        "INSERT INTO node (id, name, handlers, started_at, lease_until, draining, fenced_at) \
         VALUES ($1, $2, $3, $4, {NOW} + $5, $6, NULL) \
         ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until WHERE node.fenced_at IS NULL RETURNING {NOW}"
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(id)
        .bind(&myself.name)
        .bind(&myself.handlers)
        .bind(myself.started_at.0)
        .bind(micros(lease))
        .bind(draining)
        .fetch_one(connection)
        .await
        .map(Timestamp)
}

/// Makes the lease last this long from now. None: this node was fenced.
pub(super) async fn renew(
    connection: &mut PgConnection,
    id: Uuid,
    draining: bool,
    lease: Duration,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let sql = format!(
        "UPDATE node SET lease_until = {NOW} + $2, draining = draining OR $3 \
         WHERE id = $1 AND fenced_at IS NULL RETURNING {NOW}"
    );
    let now = sqlx::query_scalar(AssertSqlSafe(sql)).bind(id).bind(micros(lease)).bind(draining);
    Ok(now.fetch_optional(connection).await?.map(Timestamp))
}

type PeerRow = (Uuid, String, String, i64, Option<i64>, bool);

/// The live nodes but this one.
pub(super) async fn others(connection: &mut PgConnection, me: Uuid) -> Result<Vec<Peer>, sqlx::Error> {
    let sql = "SELECT id, name, handlers, started_at, lease_until, draining FROM node \
               WHERE fenced_at IS NULL AND id <> $1 ORDER BY id";
    let rows: Vec<PeerRow> = sqlx::query_as(sql).bind(me).fetch_all(connection).await?;
    let peer = |(id, name, handlers, started_at, lease_until, draining): PeerRow| Peer {
        id,
        name,
        listing: Listing::read(&handlers),
        started_at: Timestamp(started_at),
        lease_until: lease_until.map(Timestamp),
        draining,
    };
    Ok(rows.into_iter().map(peer).collect())
}

/// Fences the nodes whose lease has run out; gives their ids, and whether each was stopping on purpose.
pub(super) async fn fence(connection: &mut PgConnection) -> Result<Vec<(Uuid, bool)>, sqlx::Error> {
    let sql = format!(
        "UPDATE node SET fenced_at = {NOW} WHERE fenced_at IS NULL AND coalesce(lease_until, 0) < {NOW} \
         RETURNING id, draining"
    );
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
