//! What is typed into the search: `status:POISON type:order.paid error:"no such account" since:15m`. Pure.
//!
//! Each qualifier is a filter of the API under the name that people use; a word without one is an event id.

use std::time::Duration;

use crate::clock::Timestamp;

/// What is typed, and the filter that it is.
const NAMES: [(&str, &str); 10] = [
    ("status", "status"),
    ("end", "final_status"),
    ("type", "type"),
    ("handler", "handler"),
    ("source", "source"),
    ("id", "event_id"),
    ("subject", "subject"),
    ("error", "error"),
    ("since", "since"),
    ("until", "until"),
];

/// The filters that a text means, by the names of the API.
pub(super) fn read(text: &str) -> Vec<(String, String)> {
    let mut filters: Vec<(String, String)> = Vec::new();
    for word in words(text) {
        let qualified = word.split_once(':').and_then(|(typed, value)| {
            let typed = typed.to_ascii_lowercase();
            NAMES.iter().find(|(name, filter)| *name == typed || *filter == typed).map(|(_, filter)| (*filter, value))
        });
        let (filter, value) = qualified.unwrap_or(("event_id", word.as_str()));
        // Said twice, the later one counts.
        filters.retain(|(known, _)| known != filter);
        if !value.is_empty() {
            let value = if filter.ends_with("status") { value.to_ascii_uppercase() } else { value.to_owned() };
            filters.push((filter.to_owned(), value));
        }
    }
    filters
}

/// The text that means these filters.
pub(super) fn written(filters: &[(String, String)]) -> String {
    let word = |(filter, value): &(String, String)| {
        let name = NAMES.iter().find(|(_, known)| known == filter).map_or(filter.as_str(), |(name, _)| name);
        if value.contains([' ', '"']) || value.is_empty() {
            format!("{name}:\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
        } else {
            format!("{name}:{value}")
        }
    };
    filters.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A time as the API takes it: `15m` is that long ago.
pub(super) fn moment(text: &str, now: Timestamp) -> String {
    let ago = |span: Duration| now.before(span).to_rfc3339();
    humantime::parse_duration(text).map_or_else(|_| text.to_owned(), ago)
}

/// Words are parted by spaces, but for those between quotes; `\` takes the meaning from what follows it there.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted = !quoted,
            '\\' if quoted => word.extend(letters.next()),
            letter if letter.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            letter => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(text)
    }

    #[test]
    fn qualifiers_are_filters_and_a_bare_word_is_an_id() {
        let meant = pairs(r#"status:poison TYPE:order.paid error:"no such: \"a\"" 7 until:"#);
        let meant: Vec<_> = meant.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [("status", "POISON"), ("type", "order.paid"), ("error", "no such: \"a\""), ("event_id", "7")];
        assert_eq!(meant, expected);
        assert_eq!(pairs("urn:a:1"), [("event_id".to_owned(), "urn:a:1".to_owned())]);
        assert_eq!(pairs("id:1 id:2"), [("event_id".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["status:POISON end:FAILED", r#"error:"a \"b\" \\c" id:x"#, "source:/a%20b since:15m"] {
            assert_eq!(pairs(&written(&pairs(text))), pairs(text), "{text}");
        }
    }

    #[test]
    fn a_span_is_that_long_ago() {
        let now = Timestamp(1_767_600_140_000_000);
        assert_eq!(moment("15m", now), "2026-01-05T07:47:20.000000Z");
        assert_eq!(moment("2026-01-05T07:47:20Z", now), "2026-01-05T07:47:20Z");
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_meaning(text in "\\PC{0,40}") {
            let _ = written(&read(&text));
        }
    }
}
