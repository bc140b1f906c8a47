//! What happened in the last hours, as charts and as the tables behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::DbErr;

use super::chart::{Chart, Line};
use super::shown;
use crate::api::State;
use crate::clock::Timestamp;
use crate::persist::Rollup;
use crate::telemetry::Span;

/// How far charts may reach back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The word in the address.
    pub word: &'static str,
    pub name: &'static str,
    reach: Duration,
    width: Duration,
}

/// All of them; the first is shown unless another is asked for. Each has about a hundred buckets.
pub(super) const RANGES: [Range; 4] = [
    Range { word: "15m", name: "15 min", reach: minutes(15), width: Duration::from_secs(10) },
    Range { word: "1h", name: "1 h", reach: minutes(60), width: Duration::from_secs(30) },
    Range { word: "6h", name: "6 h", reach: minutes(360), width: minutes(3) },
    Range { word: "24h", name: "24 h", reach: minutes(1_440), width: minutes(12) },
];

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

impl Range {
    /// The range of this word, or the first.
    pub fn named(word: Option<&str>) -> Self {
        RANGES.into_iter().find(|range| word == Some(range.word)).unwrap_or(RANGES[0])
    }
}

/// A chart with its table.
#[derive(Clone, Debug)]
pub(super) struct Drawing {
    pub title: &'static str,
    pub svg: String,
    /// The names of its lines.
    pub names: Vec<&'static str>,
    /// When each bucket began, and the values of its lines; only buckets in which somebody ran, the newest first.
    pub rows: Vec<(String, Vec<String>)>,
}

/// What happened in a range, in buckets.
struct History {
    range: Range,
    buckets: Vec<(Timestamp, Option<Span>)>,
}

/// The charts of a range.
pub(super) async fn drawings(state: &State, range: Range) -> Result<[Drawing; 2], DbErr> {
    // A bucket that is not over would look like a fall.
    let until = Rollup::bucket(state.pool.clock.now(), range.width);
    let since = until.before(range.reach);
    let rollups = state.reads().rollups(since, until, range.width).await?;
    Ok(History::new(range, since, until, &rollups).drawings())
}

impl History {
    fn new(range: Range, since: Timestamp, until: Timestamp, rollups: &[Rollup]) -> Self {
        let known: BTreeMap<i64, Span> = rollups.iter().map(|rollup| (rollup.at.0, rollup.span)).collect();
        let (mut buckets, mut at) = (Vec::new(), since);
        while at < until {
            buckets.push((at, known.get(&at.0).copied()));
            at = at.after(range.width);
        }
        Self { range, buckets }
    }

    fn drawings(&self) -> [Drawing; 2] {
        let width = self.range.width.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a bucket's events fit")]
        let rate = move |of: fn(&Span) -> u64| move |span: &Span| Some(of(span) as f64 / width);
        let within = |share: f64| move |span: &Span| span.quantile(share).map(|took| took.as_secs_f64());
        [
            self.drawing(
                "Events per second",
                vec![
                    self.line("accepted", rate(|span| span.accepted)),
                    self.line("finished", rate(|span| span.finished)),
                    self.line("failed", rate(|span| span.failed)),
                    self.line("retried", rate(|span| span.retried)),
                ],
                shown::rate,
            ),
            self.drawing(
                "From acceptance to the end",
                vec![self.line("p50", within(0.5)), self.line("p95", within(0.95)), self.line("p99", within(0.99))],
                |seconds| shown::span(Duration::try_from_secs_f64(seconds).unwrap_or_default()),
            ),
        ]
    }

    fn line(&self, name: &'static str, value: impl Fn(&Span) -> Option<f64>) -> Line {
        Line { name, points: self.buckets.iter().map(|(_, span)| span.as_ref().and_then(&value)).collect() }
    }

    fn drawing(&self, title: &'static str, lines: Vec<Line>, show: fn(f64) -> String) -> Drawing {
        let ran = self.buckets.iter().enumerate().filter(|(_, (_, span))| span.is_some());
        let rows = ran.rev().map(|(place, (at, _))| {
            let value = |line: &Line| line.points[place].map_or_else(|| "–".to_owned(), show);
            (at.to_rfc3339(), lines.iter().map(value).collect())
        });
        let rows = rows.collect();
        let (unit, second) = if self.range.reach > minutes(60) { ("h", 3_600.0) } else { ("min", 60.0) };
        let names = lines.iter().map(|line| line.name).collect();
        let chart = Chart { lines, reach: self.range.reach.as_secs_f64() / second, unit, show };
        Drawing { title, svg: chart.svg(), names, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_in_which_nobody_ran_is_in_no_table_and_a_gap() {
        let until = Timestamp(1_767_600_140_000_000);
        let since = until.before(minutes(15));
        let span = Span { accepted: 20, ..Span::default() };
        let history =
            History::new(RANGES[0], since, until, &[Rollup { at: since.after(Duration::from_secs(30)), span }]);
        assert_eq!((history.buckets.len(), history.buckets[3].1), (90, Some(span)));
        let [rates, times] = history.drawings();
        assert_eq!(
            rates.rows,
            [("2026-01-05T07:47:50.000000Z".to_owned(), ["2.00", "0", "0", "0"].map(str::to_owned).to_vec())]
        );
        assert_eq!(times.rows[0].1, ["–", "–", "–"]);
    }

    #[test]
    fn an_unknown_range_is_the_first() {
        assert_eq!(Range::named(Some("24h")).name, "24 h");
        assert_eq!((Range::named(Some("7d")), Range::named(None)), (RANGES[0], RANGES[0]));
    }
}
