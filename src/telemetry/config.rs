//! `[telemetry]`: what is logged, and in which form.
//!
//! Plain values only: nothing here installs a subscriber.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The form of the lines.
    pub log_format: LogFormat,
    /// A level, or a filter such as `info,evenkeel=debug`.
    pub log_level: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { log_format: LogFormat::Text, log_level: "info".to_owned() }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
