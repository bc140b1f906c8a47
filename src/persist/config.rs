//! `[database]`: where the ledger is kept.
//!
//! Plain values only: nothing here opens a database.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::written;

/// The ledger's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// `sqlite://` and a path, relative to the working directory; the file is made if there is none. Or
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; that database has to be there.
    pub url: String,
    /// The most connections that read; writes have one of their own.
    pub max_connections: u32,
    /// How long a read waits for a connection before it is refused.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub acquire_timeout: Duration,
    /// How long a node counts as alive without a sign; it gives one three times as often. When it is over, others take
    /// over what the node had in hand, and the node itself starts nothing. The same for all nodes; PostgreSQL only.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub lease: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "sqlite://evenkeel-data/evenkeel.db".to_owned(),
            max_connections: 4,
            acquire_timeout: Duration::from_secs(2),
            lease: Duration::from_secs(15),
        }
    }
}
