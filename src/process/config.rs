//! `[pool]` and `[timeouts]`: the processors, and how long their work may take.
//!
//! Plain values only: nothing here starts a processor.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::written;

/// The pool of processors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// How many processors there are; what runs at once is up to the concurrency of each handler.
    pub processors: usize,
    /// How many waiting events of a handler are kept in memory, unless the handler says otherwise; the rest waits in the
    /// ledger.
    pub queue_capacity: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { processors: 10, queue_capacity: 100 }
    }
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Timeouts {
    /// How long a handler may run, unless the handler says otherwise.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub handler: Duration,
    /// How long an attempt may take, from its claim to its recorded outcome; no handler may run longer.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub processing: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { handler: Duration::from_secs(30), processing: Duration::from_secs(60) }
    }
}
