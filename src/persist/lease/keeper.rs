//! The keeper of a lease on PostgreSQL: an OS thread with a runtime and a connection of its own, so that nothing that
//! blocks or fills up elsewhere costs a node its lease.
//!
//! It never gives up, and every round has a time limit: a network that has gone silent must not hold it.

use std::sync::Weak;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::{DbErr, RuntimeErr, sqlx};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::row::{self, Myself};
use super::{Begun, Held, Lease};
use crate::clock::Clock;
use crate::persist::database;
use crate::telemetry::Metrics;

/// A lease is renewed after this part of it: two renewals may fail before it runs out.
const RENEWALS: u32 = 3;

/// The longest wait between two tries, so that a lease that was lost is had again soon after the database is back.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// See above.
pub(in crate::persist) struct Keeper {
    options: Box<PgConnectOptions>,
    lease: Weak<Held>,
    duration: Duration,
    myself: Myself,
    clock: Clock,
    metrics: Metrics,
    /// The id that is registered; none before the first time, and after this node was fenced.
    registered: Option<Uuid>,
    /// Since when the lease has been held without a gap.
    since: Instant,
    failing: bool,
}

impl Keeper {
    /// Starts it, and returns when the node is registered.
    pub(in crate::persist) async fn start(
        lease: &Lease,
        options: Box<PgConnectOptions>,
        duration: Duration,
        myself: Myself,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<(), DbErr> {
        let failed = |error: std::io::Error| DbErr::Custom(format!("the lease has no thread to live on: {error}"));
        let (begun, registered) = oneshot::channel();
        let end = lease.0.end.subscribe();
        let lease = std::sync::Arc::downgrade(&lease.0);
        let since = Instant::now();
        let keeper = Self { options, lease, duration, myself, clock, metrics, registered: None, since, failing: false };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = std::thread::Builder::new().name("lease".to_owned());
        thread.spawn(move || runtime.block_on(keeper.keep(begun, end))).map_err(failed)?;
        registered.await.unwrap_or_else(|_| Err(DbErr::Custom("the lease's keeper has ended".to_owned())))
    }

    /// Renews until it is told to stop, or until nobody has the lease any more.
    async fn keep(mut self, begun: Begun, mut end: watch::Receiver<bool>) {
        let mut begun = Some(begun);
        let (mut connection, mut waits) = (None, waits());
        loop {
            let round = tokio::select! {
                biased;
                _ = end.wait_for(|end| *end) => return,
                round = tokio::time::timeout(self.duration / RENEWALS, self.round(&mut connection)) => round,
            };
            let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
            let round = round.unwrap_or_else(late).map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())));
            let wait = match &round {
                Ok(()) => {
                    waits = self::waits();
                    self.duration / RENEWALS
                }
                Err(error) => {
                    connection = None;
                    self.failed(error);
                    waits.next().unwrap_or(LONGEST_WAIT)
                }
            };
            if let Some(begun) = begun.take() {
                let failed = round.is_err();
                // Nobody there: the start was given up.
                if begun.send(round).is_err() || failed {
                    return;
                }
            }
            tokio::select! {
                biased;
                _ = end.wait_for(|end| *end) => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One renewal, and what it brings to light. Whatever fails, the connection is gone, and the next round begins anew.
    async fn round(&mut self, slot: &mut Option<PgConnection>) -> Result<(), sqlx::Error> {
        let Some(lease) = self.lease.upgrade().map(Lease) else { return Ok(()) };
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => database::connect(&self.options).await?,
        };
        match self.registered {
            Some(node) => self.renew(&mut connection, &lease, node).await?,
            None => self.register(&mut connection, &lease, lease.node()).await?,
        }
        let others = row::others(&mut connection, lease.node()).await?;
        if self.since.elapsed() >= self.duration {
            self.fence_others(&mut connection).await?;
        }
        lease.knows(others);
        *slot = Some(connection);
        Ok(())
    }

    async fn renew(&mut self, connection: &mut PgConnection, lease: &Lease, node: Uuid) -> Result<(), sqlx::Error> {
        let sent = Instant::now();
        let Some(now) = row::renew(connection, node, lease.is_draining(), self.duration).await? else {
            if lease.fenced() {
                self.metrics.fenced.inc();
                tracing::warn!(%node, "this node was fenced: others have taken over what it had in hand. What runs here \
                                       ends, and changes nothing; going on under a new id");
            }
            let id = self.clock.new_id();
            return self.register(connection, lease, id).await;
        };
        self.clock.correct(now, sent.elapsed());
        let lapsed = lease.renewed(sent + self.duration);
        if lapsed {
            self.since = sent;
            tracing::warn!(%node, "the lease is held again after a gap; handlers start again");
        } else if self.failing {
            tracing::info!(%node, "the lease is renewed");
        }
        self.failing = false;
        Ok(())
    }

    async fn register(&mut self, connection: &mut PgConnection, lease: &Lease, id: Uuid) -> Result<(), sqlx::Error> {
        let sent = Instant::now();
        let now = row::register(connection, id, &self.myself, lease.is_draining(), self.duration).await?;
        self.clock.correct(now, sent.elapsed());
        lease.goes_on_as(id, sent + self.duration);
        (self.registered, self.since, self.failing) = (Some(id), sent, false);
        tracing::info!(node = %id, "this node is registered");
        Ok(())
    }

    /// After an outage of the database all leases have run out, and nobody is dead: only who has held its own for as
    /// long as a lease lasts has given all others the time to come back.
    async fn fence_others(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        for (node, draining) in row::fence(connection).await? {
            tracing::warn!(%node, draining, "a node's lease has run out: it is fenced, and its events are taken over");
        }
        Ok(())
    }

    fn failed(&mut self, error: &DbErr) {
        let Some(lease) = self.lease.upgrade().map(Lease) else { return };
        lease.unrenewed();
        if !self.failing {
            tracing::warn!(%error, "the lease cannot be renewed; trying again. When it runs out, nothing is started");
        }
        self.failing = true;
    }
}

fn waits() -> backon::ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}
