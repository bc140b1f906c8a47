//! `[database]`: where the ledger is kept.
//!
//! Plain values only: nothing here opens a database.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The ledger's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `sqlite://` and a path, relative to the working directory.
    pub url: String,
    /// The most connections that read; writes have one of their own.
    pub max_connections: u32,
    /// How long a read waits for a connection before it is refused.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "sqlite://evenkeel-data/evenkeel.db".to_owned(),
            max_connections: 4,
            acquire_timeout: Duration::from_secs(2),
        }
    }
}
