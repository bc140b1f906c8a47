//! The whole in numbers, for the overview and for the stream that keeps it alive: both say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use super::health::Health;
use super::shown;
use crate::api::State;
use crate::api::handlers::{queued, state_of};
use crate::api::stats::{by_status, oldest_pending};
use crate::lifecycle::{FinalStatus, Status};
use crate::persist::CountsByLane;
use crate::telemetry::{SLOTS, Span};

/// How long the ledger may think before the numbers are shown without its own.
const PATIENCE: Duration = Duration::from_millis(500);

/// Over how long a rate is taken.
const MINUTE: Duration = Duration::from_secs(60);

/// Over how long shares and times are taken.
const QUARTER: Duration = Duration::from_secs(900);

/// The whole in numbers; without the ledger, what the process knows by itself.
#[derive(Debug)]
pub(super) struct Standing {
    pub health: Health,
    pub counts: Option<CountsByLane>,
    oldest: Option<Duration>,
    /// The last minute, over all nodes.
    minute: Option<Span>,
    /// The last quarter of an hour, over all nodes.
    quarter: Option<Span>,
}

impl Standing {
    /// As it is now.
    pub async fn of(state: &State) -> Self {
        let health = Health::of(state).await;
        let read = async {
            let (now, reads) = (state.pool.clock.now(), state.reads());
            let counts = reads.counts().await?;
            let oldest = oldest_pending(state, now).await?.map(|oldest| now.since(oldest));
            // What runs is not in the ledger yet, and belongs to it.
            let mut spans = [state.pool.metrics.pulse.now(); 2];
            for (span, past) in spans.iter_mut().zip([MINUTE, QUARTER]) {
                let rollups = reads.rollups(now.before(past), now, past).await?;
                rollups.iter().for_each(|rollup| span.add(&rollup.span));
            }
            Ok::<_, sea_orm::DbErr>((counts, oldest, spans))
        };
        match timeout(PATIENCE, read).await {
            Ok(Ok((counts, oldest, [minute, quarter]))) => {
                Self { health, counts: Some(counts), oldest, minute: Some(minute), quarter: Some(quarter) }
            }
            Ok(Err(_)) | Err(_) => Self { health, counts: None, oldest: None, minute: None, quarter: None },
        }
    }

    fn count(&self, which: impl Fn(Status) -> bool) -> String {
        let Some(counts) = &self.counts else { return UNKNOWN.to_owned() };
        shown::number(by_status(counts).into_iter().filter(|(status, _)| which(*status)).map(|(_, n)| n).sum())
    }

    fn rate(&self, of: impl Fn(&Span) -> u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a minute's events fit")]
        let rate = |span: &Span| shown::rate(of(span) as f64 / MINUTE.as_secs_f64());
        self.minute.as_ref().map_or_else(|| UNKNOWN.to_owned(), rate)
    }

    fn quantile(&self, share: f64) -> String {
        let took = self.quarter.as_ref().and_then(|span| span.quantile(share));
        took.map_or_else(|| UNKNOWN.to_owned(), shown::span)
    }

    /// A number of the stream by its name.
    pub fn value(&self, name: &str) -> String {
        match name {
            "health" => self.health.word.to_owned(),
            "accepted_rate" => self.rate(|span| span.accepted),
            "finished_rate" => self.rate(|span| span.finished),
            "failed_rate" => self.rate(|span| span.failed),
            "retried_rate" => self.rate(|span| span.retried),
            "pending" => self.count(|status| status == Status::Pending),
            "in_flight" => self.count(|status| status == Status::Processing),
            "retries" => self.count(|status| status == Status::RetryScheduled),
            "scheduled" => self.count(|status| status == Status::Scheduled),
            "dead_letters" => self.count(|status| status.final_status() == Some(FinalStatus::DeadLetter)),
            "succeeded" => self.count(|status| status == Status::Success),
            "all" => self.count(|_| true),
            "oldest" => match (&self.counts, self.oldest) {
                (Some(_), None) => "none".to_owned(),
                (_, oldest) => oldest.map_or_else(|| UNKNOWN.to_owned(), shown::span),
            },
            "p50" => self.quantile(0.5),
            "p95" => self.quantile(0.95),
            "p99" => self.quantile(0.99),
            _ => UNKNOWN.to_owned(),
        }
    }

    /// Everything that the stream says.
    pub fn values(&self, state: &State) -> BTreeMap<String, String> {
        let mut values: BTreeMap<String, String> =
            NAMES.iter().map(|name| ((*name).to_owned(), self.value(name))).collect();
        for lane in state.pool.lanes() {
            let mut say = |what: &str, value: String| drop(values.insert(format!("lane.{}.{what}", lane.name), value));
            let lately = state.pool.metrics.pulse.of(&lane.name, SLOTS);
            say("state", state_of(lane).as_str().to_owned());
            say("queued", self.depth(&lane.name));
            say("in_flight", lane.in_flight().to_string());
            say("restarts", lane.host.restarts().to_string());
            say("rate", lane_rate(&state.pool.metrics.pulse.of(&lane.name, MINUTE_SLOTS)));
            say("p95", lately.quantile(0.95).map_or_else(|| UNKNOWN.to_owned(), shown::span));
            say("share", share(&lately));
        }
        values
    }

    /// How many events of a lane wait.
    pub fn depth(&self, lane: &str) -> String {
        let Some(counts) = &self.counts else { return UNKNOWN.to_owned() };
        shown::number(queued(lane, counts))
    }
}

/// A minute in slots.
pub(super) const MINUTE_SLOTS: usize = 6;

/// What is shown for what nobody knows.
pub(super) const UNKNOWN: &str = "–";

/// What the stream says of the whole.
const NAMES: [&str; 16] = [
    "health",
    "accepted_rate",
    "finished_rate",
    "failed_rate",
    "retried_rate",
    "pending",
    "in_flight",
    "retries",
    "scheduled",
    "dead_letters",
    "succeeded",
    "all",
    "oldest",
    "p50",
    "p95",
    "p99",
];

/// How many of a lane's events came to an end a second.
pub(super) fn lane_rate(minute: &Span) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a minute's events fit")]
    shown::rate(minute.finished as f64 / MINUTE.as_secs_f64())
}

/// Which share of a lane's events ended well.
pub(super) fn share(lately: &Span) -> String {
    if lately.finished == 0 {
        return UNKNOWN.to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a quarter's events fit")]
    let share = 100.0 * (lately.finished - lately.failed) as f64 / lately.finished as f64;
    // Not all is not all, however close it comes.
    if lately.failed > 0 { format!("{:.1} %", share.min(99.9)) } else { "100 %".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_only_whole_if_nothing_failed() {
        let span = |finished, failed| Span { finished, failed, ..Span::default() };
        assert_eq!([span(0, 0), span(4, 0), span(4, 1)].map(|span| share(&span)), ["–", "100 %", "75.0 %"]);
        assert_eq!(share(&span(1_000_000, 1)), "99.9 %");
    }
}
