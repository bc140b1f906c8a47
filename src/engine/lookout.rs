//! The Lookout: looks at what an operator has to know for as long as it lasts, and says it to the alerts.
//!
//! Once a second it looks at what this process knows by itself, and after every few at what the ledger and the broker
//! have to be asked for. Nothing is decided here but whether a state holds, and nobody waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::alert::{self, Condition, Ended, Kind, Shares};
use crate::bus::Broker;
use crate::clock::Timestamp;
use crate::handle::HostState;
use crate::ingest::Listeners;
use crate::lifecycle::AttemptStatus;
use crate::persist::Loss;
use crate::process::{Lane, Pool};

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// How often it asks the ledger and the broker.
const ASK: Duration = Duration::from_secs(5);

/// How long they may think about it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A handler that came to be down has to stand for so long, or to end a delivery well, until it is up again.
const STANDS: Duration = Duration::from_secs(10);

/// What is looked at.
pub(super) struct View {
    pub pool: Pool,
    pub broker: Option<Arc<Broker>>,
    pub listeners: Option<Listeners>,
    pub config: alert::Config,
}

/// The actor. A fault of our own costs it a look, and the next begins.
pub(super) struct Lookout {
    view: Arc<View>,
    seen: Arc<Mutex<Seen>>,
    asked: Option<Instant>,
    asking: Option<JoinHandle<()>>,
}

/// What it has seen before.
#[derive(Default)]
struct Seen {
    shares: BTreeMap<Arc<str>, Shares>,
    downs: BTreeMap<Arc<str>, Downs>,
}

/// How often a handler was down, and when that was seen last.
#[derive(Clone, Copy, Default)]
struct Downs {
    count: u64,
    last: Option<Timestamp>,
}

impl Lookout {
    pub(super) fn new(view: View) -> Self {
        Self { view: Arc::new(view), seen: Arc::default(), asked: None, asking: None }
    }

    fn look(&mut self) {
        if self.view.pool.is_draining() {
            return;
        }
        self.view.pool.alerts.look_after();
        let (view, seen) = (Arc::clone(&self.view), Arc::clone(&self.seen));
        // Apart from the actor, which then outlives it.
        actix::spawn(async move { view.look(&mut lock(&seen)) });
        let is_time = self.asked.is_none_or(|asked| asked.elapsed() >= ASK);
        if is_time && self.asking.as_ref().is_none_or(JoinHandle::is_finished) {
            self.asked = Some(Instant::now());
            let view = Arc::clone(&self.view);
            self.asking = Some(actix::spawn(async move { view.ask().await }));
        }
    }
}

impl Actor for Lookout {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK, |lookout, _| lookout.look());
    }
}

impl View {
    /// What this process knows by itself.
    fn look(&self, seen: &mut Seen) {
        let (alerts, now) = (&self.pool.alerts, self.pool.clock.now());
        let (mut down, mut failing) = (Vec::new(), Vec::new());
        for lane in self.pool.lanes() {
            down.extend(self.is_down(lane, seen.downs.entry(Arc::clone(&lane.name)).or_default(), now));
            let shares = seen.shares.entry(Arc::clone(&lane.name)).or_default();
            failing.extend(self.is_failing(lane, shares.within(self.config.failing_window, now, self.ended(lane))));
        }
        alerts.looked(Kind::HandlerDown, down);
        alerts.looked(Kind::HandlerFailing, failing);
        let trouble = self.pool.persist.trouble();
        alerts.looked(Kind::LedgerUnavailable, of_node(trouble.is_some(), &trouble.unwrap_or_default()));
        let loss = match self.pool.persist.lease().loss() {
            None => Vec::new(),
            Some(Loss::Unrenewed) => of_node(true, "the database did not let it be renewed in time"),
            Some(Loss::Fenced) => of_node(true, "this node was fenced and has no new id yet"),
        };
        alerts.looked(Kind::LeaseLost, loss);
        if let Some(listeners) = &self.listeners {
            alerts.looked(Kind::ListenerDown, are_down(listeners));
        }
    }

    fn is_down(&self, lane: &Lane, downs: &mut Downs, now: Timestamp) -> Option<Condition> {
        let (state, count) = (lane.host.state(), lane.host.downs());
        let is_down = state != HostState::Running || count != downs.count;
        if is_down {
            *downs = Downs { count, last: Some(now) };
        }
        let stood = downs.last.map(|last| now.since(last));
        let is_shaky = lane.host.is_ailing() && stood.is_some_and(|stood| stood < STANDS);
        let why = || lane.host.last_error().unwrap_or_else(|| "it does not let go of its thread".to_owned());
        (is_down || is_shaky).then(|| Condition { subject: Some(lane.name.to_string()), why: why() })
    }

    /// What has ended of a lane's attempts since the start.
    fn ended(&self, lane: &Lane) -> Ended {
        let of =
            |status: AttemptStatus| self.pool.metrics.attempts.with_label_values(&[&*lane.name, status.as_str()]).get();
        let failures = [AttemptStatus::Failed, AttemptStatus::TimedOut, AttemptStatus::Panicked].map(of).iter().sum();
        Ended { attempts: failures + of(AttemptStatus::Success), failures }
    }

    fn is_failing(&self, lane: &Lane, ended: Ended) -> Option<Condition> {
        let Ended { attempts, failures } = ended;
        #[expect(clippy::cast_precision_loss, reason = "a window's attempts fit")]
        let share = failures as f64 / attempts.max(1) as f64;
        let window = humantime::format_duration(self.config.failing_window);
        let why = || format!("{failures} of {attempts} attempts failed in {window}");
        let is_failing = attempts >= self.config.failing_minimum && share > self.config.failing_ratio;
        is_failing.then(|| Condition { subject: Some(lane.name.to_string()), why: why() })
    }

    /// What others have to be asked for.
    async fn ask(&self) {
        if let Some(broker) = &self.broker {
            let away = match timeout(PATIENCE, broker.events.ping()).await {
                Ok(Ok(())) => Vec::new(),
                Ok(Err(error)) => of_node(true, &error.to_string()),
                Err(_) => of_node(true, "it does not answer"),
            };
            self.pool.alerts.looked(Kind::BrokerAway, away);
        }
        // One of the nodes says it for all.
        if !self.pool.persist.lease().is_eldest() {
            return self.pool.alerts.looked(Kind::OldestPending, Vec::new());
        }
        // A ledger that is away is another alert, and says nothing of what waits in it.
        if let Ok(Ok(waits)) = timeout(PATIENCE, self.waits()).await {
            self.pool.alerts.looked(Kind::OldestPending, waits);
        }
    }

    /// The lanes whose oldest event waits for too long, those of other nodes among them.
    async fn waits(&self) -> Result<Vec<Condition>, sea_orm::DbErr> {
        let (reads, now) = (self.pool.persist.reads(), self.pool.clock.now());
        let counts = reads.counts().await?;
        let mut lanes: Vec<&String> = counts.keys().map(|(lane, _)| lane).filter(|lane| !lane.is_empty()).collect();
        lanes.dedup();
        let mut waits = Vec::new();
        for lane in lanes {
            let oldest = reads.oldest_due(lane, now).await?;
            let Some(age) = oldest.map(|oldest| now.since(oldest)).filter(|age| *age > self.config.oldest_pending)
            else {
                continue;
            };
            let why = format!("its oldest event has waited for {}", humantime::format_duration(whole_seconds(age)));
            waits.push(Condition { subject: Some(lane.clone()), why });
        }
        Ok(waits)
    }
}

/// A state of the node as a whole.
fn of_node(holds: bool, why: &str) -> Vec<Condition> {
    if holds { vec![Condition { subject: None, why: why.to_owned() }] } else { Vec::new() }
}

/// How many listeners get nothing, and why the last of them.
fn are_down(listeners: &Listeners) -> Vec<Condition> {
    let (mut all, mut down, mut error) = (0, 0, None);
    for (is_alive, _, link) in listeners.states() {
        all += 1;
        if !(is_alive && link.up) {
            down += 1;
            error = link.last_error.or(error);
        }
    }
    let error = error.map(|error| format!(": {error}")).unwrap_or_default();
    of_node(down > 0, &format!("{down} of {all} listeners{error}"))
}

const fn whole_seconds(age: Duration) -> Duration {
    Duration::from_secs(age.as_secs())
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
