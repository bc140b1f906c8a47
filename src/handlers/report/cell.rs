//! One value of a report: made of JSON, and written for spreadsheets and for people. Pure.

use std::borrow::Cow;

use serde_json::Value;

/// A value as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Nothing: `null`, or a member that is not there.
    Empty,
    /// A number, as it was written.
    Number(String),
    /// Anything else. Arrays and objects are their JSON.
    Text(String),
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Empty,
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(text),
            other => Self::Text(other.to_string()),
        }
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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_looks_like_a_formula_gets_an_apostrophe() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(Cell::from(json!(text)).for_spreadsheets(), format!("'{text}"));
        }
        for text in ["a=b", "'=1", " =1", "1-1"] {
            assert_eq!(Cell::from(json!(text)).for_spreadsheets(), text);
        }
    }

    #[test]
    fn a_number_stays_a_number() {
        for (value, text) in [(json!(-5), "-5"), (json!(0.25), "0.25"), (json!(u64::MAX), "18446744073709551615")] {
            let cell = Cell::from(value);
            assert!(cell.is_number());
            assert_eq!(cell.for_spreadsheets(), text);
        }
    }

    #[test]
    fn other_values_are_their_json_and_null_is_nothing() {
        assert_eq!(Cell::from(json!({ "a": [1, null] })).text(), r#"{"a":[1,null]}"#);
        assert_eq!(Cell::from(json!(true)).text(), "true");
        assert_eq!(Cell::from(json!(null)), Cell::Empty);
    }
}
