//! `[alerts]`: when operators are alerted, and where that is posted.
//!
//! Plain values only: nothing here looks at anything or connects to anything. The secret is never printed.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::written;
use crate::handle;
use crate::handlers::webhook::{self, Target};

/// What operators are alerted of, and where.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Where alerts are posted: `http` or `https`; `""` is nowhere, and they are in the log only.
    pub webhook: String,
    /// The key of the posts' signature, `whsec_` and then base64; `""` signs nothing.
    pub secret: String,
    /// Whether `webhook` may lead to loopback and private addresses.
    pub allow_private: bool,
    /// How long an incident that goes on is kept quiet between one notice and the next.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub cooldown: Duration,
    /// How long nothing more may have come of dead letters and invalid events until an incident is over. What is a state,
    /// such as a handler that is down, is over when the state is.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub resolve_after: Duration,
    /// How long the ledger, the lease, the broker or a listener may be away until that is an incident.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub grace: Duration,
    /// How long an event may wait for its handler when it is due.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub oldest_pending: Duration,
    /// Which share of a handler's attempts may fail, from 0 to 1.
    pub failing_ratio: f64,
    /// How many attempts there must be in the window for a share to count.
    pub failing_minimum: u64,
    /// Over how long the share is taken.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub failing_window: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            webhook: String::new(),
            secret: String::new(),
            allow_private: false,
            cooldown: Duration::from_secs(900),
            resolve_after: Duration::from_secs(900),
            grace: Duration::from_secs(10),
            oldest_pending: Duration::from_secs(300),
            failing_ratio: 0.5,
            failing_minimum: 10,
            failing_window: Duration::from_secs(300),
        }
    }
}

impl Config {
    /// Where alerts are posted, if they are.
    ///
    /// # Errors
    /// What is wrong with the URL or the secret.
    pub(crate) fn target(&self) -> Result<Option<Target>, webhook::Error> {
        if self.webhook.is_empty() {
            return Ok(None);
        }
        let secret = Some(self.secret.clone()).filter(|secret| !secret.is_empty());
        let options = webhook::Options { url: self.webhook.clone(), secret, allow_private: self.allow_private };
        Target::new(&options).map(Some)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.secret.is_empty() { "" } else { handle::Config::REDACTED };
        f.debug_struct("Config")
            .field("webhook", &handle::Config::without_secrets(&self.webhook))
            .field("secret", &hidden)
            .field("allow_private", &self.allow_private)
            .field("cooldown", &self.cooldown)
            .field("resolve_after", &self.resolve_after)
            .field("grace", &self.grace)
            .field("oldest_pending", &self.oldest_pending)
            .field("failing_ratio", &self.failing_ratio)
            .field("failing_minimum", &self.failing_minimum)
            .field("failing_window", &self.failing_window)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_holds_no_secrets() {
        let config = Config {
            webhook: "https://ada:hunter2@hooks.example/services/hunter2hunter2hunter2".to_owned(),
            secret: "whsec_hunter2".to_owned(),
            ..Config::default()
        };
        let shown = format!("{config:?}");
        assert!(shown.contains("hooks.example") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn without_a_url_nothing_is_posted() {
        assert!(Config::default().target().unwrap().is_none());
        let config = Config { webhook: "http://127.0.0.1:9/".to_owned(), ..Config::default() };
        assert!(matches!(config.target(), Err(webhook::Error::Private { .. })));
        assert!(Config { allow_private: true, ..config }.target().unwrap().is_some());
    }
}
