//! Which records a list or an operation is about: the same names in queries and in bodies.

mod shapes;

use std::str::FromStr;

use chrono::DateTime;

use super::problem::{Code, Problem};
use super::query::{closest, listed};
use crate::clock::Timestamp;
use crate::event::Violation;
use crate::lifecycle::{FinalStatus, Status};
use crate::persist::Filter;
pub(super) use shapes::{Filters, OperationAsked, moment_or_nothing, parameters};

/// The names of the filters.
pub(crate) const NAMES: [&str; 11] =
    ["status", "final_status", "type", "handler", "source", "event_id", "subject", "error", "since", "until", "group"];

/// The longest text that is looked for in errors, in characters.
const LONGEST_ERROR: usize = 1_000;

/// The filter that these names and values say; names that are none of [`NAMES`] are somebody else's.
pub(crate) fn read<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Filter, Vec<Violation>> {
    let (mut filter, mut wrong) = (Filter::default(), Vec::new());
    for (name, value) in pairs {
        if let Err(detail) = set(&mut filter, name, value) {
            wrong.push(Violation::new(name, "bad_value", detail));
        }
    }
    if wrong.is_empty() { Ok(filter) } else { Err(wrong) }
}

fn set(filter: &mut Filter, name: &str, value: &str) -> Result<(), String> {
    let text = || Some(value.to_owned());
    text_of_the_ledger(name, value)?;
    match name {
        "status" => filter.status = Some(word(name, value, Status::ALL, Status::as_str)?),
        "final_status" => filter.final_status = Some(word(name, value, FinalStatus::ALL, FinalStatus::as_str)?),
        "type" => filter.event_type = text(),
        "handler" => filter.handler = text(),
        "source" => filter.source = text(),
        "event_id" => filter.event_id = text(),
        "subject" => filter.subject = text(),
        "error" if value.chars().count() > LONGEST_ERROR => {
            return Err(format!("`error` is a text of at most {LONGEST_ERROR} characters"));
        }
        "error" => filter.error = text(),
        "since" => filter.since = Some(moment(name, value)?),
        "until" => filter.until = Some(moment(name, value)?),
        "group" => filter.group = text(),
        _ => {}
    }
    Ok(())
}

/// Refuses what no text in the ledger can be.
pub(super) fn text_of_the_ledger(name: &str, value: &str) -> Result<(), String> {
    if value.contains('\0') {
        return Err(format!("`{name}` holds a NUL character, and nothing in the ledger does"));
    }
    Ok(())
}

pub(crate) fn word<W: FromStr + Copy>(
    name: &str,
    value: &str,
    all: &[W],
    as_str: fn(W) -> &'static str,
) -> Result<W, String> {
    value.parse().map_err(|_| {
        let words: Vec<&str> = all.iter().map(|word| as_str(*word)).collect();
        let meant = closest(value, &words).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        format!("`{name}` is one of {}, and `{value}` is none of them{meant}", listed(&words))
    })
}

pub(crate) fn moment(name: &str, value: &str) -> Result<Timestamp, String> {
    let time = DateTime::parse_from_rfc3339(value).or_else(|error| {
        // A `+` that was not percent-encoded has arrived as a space.
        let (time, offset) = value.rsplit_once(' ').ok_or(error)?;
        DateTime::parse_from_rfc3339(&format!("{time}+{offset}"))
    });
    time.map(Timestamp::from)
        .map_err(|_| format!("`{name}` is a time such as `2026-01-05T08:02:20Z`, and `{value}` is none (RFC 3339)"))
}

/// Dead letters; events without a handler only if they are asked for.
pub(crate) fn confine(filter: &mut Filter, code: Code) -> Result<(), Problem> {
    filter.confine_to_the_dead();
    let Some(end) = filter.final_status.filter(|end| !DEAD.contains(end)) else { return Ok(()) };
    let detail = format!("`final_status` is `DEAD_LETTER` or `NO_HANDLER` here, not `{end}`");
    Err(Problem::of(code, vec![Violation::new("final_status", "bad_value", detail)]))
}

/// The final statuses of what can be redriven or discarded.
pub(crate) const DEAD: [FinalStatus; 2] = [FinalStatus::DeadLetter, FinalStatus::NoHandler];

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(name: &str, value: &str) -> String {
        read([(name, value)].into_iter()).unwrap_err().remove(0).detail
    }

    #[test]
    fn a_wrong_status_hears_all_the_words() {
        assert_eq!(
            detail("final_status", "DEADLETTER"),
            "`final_status` is one of `COMPLETED`, `FAILED`, `SKIPPED`, `NO_HANDLER`, `DEAD_LETTER`, `DISCARDED`, and \
             `DEADLETTER` is none of them; did you mean `DEAD_LETTER`?"
        );
        for status in Status::ALL {
            assert!(detail("status", "nonsense").contains(status.as_str()));
        }
    }

    #[test]
    fn times_are_rfc_3339_whatever_became_of_their_plus() {
        let since = |value| read([("since", value)].into_iter()).unwrap().since.unwrap();
        assert_eq!(since("2026-01-05T10:02:20+02:00"), since("2026-01-05T08:02:20Z"));
        assert_eq!(since("2026-01-05T10:02:20 02:00"), since("2026-01-05T08:02:20Z"));
        assert!(detail("until", "yesterday").contains("RFC 3339"));
    }

    #[test]
    fn a_text_that_no_record_can_hold_is_refused() {
        assert_eq!(detail("type", "a\0"), "`type` holds a NUL character, and nothing in the ledger does");
        assert_eq!(detail("error", &"x".repeat(1_001)), "`error` is a text of at most 1000 characters");
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        let wrong = read([("status", "x"), ("type", "t"), ("since", "y")].into_iter()).unwrap_err();
        assert_eq!(wrong.iter().map(|wrong| wrong.pointer.as_str()).collect::<Vec<_>>(), ["/status", "/since"]);
    }

    #[test]
    fn every_name_is_read() {
        for name in NAMES {
            let value = if name == "final_status" { "FAILED" } else { "SUCCESS" };
            let value = if ["since", "until"].contains(&name) { "2026-01-05T08:02:20Z" } else { value };
            assert_ne!(read([(name, value)].into_iter()).unwrap(), Filter::default(), "{name}");
        }
    }
}
