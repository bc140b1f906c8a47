//! The host of one handler: it owns the handler's thread, builds its actor, and builds it again when it dies.
//!
//! actix neither restarts an actor after a panic nor stops the future of one that timed out, so both are done here.
//! Deliveries reach the actor through an inbox that the host keeps; an actor that dies loses none of them. An actor
//! that blocks its thread can only be walled off: its deliveries run out of time, and the next get a new thread.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Arbiter, ArbiterHandle};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::{Attempt, HandlerError};
use crate::event::{Event, Payload};

/// An event on its way into the handler's actor.
pub(crate) struct Invocation {
    pub event: Arc<Event<Payload>>,
    pub attempt: Attempt,
    pub timeout: Duration,
    pub start: Arc<Start>,
    pub reply: oneshot::Sender<Ended>,
}

/// How a delivery ended, before anything is decided about it.
#[derive(Debug)]
pub(crate) enum Ended {
    Answered(Result<(), HandlerError>),
    /// The data is not what the handler's type takes.
    Undecodable(String),
    TimedOut,
    Panicked(String),
}

/// Whether a delivery has started: it starts once, or is recalled once, never both.
pub(crate) struct Start {
    started: Mutex<Started>,
    /// Asked at the last moment before user code.
    may: Box<dyn Fn() -> bool + Send + Sync>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Started {
    #[default]
    Not,
    At(Instant),
    Recalled,
}

impl Start {
    /// It starts only if it may at that moment.
    pub(crate) fn when(may: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { started: Mutex::default(), may: Box::new(may) }
    }

    /// Starts it, unless it was recalled or may not start any more, which counts as recalled.
    pub(super) fn begin(&self) -> bool {
        let mut started = lock(&self.started);
        if !matches!(*started, Started::Not) {
            return false;
        }
        let may = (self.may)();
        *started = if may { Started::At(Instant::now()) } else { Started::Recalled };
        may
    }

    /// Recalls it, unless it has started; then says when it did.
    pub(crate) fn recall(&self) -> Result<(), Instant> {
        let mut started = lock(&self.started);
        if let Started::At(at) = *started {
            return Err(at);
        }
        *started = Started::Recalled;
        Ok(())
    }

    /// When it started, if it did.
    pub(crate) fn at(&self) -> Option<Instant> {
        let started = lock(&self.started);
        if let Started::At(at) = *started { Some(at) } else { None }
    }
}

/// What runs on the handler's thread; made once for each thread.
pub(super) type Resident = Box<dyn FnOnce(mpsc::Receiver<Invocation>, Arc<Vitals>) + Send>;

/// How a handler's actor fares.
#[derive(Debug)]
pub(crate) struct Vitals {
    name: String,
    restarts: AtomicU64,
    deaths_in_a_row: AtomicU64,
    /// How often it came to be down, or was walled off.
    downs: AtomicU64,
    /// Whether an actor is there; none is while the next is waited for.
    alive: AtomicBool,
    last_error: Mutex<Option<String>>,
    /// Changes when an operator wants another actor in the place of this one.
    renewals: watch::Sender<u64>,
    metrics: crate::telemetry::Metrics,
}

/// Deaths in a row after which a handler counts as down.
const DOWN_AFTER: u64 = 3;

impl Vitals {
    /// The actor has died, or could not be built; returns how long to wait before it is built again.
    pub(super) fn died(&self, why: &str) -> Duration {
        self.alive.store(false, Ordering::Relaxed);
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.metrics.actor_restarts.with_label_values(&["handler"]).inc();
        let deaths = self.deaths_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        *lock(&self.last_error) = Some(why.to_owned());
        tracing::warn!(handler = self.name, error = why, deaths, "a handler's actor died; building it again");
        if deaths == DOWN_AFTER {
            self.downs.fetch_add(1, Ordering::Relaxed);
        }
        if deaths == 1 {
            return Duration::ZERO;
        }
        Duration::from_millis(50u64 << deaths.min(8)).min(Duration::from_secs(10))
    }

    /// An operator wants another actor: what has happened to the ones before is forgotten.
    pub(super) fn renewed(&self) {
        self.alive.store(false, Ordering::Relaxed);
        self.deaths_in_a_row.store(0, Ordering::Relaxed);
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.metrics.actor_restarts.with_label_values(&["handler"]).inc();
        tracing::info!(handler = self.name, "an operator wants a new actor; building it");
    }

    /// Waits until an operator wants another actor, from now on.
    pub(super) fn renewal(&self) -> impl Future<Output = ()> + 'static {
        let mut renewals = self.renewals.subscribe();
        async move {
            // The other end lives as long as the host; without it the thread ends anyway.
            if renewals.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// An actor is there: deliveries may come.
    pub(super) fn born(&self) {
        self.alive.store(true, Ordering::Relaxed);
    }

    /// A delivery has ended well: the actor is sound.
    pub(super) fn thrives(&self) {
        self.deaths_in_a_row.store(0, Ordering::Relaxed);
    }
}

/// The thread that a handler's actor lives on at present.
struct Seat {
    inbox: mpsc::Sender<Invocation>,
    arbiter: ArbiterHandle,
    /// Milliseconds since the host began, as the thread last said.
    beat: Arc<AtomicU64>,
}

/// The host of one handler.
pub(crate) struct Host {
    resident: Box<dyn Fn() -> Resident + Send + Sync>,
    capacity: usize,
    vitals: Arc<Vitals>,
    began: Instant,
    seat: Mutex<Seat>,
    generation: AtomicUsize,
    walled_off: Arc<AtomicUsize>,
}

/// The state of a handler's actor, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostState {
    Running,
    /// It died several times in a row, and the next one is waited for.
    Down,
    /// It does not let go of its thread.
    Blocked,
}

/// How often a handler's thread says that it is alive.
const BEAT: Duration = Duration::from_millis(500);

/// Silence after which a thread counts as blocked.
const SILENCE: Duration = Duration::from_secs(2);

/// Threads that one handler may have blocked at a time; after that it waits until one comes back.
const MOST_WALLED_OFF: usize = 4;

impl Host {
    pub(super) fn new(
        name: &str,
        capacity: usize,
        resident: Box<dyn Fn() -> Resident + Send + Sync>,
        metrics: crate::telemetry::Metrics,
    ) -> Self {
        let vitals = Arc::new(Vitals {
            name: name.to_owned(),
            restarts: AtomicU64::new(0),
            deaths_in_a_row: AtomicU64::new(0),
            downs: AtomicU64::new(0),
            alive: AtomicBool::new(true),
            last_error: Mutex::new(None),
            renewals: watch::Sender::new(0),
            metrics,
        });
        let began = Instant::now();
        let walled_off = Arc::new(AtomicUsize::new(0));
        let seat = Mutex::new(take_seat(resident(), capacity, &vitals, began));
        Self { resident, capacity, vitals, began, seat, generation: AtomicUsize::new(0), walled_off }
    }

    /// Hands a delivery over; gives it back if there is no room, which permits rule out.
    pub(crate) fn invoke(&self, invocation: Invocation) -> Result<(), Invocation> {
        let inbox = lock(&self.seat).inbox.clone();
        inbox.try_send(invocation).map_err(|error| match error {
            mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back) => back,
        })
    }

    /// Which thread is in use: changes when a blocked one is walled off.
    pub(crate) fn generation(&self) -> usize {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.vitals.restarts.load(Ordering::Relaxed)
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.vitals.last_error).clone()
    }

    /// How often it came to be down, or was walled off.
    pub(crate) fn downs(&self) -> u64 {
        self.vitals.downs.load(Ordering::Relaxed)
    }

    /// Whether its actors died one after the other, and none has ended a delivery well since.
    pub(crate) fn is_ailing(&self) -> bool {
        self.vitals.deaths_in_a_row.load(Ordering::Relaxed) >= DOWN_AFTER
    }

    pub(crate) fn state(&self) -> HostState {
        if self.silence() > SILENCE {
            HostState::Blocked
        } else if !self.vitals.alive.load(Ordering::Relaxed)
            && self.vitals.deaths_in_a_row.load(Ordering::Relaxed) >= DOWN_AFTER
        {
            HostState::Down
        } else {
            HostState::Running
        }
    }

    fn silence(&self) -> Duration {
        let beat = lock(&self.seat).beat.load(Ordering::Relaxed);
        self.began.elapsed().saturating_sub(Duration::from_millis(beat))
    }

    /// Walls a thread off that has been silent for longer than a delivery may take, and starts another.
    pub(crate) fn watch(&self, timeout: Duration) {
        let silence = self.silence();
        if silence <= timeout.max(SILENCE) || self.walled_off.load(Ordering::Relaxed) >= MOST_WALLED_OFF {
            return;
        }
        self.wall_off(silence);
    }

    /// Builds the actor again, because an operator wants it. What it has begun runs on and ends as it would; one that
    /// blocks its thread is left there, as far as there may be more threads.
    pub(crate) fn restart(&self) {
        let silence = self.silence();
        if silence > SILENCE && self.walled_off.load(Ordering::Relaxed) < MOST_WALLED_OFF {
            self.wall_off(silence);
        } else {
            self.vitals.renewals.send_modify(|renewals| *renewals += 1);
        }
    }

    fn wall_off(&self, silence: Duration) {
        let why = format!("the handler has blocked its thread for {} s", silence.as_secs());
        self.vitals.restarts.fetch_add(1, Ordering::Relaxed);
        self.vitals.metrics.actor_restarts.with_label_values(&["handler"]).inc();
        *lock(&self.vitals.last_error) = Some(why.clone());
        self.vitals.downs.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(handler = self.vitals.name, error = why, "a handler's thread is walled off; starting another");
        self.walled_off.fetch_add(1, Ordering::Relaxed);
        let fresh = take_seat((self.resident)(), self.capacity, &self.vitals, self.began);
        let blocked = std::mem::replace(&mut *lock(&self.seat), fresh);
        self.generation.fetch_add(1, Ordering::AcqRel);
        let walled_off = Arc::clone(&self.walled_off);
        // Runs when the thread comes back; its inbox has no sender any more, so it ends by itself.
        blocked.arbiter.spawn_fn(move || {
            walled_off.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Lets the thread go.
    pub(crate) fn stop(&self) {
        lock(&self.seat).arbiter.stop();
    }
}

fn take_seat(resident: Resident, capacity: usize, vitals: &Arc<Vitals>, began: Instant) -> Seat {
    let (inbox, deliveries) = mpsc::channel(capacity.max(1));
    let arbiter = Arbiter::new().handle();
    let now = move || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let beat = Arc::new(AtomicU64::new(now()));
    let (pulse, vitals) = (Arc::clone(&beat), Arc::clone(vitals));
    arbiter.spawn_fn(move || {
        actix::spawn(async move {
            loop {
                pulse.store(now(), Ordering::Relaxed);
                tokio::time::sleep(BEAT).await;
            }
        });
        resident(deliveries, vitals);
    });
    Seat { inbox, arbiter, beat }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
