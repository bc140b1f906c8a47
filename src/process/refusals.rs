//! What the ledger refuses to let be taken over. It is tried again for ever, and told once: again only when the reason is
//! another one.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// Each record with the reason that was told.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<Uuid, String>>);

impl Refusals {
    /// Whether nothing is refused, as far as was found out last.
    pub(super) fn is_empty(&self) -> bool {
        self.told().is_empty()
    }

    /// Takes note of a refusal; false if it was told before.
    pub(super) fn note(&self, record: Uuid, why: &str) -> bool {
        self.told().insert(record, why.to_owned()).is_none_or(|before| before != why)
    }

    /// Forgets all but these.
    pub(super) fn keep(&self, records: &HashSet<Uuid>) {
        self.told().retain(|record, _| records.contains(record));
    }

    fn told(&self) -> MutexGuard<'_, HashMap<Uuid, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_news_once_until_its_reason_changes_or_it_has_passed() {
        let (refusals, record) = (Refusals::default(), Uuid::from_u128(1));
        let news = ["a", "a", "b", "b"].map(|why| refusals.note(record, why));
        assert_eq!(news, [true, false, true, false]);
        refusals.keep(&HashSet::from([record]));
        assert!(!refusals.note(record, "b") && !refusals.is_empty());
        refusals.keep(&HashSet::new());
        assert!(refusals.is_empty() && refusals.note(record, "b"));
    }
}
