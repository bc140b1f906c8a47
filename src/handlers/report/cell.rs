//! One value of a report: read from JSON, and written for spreadsheets and for people. Pure.
//!
//! A number is never computed with here: it stays the text that was sent, however long it is.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

/// A value as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Nothing: `null`, or a member that is not there.
    Empty,
    /// A number, as it was written.
    Number(String),
    /// Anything else. Arrays and objects are their JSON, as it was written.
    Text(String),
}

impl<'de> Deserialize<'de> for Cell {
    /// From JSON only. A `Value` would make floating-point numbers of 1.10 and of what has more digits than those.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Box::<RawValue>::deserialize(deserializer)?;
        let json = written.get();
        Ok(match json.bytes().next() {
            Some(b'n') => Self::Empty,
            Some(b'-' | b'0'..=b'9') => Self::Number(json.to_owned()),
            Some(b'"') => Self::Text(serde_json::from_str(json).map_err(D::Error::custom)?),
            _ => Self::Text(json.to_owned()),
        })
    }
}

impl Cell {
    /// As it is.
    pub fn text(&self) -> &str {
        match self {
            Self::Empty => "",
            Self::Number(text) | Self::Text(text) => text,
        }
    }

    /// Whether it is set like a number.
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    /// For a file that a spreadsheet may open. It would run a text that begins like a formula, so that one gets an
    /// apostrophe (OWASP, "CSV Injection"). A number is no text: -5 stays what it is.
    pub fn for_spreadsheets(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => format!("'{text}").into(),
            _ => self.text().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(json: &str) -> Cell {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_text_that_looks_like_a_formula_gets_an_apostrophe() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(Cell::Text(text.to_owned()).for_spreadsheets(), format!("'{text}"));
        }
        for text in ["a=b", "'=1", " =1", "1-1"] {
            assert_eq!(Cell::Text(text.to_owned()).for_spreadsheets(), text);
        }
    }

    #[test]
    fn a_number_stays_as_it_was_written() {
        let numbers = ["-5", "-0", "0.25", "1.10", "1e2", "1E+999", "12345678901234567890123"];
        for number in numbers.into_iter().chain(["0.1000000000000000055511151231257827"]) {
            let cell = cell(number);
            assert!(cell.is_number());
            assert_eq!(cell.for_spreadsheets(), number);
        }
    }

    #[test]
    fn other_values_are_their_json_and_null_is_nothing() {
        assert_eq!(cell(r#" {"b":[1.10, null],"a":0} "#).text(), r#"{"b":[1.10, null],"a":0}"#);
        assert_eq!((cell("true").text(), cell("false").text()), ("true", "false"));
        assert_eq!(cell("null"), Cell::Empty);
    }

    #[test]
    fn a_text_is_read_and_half_a_character_is_refused() {
        assert_eq!(cell(r#""5 \u20ac \n""#), Cell::Text("5 € \n".to_owned()));
        assert!(serde_json::from_str::<Cell>(r#""\ud83d""#).is_err());
    }
}
