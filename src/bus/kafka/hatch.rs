//! Where a batch is handed over, between the thread that polls Kafka and the listener that has it accepted.
//!
//! One batch at a time. The thread waits here with a deadline and never for a listener alone; the listener never waits
//! for the client.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::bus::Delivery;

/// For each partition the offset that is to be read next.
pub(super) type Ends = BTreeMap<i32, i64>;

/// See above.
#[derive(Default)]
pub(super) struct Hatch {
    state: Mutex<State>,
    /// For the thread.
    turned: Condvar,
    /// For the listener.
    arrived: Notify,
}

#[derive(Default)]
struct State {
    /// The listener waits for a batch.
    wanted: bool,
    /// What lies here.
    batch: Option<Vec<Delivery>>,
    /// Where that ends which was put here last, until it is settled.
    given: Option<Ends>,
    /// What is settled and not stored yet.
    settled: Ends,
    closing: bool,
    ended: bool,
}

/// The listener's side.
impl Hatch {
    /// Takes what lies here, or asks for it.
    pub(super) fn ask(&self) -> Option<Vec<Delivery>> {
        let mut state = self.state();
        let batch = state.batch.take();
        state.wanted = batch.is_none();
        drop(state);
        self.turned.notify_all();
        batch
    }

    /// Waits until something has changed on the other side.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// What was taken last is in the ledger.
    pub(super) fn settle(&self) {
        let mut state = self.state();
        let given = state.given.take();
        state.settled.extend(given.into_iter().flatten());
        drop(state);
        self.turned.notify_all();
    }

    /// Nobody will ask again.
    pub(super) fn close(&self) {
        self.state().closing = true;
        self.turned.notify_all();
    }

    /// Whether the thread has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }
}

/// The thread's side.
impl Hatch {
    /// Waits until somebody wants a batch, but not longer than this. Nobody can have one before the last is settled.
    pub(super) fn wait_for_want(&self, longest: Duration) -> bool {
        let is_wanted = |state: &State| state.wanted && state.given.is_none();
        is_wanted(&self.wait(longest, |state| is_wanted(state) || state.closing))
    }

    /// Puts a batch here that ends there.
    pub(super) fn give(&self, batch: Vec<Delivery>, ends: Ends) {
        let mut state = self.state();
        state.wanted = false;
        (state.batch, state.given) = (Some(batch), Some(ends));
        drop(state);
        self.arrived.notify_one();
    }

    /// What has been settled since it was asked last.
    pub(super) fn settled(&self) -> Ends {
        std::mem::take(&mut self.state().settled)
    }

    /// The partitions are about to go: what nobody has taken is taken back, what somebody has is waited for, but not
    /// longer than this. What is settled later has no effect any more. Returns what is settled now.
    pub(super) fn give_up(&self, longest: Duration) -> Ends {
        let mut state = self.state();
        if state.batch.take().is_some() {
            state.given = None;
            state.wanted = true;
        }
        drop(state);
        let mut state = self.wait(longest, |state| state.given.is_none() || state.closing);
        if state.given.take().is_some() && !state.closing {
            tracing::warn!("partitions were given back before their messages were in the ledger; they come again");
        }
        std::mem::take(&mut state.settled)
    }

    /// Whether the listener has gone.
    pub(super) fn is_closing(&self) -> bool {
        self.state().closing
    }

    /// Waits this long, or until the listener has gone, and says whether it has.
    pub(super) fn rest(&self, longest: Duration) -> bool {
        self.wait(longest, |state| state.closing).closing
    }

    /// Nothing will come any more.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.arrived.notify_one();
    }

    fn wait(&self, longest: Duration, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let end = Instant::now() + longest;
        let mut state = self.state();
        while !holds(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.turned.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn ends(offset: i64) -> Ends {
        Ends::from([(0, offset)])
    }

    #[test]
    fn what_is_settled_is_stored_once_and_in_order() {
        let hatch = Hatch::default();
        assert!(!hatch.wait_for_want(NOW));
        for offset in [1, 2] {
            assert!(hatch.ask().is_none() && hatch.wait_for_want(NOW));
            hatch.give(Vec::new(), ends(offset));
            assert!(hatch.ask().is_some() && hatch.ask().is_none());
            // It is asked for, but the last one is not settled.
            assert!(!hatch.wait_for_want(NOW));
            hatch.settle();
        }
        assert_eq!((hatch.settled(), hatch.settled()), (ends(2), Ends::new()));
    }

    #[test]
    fn what_nobody_has_taken_is_taken_back_and_still_wanted() {
        let hatch = Hatch::default();
        hatch.give(Vec::new(), ends(1));
        assert_eq!(hatch.give_up(Duration::from_secs(60)), Ends::new());
        assert!(hatch.wait_for_want(NOW) && hatch.ask().is_none());
        hatch.settle();
        assert_eq!(hatch.settled(), Ends::new());
    }

    #[test]
    fn an_accept_in_flight_is_waited_for_and_no_later_one_counts() {
        let hatch = Hatch::default();
        hatch.give(Vec::new(), ends(1));
        hatch.ask().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| hatch.settle());
            assert_eq!(hatch.give_up(Duration::from_secs(60)), ends(1));
        });
        hatch.give(Vec::new(), ends(2));
        hatch.ask().unwrap();
        assert_eq!(hatch.give_up(NOW), Ends::new());
        hatch.settle();
        assert_eq!(hatch.settled(), Ends::new());
    }

    #[test]
    fn a_listener_that_has_gone_is_not_waited_for() {
        let hatch = Hatch::default();
        hatch.give(Vec::new(), ends(1));
        hatch.ask().unwrap();
        hatch.close();
        assert_eq!(hatch.give_up(Duration::from_secs(60)), Ends::new());
        assert!(hatch.rest(Duration::from_secs(60)) && hatch.is_closing());
    }
}
