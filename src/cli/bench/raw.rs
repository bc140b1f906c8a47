//! The raw limit: the rows of the benchmark written by one writer with prepared statements, two commits a batch of
//! 1,000, into the same tables with the same settings. No engine, and no other thread.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

use super::data;
use crate::Config;
use crate::clock::Clock;
use crate::event::{Payload, checksum};
use crate::persist;

const BATCH: u64 = 1_000;

const KEY: &str = "INSERT INTO idempotency_key (event_id, source, record_id, checksum, processed_at) \
                   VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

const RECORD: &str = "INSERT INTO event_record (id, event_id, source, event_type, data, bus, status, handler_name, \
                      retry_count, attempt_count, crash_count, round, owner, attempt_id, claimed_at, created_at, \
                      updated_at) VALUES (?, ?, ?, ?, ?, 'embedded', 'PROCESSING', ?, 0, 1, 0, 1, ?, ?, ?, ?, ?)";

const FINISH: &str = "UPDATE event_record SET status = 'SUCCESS', final_status = 'COMPLETED', owner = NULL, \
                      attempt_id = NULL, claimed_at = NULL, updated_at = ?, completed_at = ? \
                      WHERE id = ? AND attempt_id = ?";

const ATTEMPT: &str = "INSERT INTO event_attempt (record_id, attempt_number, attempt_id, handler_name, node, status, \
                       started_at, completed_at, processing_time) VALUES (?, 1, ?, ?, ?, 'SUCCESS', ?, ?, 0)";

const COUNT: &str = "INSERT INTO status_count (node, handler_name, status, n) VALUES (?, ?, ?, ?) \
                     ON CONFLICT (node, handler_name, status) DO UPDATE SET n = n + excluded.n";

const HANDLER: &str = "bench.noop";

/// How long one writer takes for so many events.
pub(super) async fn measure(config: Config, events: u64) -> anyhow::Result<Duration> {
    persist::migrate(&config.database).await?;
    let mut db = Connection::open(persist::sqlite_path(&config.database.url)?)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; \
         PRAGMA wal_autocheckpoint = 20000;",
    )?;
    let (clock, started) = (Clock::default(), Instant::now());
    let (node, mut done) = (clock.new_id(), 0);
    while done < events {
        let batch: Vec<u64> = (done..events.min(done + BATCH)).collect();
        let ids: Vec<(Uuid, Uuid)> = batch.iter().map(|_| (clock.new_id(), clock.new_id())).collect();
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        accept(&tx, &batch, &ids, node, clock.now().0)?;
        tx.commit()?;
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        finish(&tx, &ids, node, clock.now().0)?;
        tx.commit()?;
        done += batch.len() as u64;
    }
    Ok(started.elapsed())
}

fn accept(tx: &Transaction<'_>, batch: &[u64], ids: &[(Uuid, Uuid)], node: Uuid, now: i64) -> rusqlite::Result<()> {
    let mut keys = tx.prepare_cached(KEY)?;
    let mut records = tx.prepare_cached(RECORD)?;
    for (n, (id, attempt_id)) in batch.iter().zip(ids) {
        let (event_id, data) = (id.to_string(), data(*n));
        let checksum = checksum(HANDLER, &Payload::json(data.clone()));
        keys.execute(params![event_id, "/bench", id.as_bytes(), checksum, now])?;
        let (id, owner, attempt_id) = (id.as_bytes(), node.as_bytes(), attempt_id.as_bytes());
        let row = params![id, event_id, "/bench", HANDLER, data.as_bytes(), HANDLER, owner, attempt_id, now, now, now];
        records.execute(row)?;
    }
    count(tx, node, &[("PROCESSING", ids.len())])
}

fn finish(tx: &Transaction<'_>, ids: &[(Uuid, Uuid)], node: Uuid, now: i64) -> rusqlite::Result<()> {
    let mut records = tx.prepare_cached(FINISH)?;
    let mut attempts = tx.prepare_cached(ATTEMPT)?;
    for (id, attempt_id) in ids {
        records.execute(params![now, now, id.as_bytes(), attempt_id.as_bytes()])?;
        attempts.execute(params![id.as_bytes(), attempt_id.as_bytes(), HANDLER, node.as_bytes(), now, now])?;
    }
    count(tx, node, &[("SUCCESS", ids.len())])
}

fn count(tx: &Transaction<'_>, node: Uuid, counts: &[(&str, usize)]) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(COUNT)?;
    for (status, n) in counts {
        statement.execute(params![node.as_bytes(), HANDLER, status, i64::try_from(*n).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}
