//! Addresses and counts of the pages about dead letters. Pure.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::admin::shown;
use crate::persist::Matched;

/// A path with a query of these names and values.
pub(in crate::admin) fn address<'a>(path: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let query: Vec<String> =
        pairs.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// So many match, or so many at least.
pub(super) fn counted(matched: Matched) -> String {
    let count = shown::number(i64::try_from(matched.count).unwrap_or(i64::MAX));
    if matched.is_exact { count } else { format!("more than {count}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_filter_stays_in_its_value() {
        let pairs = [("type", "a&b=c #\"<>"), ("handler", "ü")];
        assert_eq!(
            address("/dead-letters", pairs.into_iter()),
            "/dead-letters?type=a%26b%3Dc%20%23%22%3C%3E&handler=%C3%BC"
        );
        assert_eq!(address("/dead-letters", [].into_iter()), "/dead-letters");
    }

    #[test]
    fn what_was_not_counted_to_its_end_is_told_as_more() {
        assert_eq!(counted(Matched { count: 12_431, is_exact: true }), "12,431");
        assert_eq!(counted(Matched { count: 5, is_exact: false }), "more than 5");
    }
}
