//! `[pool]` and `[timeouts]`: the processors, and how long their work may take.
//!
//! Plain values only: nothing here starts a processor.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The pool of processors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// How many processors there are; what runs at once is up to each handler's concurrency.
    pub processors: usize,
    /// How many waiting events a lane keeps in memory, unless its handler says otherwise.
    pub queue_capacity: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { processors: 10, queue_capacity: 100 }
    }
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// A handler's run, unless the handler says otherwise.
    #[serde(with = "humantime_serde")]
    pub handler: Duration,
    /// An attempt from its claim to its recorded outcome.
    #[serde(with = "humantime_serde")]
    pub processing: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { handler: Duration::from_secs(30), processing: Duration::from_secs(60) }
    }
}
