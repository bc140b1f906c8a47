//! Numbers and times as people read them. Pure: what time it is comes with the call.

use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;

/// As much of an id as people tell things apart by.
pub(crate) fn short(id: Uuid) -> String {
    id.simple().to_string().split_off(24)
}

/// `1234567` as `1,234,567`.
pub(crate) fn number(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        shown.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// So many a second: no more digits than mean something.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".to_owned(),
        few if few < 10.0 => format!("{few:.2}"),
        some if some < 100.0 => format!("{some:.1}"),
        #[expect(clippy::cast_possible_truncation, reason = "a rate is far below that")]
        many => number(many.round() as i64),
    }
}

/// A span in its two largest units, or one with a fraction: `850 µs`, `12 ms`, `3.2 s`, `5 min 4 s`, `2 h 10 min`, `3 d 4 h`.
pub(crate) fn span(span: Duration) -> String {
    let (seconds, millis) = (span.as_secs(), span.as_millis());
    match seconds {
        0 if millis == 0 => format!("{} µs", span.as_micros()),
        0 => format!("{millis} ms"),
        1..=59 => format!("{:.1} s", span.as_secs_f64()),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A moment, for `<time>`: exact for programs, relative for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// RFC 3339, in UTC.
    pub exact: String,
    /// Such as `3 min ago`.
    pub relative: String,
}

impl Moment {
    /// How a moment is seen now.
    pub fn of(at: Timestamp, now: Timestamp) -> Self {
        let far = |span: Duration| match span.as_secs() {
            0 => "now".to_owned(),
            seconds @ 1..=59 => format!("{seconds} s"),
            seconds @ 60..=3_599 => format!("{} min", seconds / 60),
            seconds @ 3_600..=86_399 => format!("{} h", seconds / 3_600),
            seconds => format!("{} d", seconds / 86_400),
        };
        let relative = match (far(now.since(at)), far(at.since(now))) {
            (past, _) if past != "now" => format!("{past} ago"),
            (_, ahead) if ahead != "now" => format!("in {ahead}"),
            (now, _) => now,
        };
        Self { exact: at.to_rfc3339(), relative }
    }

    /// The time of day, to the millisecond, in UTC.
    pub fn clock(&self) -> &str {
        self.exact.get(11..23).unwrap_or(&self.exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_groups_of_three() {
        let shown = [0, 7, 999, 1_000, 12_345, 1_234_567, -1_234].map(number);
        assert_eq!(shown, ["0", "7", "999", "1,000", "12,345", "1,234,567", "-1,234"]);
    }

    #[test]
    fn rates_have_no_more_digits_than_mean_something() {
        assert_eq!([0.0, 0.016, 3.0, 42.25, 12_345.6].map(rate), ["0", "0.02", "3.00", "42.2", "12,346"]);
    }

    #[test]
    fn spans_have_the_units_of_their_size() {
        let shown = [850, 12_000, 3_200_000, 304_000_000, 7_800_000_000, 273_600_000_000].map(|micros| {
            let span = Duration::from_micros(micros);
            super::span(span)
        });
        assert_eq!(shown, ["850 µs", "12 ms", "3.2 s", "5 min 4 s", "2 h 10 min", "3 d 4 h"]);
    }

    #[test]
    fn moments_are_seen_from_now() {
        let now = Timestamp(1_767_600_140_000_000);
        let seen = |at: Timestamp| Moment::of(at, now).relative;
        assert_eq!(seen(now.before(Duration::from_secs(200))), "3 min ago");
        assert_eq!(seen(now.after(Duration::from_secs(7_200))), "in 2 h");
        assert_eq!(seen(now.before(Duration::from_millis(300))), "now");
        assert_eq!(Moment::of(now, now).exact, "2026-01-05T08:02:20.000000Z");
        assert_eq!(Moment::of(now, now).clock(), "08:02:20.000");
    }
}
