//! How numbers, times and tables look to people. Pure.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Cell, CellAlignment, Table, presets};

use super::screen::harmless;
use crate::clock::Timestamp;

/// A table without lines; columns whose header ends in `#` hold numbers and stand at the right.
///
/// It is never wrapped: a line is an event, and an id can be copied.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let numbers: Vec<bool> = header.iter().map(|name| name.ends_with('#')).collect();
    let align = |cell: Cell, column: usize| {
        let right = numbers.get(column).copied().unwrap_or_default();
        cell.set_alignment(if right { CellAlignment::Right } else { CellAlignment::Left })
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if header.iter().any(|name| !matches!(*name, "" | "#")) {
        let names = header.iter().map(|name| name.trim_end_matches('#'));
        table.set_header(names.enumerate().map(|(column, name)| align(Cell::new(name), column)));
    }
    for row in rows {
        let cells = row.iter().map(|text| Cell::new(harmless(text, &[])));
        table.add_row(cells.enumerate().map(|(column, cell)| align(cell, column)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// `12 ms`, `7.0 s`, `30 s`, `3 min 20 s`, `2 h 5 min`, `3 days`.
pub(super) fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..60 if span.subsec_millis() == 0 => format!("{seconds} s"),
        1..60 => format!("{:.1} s", span.as_secs_f64()),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How far a moment is from now, and the moment: `3 min ago (2026-01-05 08:02:20Z)`. Other text stays as it is.
pub(super) fn moment(text: &str, now: Timestamp) -> String {
    let Ok(time) = DateTime::parse_from_rfc3339(text) else { return text.to_owned() };
    let at = Timestamp::from(time);
    let distance = match (now.since(at), at.since(now)) {
        (past, future) if past.as_secs() == 0 && future.as_secs() == 0 => "just now".to_owned(),
        (past, future) if future.is_zero() => format!("{} ago", coarse(past)),
        (_, future) => format!("in {}", coarse(future)),
    };
    let absolute = time.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Secs, true).replace('T', " ");
    format!("{distance} ({absolute})")
}

fn coarse(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// `812 B`, `1.2 KiB`, `3.4 MiB`.
pub(super) fn size(bytes: usize) -> String {
    let exact = bytes as f64;
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", exact / 1_024.0),
        _ => format!("{:.1} MiB", exact / 1_048_576.0),
    }
}

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Valid JSON with a line for each member. Text in, text out: order, digits and escapes stay as they were received.
pub(super) fn indented(json: &str) -> String {
    let mut lines = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped, mut opened) = (0_usize, false, false, false);
    for letter in json.chars() {
        if quoted {
            lines.push(letter);
            quoted = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        let closes = matches!(letter, '}' | ']');
        if letter.is_ascii_whitespace() {
            continue;
        }
        depth -= usize::from(closes && depth > 0);
        // `{}` and `[]` stay together.
        if opened != closes {
            lines.push('\n');
            lines.extend(std::iter::repeat_n("  ", depth));
        }
        lines.push(letter);
        match letter {
            '"' => quoted = true,
            ':' => lines.push(' '),
            _ => {}
        }
        opened = matches!(letter, '{' | '[' | ',');
        depth += usize::from(matches!(letter, '{' | '['));
    }
    lines
}

/// `1 attempt`, `4 attempts`.
pub(super) fn plural(number: u64, word: &str) -> String {
    format!("{} {word}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_are_told_shortly() {
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!((size(812), size(1_229)), ("812 B".into(), "1.2 KiB".into()));
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_millis(7_040)), "7.0 s");
        assert_eq!(duration(Duration::from_secs(30)), "30 s");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
    }

    #[test]
    fn json_is_indented_as_it_came() {
        let json = r#"{"b":[1.00,{"x":"a\"}]:"}],"a":{ },"e":[],"n":12345678901234567890.0}"#;
        insta::assert_snapshot!(indented(json), @r#"
        {
          "b": [
            1.00,
            {
              "x": "a\"}]:"
            }
          ],
          "a": {},
          "e": [],
          "n": 12345678901234567890.0
        }
        "#);
        assert_eq!(indented("[ ]"), "[]");
        assert_eq!(indented("12"), "12");
    }

    #[test]
    fn a_moment_is_told_from_now_and_in_utc() {
        let now = Timestamp(1_767_600_140_000_000);
        assert_eq!(moment("2026-01-05T07:59:20.5Z", now), "2 min ago (2026-01-05 07:59:20Z)");
        assert_eq!(moment("2026-01-05T09:02:25+01:00", now), "in 5 s (2026-01-05 08:02:25Z)");
        assert_eq!(moment("tomorrow", now), "tomorrow");
    }

    #[test]
    fn a_table_has_no_lines_and_its_numbers_stand_at_the_right() {
        let rows = vec![vec!["SUCCESS".into(), "1,200".into()], vec!["IN\nVALID".into(), "3".into()]];
        insta::assert_snapshot!(table(&["STATUS", "EVENTS#"], rows), @r"
        STATUS     EVENTS
        SUCCESS     1,200
        IN\nVALID       3
        ");
    }
}
