//! Fingerprints of deaths: what failed in the same way has the same one, however its values differ.
//!
//! Pure: no actix, no I/O, no clock. The ledger keeps fingerprints, so another way to make them would tear the groups
//! of what has died before from the groups of what dies after: change it only together with a migration.
//!
//! | last error | what is compared |
//! |---|---|
//! | `order 4711 of 2026-01-05 not found` | `order <number> of <time> not found` |
//! | `connect to 10.0.0.7:5432: refused` | `connect to <address>: refused` |
//! | `no such customer "Ada"` | `no such customer <text>` |
//! | `record 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11 is locked` | `record <id> is locked` |
//! | `commit 9fceb02d0ae598e9 at 0x7ffd is bad` | `commit <hex> at <hex> is bad` |

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use sha2::{Digest, Sha256};

/// So much of an error is compared, in characters: what follows is mostly the answer of somebody else, page and all.
const LONGEST: usize = 500;

/// The values in a text, most special first. The names of the parts are what stands in their place.
const VALUES: &str = r#"(?x)
    (?P<time> \d{4}-\d{2}-\d{2} (?: [T\ ]\d{2}:\d{2} (?: :\d{2} (?: [.,]\d+ )? )? (?: Z | [+-]\d{2}:?\d{2} )? )?
            | \b\d{2}:\d{2}:\d{2} (?: [.,]\d+ )? )
  | (?P<id> \b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b )
  | (?P<text> " (?: [^"\\] | \\. )* " | ` [^`]* ` | \B'[^']*'\B )
  | (?P<address> \b[\w.+-]+@[\w-]+(?:\.[\w-]+)+ | \b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b | \[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\](?::\d+)? )
  | (?P<hex> \b0x[0-9a-fA-F]+\b | \b[0-9a-fA-F]{8,}\b )
  | (?P<number> \d+(?:[.,_]\d+)* )
"#;

/// Nothing if the pattern were none, which a test sees: texts would be compared as they are.
static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(VALUES).ok());

/// What deaths are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Sixteen hexadecimal digits.
    pub id: String,
    /// The error without its values; what it is of, if there is no error.
    pub title: String,
}

impl Fingerprint {
    /// Of a dead letter: its handler, and the first line of its last error without the values in it. That line has the
    /// whole chain of causes, whose end mostly is the reason; the lines after it mostly are a trace, which differs
    /// between two builds.
    #[must_use]
    pub fn of_death(handler: &str, error: Option<&str>) -> Self {
        let title = error.map(title).filter(|title| !title.is_empty());
        let title = title.unwrap_or_else(|| "no error was given".to_owned());
        Self { id: digest(&["dead letter", handler, &title]), title }
    }

    /// Of anything else that goes wrong: what it is, of what, and its error like that of a death.
    #[must_use]
    pub fn of_trouble(what: &str, of: &str, error: Option<&str>) -> Self {
        let Self { title, .. } = Self::of_death(of, error);
        Self { id: digest(&["trouble", what, of, &title]), title }
    }

    /// Of an event that nobody handles: its type.
    #[must_use]
    pub fn of_unhandled(event_type: &str) -> Self {
        Self { id: digest(&["no handler", event_type]), title: format!("no handler is bound to {event_type}") }
    }
}

/// The first line of an error without its values.
fn title(error: &str) -> String {
    let line = error.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line: String = line.chars().take(LONGEST).collect();
    let plain = match &*PATTERN {
        Some(pattern) => pattern.replace_all(&line, placeholder).into_owned(),
        None => line,
    };
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn placeholder(found: &Captures<'_>) -> String {
    let word = |name: &str| found.name(name).map(|found| found.as_str());
    // Eight letters from a to f may be a word as well; with a digit among them they are none.
    if let Some(word) = word("hex").filter(|word| !word.contains(|letter: char| letter.is_ascii_digit())) {
        return word.to_owned();
    }
    if word("hex").is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
        return "<number>".to_owned();
    }
    let kind = ["time", "id", "text", "address", "hex"].into_iter().find(|name| word(name).is_some());
    format!("<{}>", kind.unwrap_or("number"))
}

/// Each part with its length before it, so that no two lists of parts read the same.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).fold(String::with_capacity(16), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_left_out_and_words_are_not() {
        assert!(PATTERN.is_some());
        for (error, expected) in [
            ("order 4711 of 2026-01-05 not found", "order <number> of <time> not found"),
            ("at 2026-01-05T08:02:20.5Z, after 1,200.5 ms", "at <time>, after <number> ms"),
            ("08:02:20 retry-after: 30s", "<time> retry-after: <number>s"),
            ("connect to 10.0.0.7:5432: refused", "connect to <address>: refused"),
            ("[fe80::1]:80 and ada@example.org", "<address> and <address>"),
            ("no such customer \"Ada \\\" L\"", "no such customer <text>"),
            ("`a` isn't 'b c', it's `d`", "<text> isn't <text>, it's <text>"),
            ("record 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11 is locked", "record <id> is locked"),
            ("commit 9fceb02d0ae598e9 at 0x7ffd is bad", "commit <hex> at <hex> is bad"),
            ("std::io::Error in cafebabe and defaced", "std::io::Error in cafebabe and defaced"),
            ("account 12345678 is closed", "account <number> is closed"),
            ("  could not pay:\tthe bank\n   at pay.rs:12", "could not pay: the bank"),
            ("\n\nthe second line", "the second line"),
        ] {
            assert_eq!(title(error), expected);
        }
    }

    #[test]
    fn fingerprints_do_not_change_from_one_version_to_the_next() {
        assert_eq!(Fingerprint::of_death("billing", Some("order 4711 not found")).id, "b8ab5e3d2e5f89ef");
        assert_eq!(Fingerprint::of_unhandled("order.paid").id, "5b5791d3f277ee44");
    }

    #[test]
    fn a_death_without_an_error_has_a_group_of_its_own() {
        let nothing = Fingerprint::of_death("billing", None);
        assert_eq!(nothing, Fingerprint::of_death("billing", Some(" \n")));
        assert_ne!(nothing.id, Fingerprint::of_death("email", None).id);
    }

    #[test]
    fn what_nobody_handles_is_told_apart_by_its_type_and_from_every_death() {
        let a = Fingerprint::of_unhandled("a");
        assert_ne!(a.id, Fingerprint::of_unhandled("b").id);
        assert_ne!(a.id, Fingerprint::of_death("no handler", Some("a")).id);
    }

    /// An error with values in it: each time another's.
    fn filled() -> impl Strategy<Value = String> {
        let moment = (2_000u32..2_100, 1u32..13, 1u32..29).prop_map(|(y, m, d)| format!("{y}-{m:02}-{d:02}T10:00:00Z"));
        let parts = (any::<u64>(), any::<u128>(), any::<[u8; 4]>(), "[a-z0-9 ]{0,9}", moment);
        parts.prop_map(|(n, id, ip, text, at)| {
            let (id, ip) = (uuid::Uuid::from_u128(id), std::net::Ipv4Addr::from(ip));
            format!("charge of {n} by {id} from {ip}:{} for \"{text}\" at {at} failed", n % 65_536)
        })
    }

    proptest! {
        #[test]
        fn whatever_the_values_the_fingerprint_is_the_same(one in filled(), other in filled()) {
            prop_assert_eq!(Fingerprint::of_death("h", Some(&one)), Fingerprint::of_death("h", Some(&other)));
        }

        #[test]
        fn other_words_or_another_handler_are_another_fingerprint(a in "[g-z]{1,9}( [g-z]{1,9}){0,4}", b in "[g-z]{1,9}", h in "[a-z]{1,9}") {
            let one = Fingerprint::of_death("h", Some(&a));
            prop_assert_ne!(&one.id, &Fingerprint::of_death("h", Some(&format!("{a} {b}"))).id);
            prop_assert_eq!(h == "h", one.id == Fingerprint::of_death(&h, Some(&a)).id);
        }

        #[test]
        fn any_text_has_a_short_one(error in any::<String>()) {
            let made = Fingerprint::of_death("h", Some(&error));
            prop_assert!(made.id.len() == 16 && made.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
            // A value of one character becomes a word of ten at most.
            prop_assert!(made.title.chars().count() <= LONGEST * 10 && !made.title.contains('\n'));
        }

        #[test]
        fn a_title_is_its_own_title(error in "[a-zA-Z0-9 .:,/_-]{0,60}") {
            prop_assert_eq!(title(&title(&error)), title(&error));
        }
    }
}
