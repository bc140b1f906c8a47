//! Query parameters: each is known, stands once and can be read, or the answer says which does not.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::problem::{Code, Problem};
use crate::event::Violation;

/// The parameters that were given, by name; an empty one counts as absent.
#[derive(Debug, Default)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a query string.
    pub fn parse(query: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut given = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !known.contains(&name.as_str()) {
                return Err(Problem::of(Code::UnknownParameter, vec![unknown(&name, "query parameter", known)]));
            }
            if value.is_empty() {
                continue;
            }
            if given.contains_key(&name) {
                return Err(bad(&name, format!("query parameter `{name}` stands twice")));
            }
            given.insert(name, value);
        }
        Ok(Self(given))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A parameter that cannot be read.
pub(crate) fn bad(name: &str, detail: impl Into<String>) -> Problem {
    Problem::of(Code::BadParameter, vec![Violation::new(name, "bad_value", detail)])
}

/// A name that nobody knows, with the one that was probably meant.
pub(crate) fn unknown(name: &str, what: &str, known: &[&str]) -> Violation {
    let detail = match closest(name, known) {
        Some(meant) => format!("there is no {what} `{name}`; did you mean `{meant}`?"),
        None if known.is_empty() => format!("there is no {what} `{name}` here"),
        None => format!("there is no {what} `{name}`; there are {}", listed(known)),
    };
    Violation::new(name, "unknown_member", detail)
}

/// The word that was probably meant.
pub(crate) fn closest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    let likeness = |word: &str| strsim::jaro_winkler(&given, &word.to_ascii_lowercase());
    let best = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.8).then_some(best)
}

/// Words in a sentence.
pub(crate) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn decode(text: &str) -> Result<String, Problem> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().map(Into::into);
    decoded.map_err(|_| Problem::new(Code::BadParameter, format!("`{text}` in the query is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Vec<(String, String)>, String> {
        let parameters =
            Parameters::parse(query, &["status", "type", "limit"]).map_err(|problem| problem.to_string())?;
        Ok(parameters.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn parameters_are_decoded_and_empty_ones_are_absent() {
        assert_eq!(parse("type=a%2Bb+c%26d&status=&&limit").unwrap(), [("type".to_owned(), "a+b c&d".to_owned())]);
        assert_eq!(parse("type=%E2%82%AC").unwrap()[0].1, "€");
    }

    #[test]
    fn unknown_parameters_are_named_with_what_was_meant() {
        assert_eq!(
            parse("statsu=SUCCESS").unwrap_err(),
            "unknown_parameter: there is no query parameter `statsu`; did you mean `status`?"
        );
        assert_eq!(
            parse("zzz=").unwrap_err(),
            "unknown_parameter: there is no query parameter `zzz`; there are `status`, `type`, `limit`"
        );
    }

    #[test]
    fn parameters_that_stand_twice_or_are_no_text_are_refused() {
        assert_eq!(parse("type=a&type=b").unwrap_err(), "bad_parameter: query parameter `type` stands twice");
        assert!(parse("type=%ff").unwrap_err().starts_with("bad_parameter"));
    }
}
