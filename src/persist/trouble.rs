//! Why the ledger cannot be written at present, for who asks. Nothing is decided by it.

use std::sync::{Arc, Mutex, PoisonError};

/// The last error of a write, for as long as it holds; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// The error; nothing if writes go well.
    pub fn why(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the last write went.
    pub fn is(&self, why: Option<&str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why.map(str::to_owned);
    }
}
