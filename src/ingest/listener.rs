//! The listeners: as many as are configured, each with its own way to the broker, kept alive by one actor.
//!
//! A listener dies only of a fault of our own; what it had not settled comes again to the next.

mod reception;
mod run;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix::prelude::*;

pub(crate) use reception::Reception;

use crate::bus::{Link, LinkState};

/// How often the listeners are looked after.
const LOOK: Duration = Duration::from_secs(1);

/// One listener's place.
struct Slot {
    address: RwLock<Option<Addr<Listener>>>,
    restarts: AtomicU64,
    link: Link,
}

/// All listeners; cheap to clone.
#[derive(Clone)]
pub(crate) struct Listeners(Arc<Vec<Slot>>);

impl Listeners {
    /// Starts so many of them, on this thread.
    pub(crate) fn start(reception: Reception, count: usize, thread: &ArbiterHandle) -> Self {
        let links = &reception.broker.links;
        let listeners = Self(Arc::new((0..count).map(|_| Slot::new(links.link())).collect()));
        let (all, reception) = (listeners.clone(), Arc::new(reception));
        Actor::start_in_arbiter(thread, move |_| ListenerPool { listeners: all, reception });
        listeners
    }

    /// How each of them stands: whether it lives, how often it was built again, and its connection.
    pub(crate) fn states(&self) -> impl Iterator<Item = (bool, u64, LinkState)> {
        self.0.iter().map(|slot| (slot.is_alive(), slot.restarts.load(Ordering::Relaxed), slot.link.state()))
    }

    /// Waits until all have ended, after a drain has begun; no longer than this.
    pub(crate) async fn ended(&self, within: Duration) {
        let ended = async {
            while self.0.iter().any(Slot::is_alive) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!("a listener did not end in time; what it has not settled stays with the broker");
        }
    }
}

impl Slot {
    fn new(link: Link) -> Self {
        Self { address: RwLock::default(), restarts: AtomicU64::default(), link }
    }

    fn is_alive(&self) -> bool {
        let address = self.address.read().unwrap_or_else(PoisonError::into_inner);
        address.as_ref().is_some_and(Addr::connected)
    }

    fn put(&self, listener: Addr<Listener>) -> bool {
        let again = self.address.write().unwrap_or_else(PoisonError::into_inner).replace(listener).is_some();
        if again {
            self.restarts.fetch_add(1, Ordering::Relaxed);
        }
        again
    }
}

/// The supervising actor.
struct ListenerPool {
    listeners: Listeners,
    reception: Arc<Reception>,
}

impl ListenerPool {
    fn look(&self) {
        for (number, slot) in self.listeners.0.iter().enumerate() {
            if slot.is_alive() || self.reception.pool.is_draining() {
                continue;
            }
            let listener = Listener { reception: Arc::clone(&self.reception), link: slot.link.clone() };
            if slot.put(listener.start()) {
                tracing::error!(listener = number, "a listener died; started another");
                self.reception.pool.metrics.actor_restarts.with_label_values(&["listener"]).inc();
            }
        }
    }
}

impl Actor for ListenerPool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look();
        ctx.run_interval(LOOK, |pool, _| pool.look());
    }
}

/// The actor. It lives as long as its run.
struct Listener {
    reception: Arc<Reception>,
    link: Link,
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let run = run::run(Arc::clone(&self.reception), self.link.clone());
        ctx.spawn(run.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}
