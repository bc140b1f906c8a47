//! What was measured, for people and for scripts. Pure.

use std::time::Duration;

use serde::Serialize;

use super::incoming::Incoming;
use super::visitor::Visited;
use super::visits::Visit;
use crate::cli::BenchPagesArgs;
use crate::cli::text::{self, table};

/// The whole of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub database: &'static str,
    pub records: u64,
    pub fill_seconds: f64,
    pub seconds: f64,
    pub cpus: usize,
    pub events: Events,
    /// How often the stream of server-sent events said how everything stands.
    pub live: usize,
    pub bound_ms: f64,
    /// The slowest 95th percentile.
    pub slowest_ms: f64,
    /// Whether everything was answered in time, and no event refused.
    pub held: bool,
    pub pages: Vec<Page>,
}

/// The events that came in.
#[derive(Debug, Serialize)]
pub(super) struct Events {
    pub rate: u32,
    pub sent: u64,
    pub accepted: u64,
    /// How many of them had come to their end soon after.
    pub finished: u64,
    pub refusal: Option<String>,
    #[serde(flatten)]
    pub took: Times,
}

/// One address.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    pub route: &'static str,
    pub path: String,
    pub count: usize,
    pub bytes: usize,
    pub failure: Option<String>,
    #[serde(flatten)]
    pub took: Times,
}

/// How long something took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Times {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Times {
    /// Of all of these: the nearest rank, so that each is one that was measured.
    pub fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        let rank = |percent: usize| {
            let place = (took.len() * percent).div_ceil(100).saturating_sub(1);
            took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
        };
        Self { p50_ms: rank(50), p95_ms: rank(95), p99_ms: rank(99), max_ms: rank(100) }
    }
}

impl Events {
    pub fn of(incoming: Incoming, rate: u32, finished: u64) -> Self {
        let Incoming { sent, accepted, refusal, took } = incoming;
        Self { rate, sent, accepted, finished, refusal, took: Times::of(took) }
    }
}

impl Page {
    pub fn of(visit: Visit, visited: Visited) -> Self {
        let Visited { took, bytes, failure } = visited;
        let (route, path) = (visit.route, visit.path);
        Self { route, path, count: took.len(), bytes, failure, took: Times::of(took) }
    }
}

impl Report {
    /// Whether it is as it was asked to be.
    pub fn judge(&mut self, args: &BenchPagesArgs) {
        self.bound_ms = args.bound.as_secs_f64() * 1_000.0;
        self.slowest_ms = self.pages.iter().map(|page| page.took.p95_ms).fold(0.0, f64::max);
        let answered = self.pages.iter().all(|page| page.failure.is_none()) && self.live > 0;
        let events = &self.events;
        let taken = events.accepted == events.sent && events.finished == events.sent;
        self.held = answered && taken && self.slowest_ms <= self.bound_ms;
    }

    /// For people: each address, then the events.
    pub fn lines(&self) -> Vec<String> {
        let ms = |ms: f64| format!("{ms:.1}");
        let rows = self.pages.iter().map(|page| {
            let Times { p50_ms, p95_ms, p99_ms, max_ms } = page.took;
            let mark = match &page.failure {
                Some(failure) => failure.as_str(),
                None if p95_ms > self.bound_ms => "too slow",
                None => "",
            };
            let times = [p50_ms, p95_ms, p99_ms, max_ms].map(ms);
            let [p50, p95, p99, max] = times;
            vec![short(&page.path), page.count.to_string(), p50, p95, p99, max, mark.to_owned()]
        });
        let Events { rate, sent, accepted, finished, took, .. } = &self.events;
        let mut lines = vec![
            table(&["page", "count#", "p50 ms#", "p95 ms#", "p99 ms#", "max ms#", ""], rows),
            String::new(),
            format!(
                "{} records in {}, filled in {:.0} s; {:.0} s on {} CPUs",
                text::count(self.records),
                self.database,
                self.fill_seconds,
                self.seconds,
                self.cpus
            ),
            format!(
                "  events  {rate}/s: {sent} sent, {accepted} accepted, {finished} finished; accepted in {:.1} ms (p50), \
                 {:.1} ms (p95), {:.1} ms (p99)",
                took.p50_ms, took.p95_ms, took.p99_ms
            ),
        ];
        lines.extend(self.events.refusal.as_ref().map(|refusal| format!("  refused {refusal}")));
        let word = if self.held { "held" } else { "not held" };
        lines.push(format!(
            "  pages   {} addresses; the slowest 95th percentile is {:.0} ms, the bound {:.0} ms: {word}",
            self.pages.len(),
            self.slowest_ms,
            self.bound_ms
        ));
        lines
    }
}

/// A path that fits on a line.
fn short(path: &str) -> String {
    const LONGEST: usize = 84;
    if path.chars().count() <= LONGEST {
        path.to_owned()
    } else {
        path.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let took = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(Times::of(took), Times { p50_ms: 100.0, p95_ms: 190.0, p99_ms: 198.0, max_ms: 200.0 });
        assert_eq!(Times::of(vec![Duration::from_millis(7)]).p95_ms, 7.0);
        assert_eq!(Times::of(Vec::new()), Times::default());
    }
}
