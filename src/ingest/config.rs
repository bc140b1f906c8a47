//! `[listener]`: how much is taken in at once.
//!
//! Plain values only: nothing here starts a listener.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// How many listeners there are.
    pub concurrency: usize,
    /// Above this many waiting events the listeners pause.
    pub max_pending: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { concurrency: 10, max_pending: 100_000 }
    }
}
