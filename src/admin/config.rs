//! `[dashboard]`: what the dashboard says of the installation that it belongs to.
//!
//! Plain values only: nothing here draws a page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// What this installation is called on every page, such as `production`, so that nobody takes it for another; empty
    /// is no name.
    pub environment: String,
    /// The colour behind the name.
    pub colour: Colour,
}

/// A colour of the palette: any other would have to be readable in light and dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the colour of its name")]
pub enum Colour {
    #[default]
    Grey,
    Blue,
    Green,
    Amber,
    Red,
    Violet,
}

impl Colour {
    /// The word for the style sheet.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Blue => "blue",
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
            Self::Violet => "violet",
        }
    }
}
