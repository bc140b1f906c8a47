//! What has become of the lines of a file, and how that is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::problem::Problem;
use super::super::text;
use super::super::wait::Record;

/// How many problems are shown; the rest is counted.
const SHOWN_PROBLEMS: usize = 10;

/// The counts of a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub sent: u64,
    pub accepted: u64,
    pub duplicates: u64,
    pub invalid: u64,
    /// The first ones, by line.
    problems: BTreeMap<u64, Problem>,
    /// The records to wait for; empty unless they are wanted.
    pub records: Vec<Uuid>,
    /// Final statuses, if they were waited for.
    ends: BTreeMap<String, u64>,
    pub unfinished: Option<u64>,
}

impl Tally {
    /// A line that is no good event.
    pub fn invalid(&mut self, line: u64, problem: Problem) {
        self.invalid += 1;
        self.problems.insert(line, problem);
        if self.problems.len() > SHOWN_PROBLEMS {
            self.problems.pop_last();
        }
    }

    /// An event that has come to its end.
    pub fn ended(&mut self, record: &Record) {
        let end = record.final_status.clone().unwrap_or_default();
        *self.ends.entry(end).or_default() += 1;
    }

    /// Whether every line was an event, also for its handler, and every end that was waited for has come.
    pub fn is_good(&self) -> bool {
        self.invalid == 0 && !self.ends.contains_key("FAILED") && self.unfinished.unwrap_or_default() == 0
    }

    /// The summary as JSON.
    pub fn to_json(&self, took: Duration) -> Value {
        let problems: Vec<Value> =
            self.problems.iter().map(|(line, problem)| json!({ "line": line, "problem": problem })).collect();
        let mut summary = json!({
            "sent": self.sent, "accepted": self.accepted, "duplicates": self.duplicates, "invalid": self.invalid,
            "duration_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "events_per_second": per_second(self.sent, took), "problems": problems,
        });
        if let Some(unfinished) = self.unfinished {
            summary["final_statuses"] = json!(self.ends);
            summary["unfinished"] = unfinished.into();
        }
        summary
    }

    /// The summary for people.
    pub fn to_text(&self, took: Duration) -> String {
        let rows = [
            (
                "sent",
                self.sent,
                format!("in {}, {} events/s", text::duration(took), text::count(per_second(self.sent, took))),
            ),
            ("accepted", self.accepted, String::new()),
            ("duplicates", self.duplicates, String::new()),
            ("invalid", self.invalid, String::new()),
        ];
        let rows = rows.map(|(label, number, more)| vec![label.to_owned(), text::count(number), more]);
        let mut parts = vec![text::table(&["", "#", ""], rows)];
        if let Some(unfinished) = self.unfinished {
            let mut ends: Vec<Vec<String>> =
                self.ends.iter().map(|(end, number)| vec![end.clone(), text::count(*number)]).collect();
            if unfinished > 0 {
                ends.push(vec!["(not ended)".to_owned(), text::count(unfinished)]);
            }
            parts.push(text::table(&["FINAL STATUS", "EVENTS#"], ends));
        }
        parts.extend(self.problems_text());
        parts.join("\n\n")
    }

    fn problems_text(&self) -> Option<String> {
        let mut lines: Vec<String> =
            self.problems.iter().map(|(line, problem)| format!("line {line}: {problem}")).collect();
        let more = self.invalid.saturating_sub(lines.len() as u64);
        if more > 0 {
            lines.push(format!("… and {more} more"));
        }
        Some(lines.join("\n")).filter(|text| !text.is_empty())
    }
}

fn per_second(events: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::from(events) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ten_problems_are_shown_and_the_rest_is_counted() {
        let mut tally = Tally::default();
        for line in (1..=12).rev() {
            tally.invalid(line, Problem::new("Not JSON", "not_json", "EOF"));
        }
        let text = tally.to_text(Duration::from_secs(1));
        assert!(text.contains("\nline 10: Not JSON") && !text.contains("line 11:"), "{text}");
        assert!(text.ends_with("… and 2 more"), "{text}");
    }

    #[test]
    fn the_summary_is_short() {
        let tally = Tally { sent: 12_000, accepted: 11_990, duplicates: 10, ..Tally::default() };
        insta::assert_snapshot!(tally.to_text(Duration::from_millis(1_500)), @r"
        sent        12,000  in 1.5 s, 8,000 events/s
        accepted    11,990
        duplicates      10
        invalid          0
        ");
    }
}
