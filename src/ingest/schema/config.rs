//! `[[schema]]`: which file has the schema of which event type.
//!
//! Plain values only: nothing here reads the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The schema of one event type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// The type of the events whose data is checked, exactly.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The file with the JSON Schema, relative to the configuration file.
    pub file: String,
}
