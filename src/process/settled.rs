//! Who waits for an event's end, and telling them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::persist::Record;

/// Everybody who waits, by record.
#[derive(Debug, Default)]
pub(super) struct Settled(Mutex<HashMap<Uuid, Vec<oneshot::Sender<Record>>>>);

impl Settled {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<oneshot::Sender<Record>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this record's end. Who does so looks afterwards whether it has ended before.
    pub(super) fn wait(&self, record_id: Uuid) -> oneshot::Receiver<Record> {
        let (end, ended) = oneshot::channel();
        let mut waiting = self.waiting();
        let others = waiting.entry(record_id).or_default();
        others.retain(|other| !other.is_closed());
        others.push(end);
        ended
    }

    /// Whether anybody waits for this record.
    pub(super) fn is_awaited(&self, record_id: Uuid) -> bool {
        self.waiting().contains_key(&record_id)
    }

    /// The records that somebody waits for.
    pub(super) fn awaited(&self) -> Vec<Uuid> {
        self.waiting().keys().copied().collect()
    }

    /// Tells all who wait for it.
    pub(super) fn tell(&self, record: &Record) {
        for end in self.waiting().remove(&record.id).unwrap_or_default() {
            // Who has gone needs no answer.
            drop(end.send(record.clone()));
        }
    }

    /// Forgets who has stopped waiting.
    pub(super) fn forget_gone(&self) {
        self.waiting().retain(|_, others| {
            others.retain(|other| !other.is_closed());
            !others.is_empty()
        });
    }
}
