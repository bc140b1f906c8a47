//! The instruments, one registry an engine. Labels come only from closed sets: statuses, outcomes, names of handlers,
//! route patterns; never from ids, unknown types or raw paths.

use std::sync::Arc;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::Pulse;
use crate::bus::PublishError;

const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

/// All instruments of one engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Instruments>);

/// The instruments by name.
#[derive(Debug)]
pub struct Instruments {
    registry: Registry,
    /// What happened lately.
    pub pulse: Pulse,
    /// Events that came to a status, by status.
    pub events: IntCounterVec,
    /// Records that stand in a status now.
    pub records: IntGaugeVec,
    /// Attempts that ended, by handler and how.
    pub attempts: IntCounterVec,
    /// Retries scheduled, by handler.
    pub retries: IntCounterVec,
    /// Events that became dead letters, by handler and why.
    pub dead_letters: IntCounterVec,
    /// Incidents that operators were alerted of, by kind.
    pub alerts: IntCounterVec,
    /// Incidents that go on, by kind.
    pub alerts_open: IntGaugeVec,
    /// Tries to post an alert to the webhook, by what became of them.
    pub alert_posts: IntCounterVec,
    /// Messages that a broker delivered and that are settled, by what they were.
    pub deliveries: IntCounterVec,
    /// Messages that were to be published, by where to and what became of them.
    pub publishes: IntCounterVec,
    /// From a submission to its durable answer.
    pub accept_seconds: Histogram,
    /// The handler's own time, by handler.
    pub handler_seconds: HistogramVec,
    /// From acceptance to the final status, by handler.
    pub end_to_end_seconds: HistogramVec,
    /// Events that wait in a lane, in memory and in the ledger.
    pub lane_depth: IntGaugeVec,
    /// Attempts that run, by handler.
    pub in_flight: IntGaugeVec,
    /// Commands in one commit of the ledger.
    pub commit_commands: Histogram,
    /// How long one commit takes.
    pub commit_seconds: Histogram,
    /// Commits that failed and were tried again, by what failed.
    pub commit_failures: IntCounterVec,
    /// Actors built again, by kind of actor.
    pub actor_restarts: IntCounterVec,
    /// Age of the oldest event that waits and is due.
    pub oldest_pending_seconds: prometheus::Gauge,
    /// Requests answered, by route pattern, method and status code.
    pub http_requests: IntCounterVec,
    /// How long requests take, by route pattern.
    pub http_seconds: HistogramVec,
    /// Pools of connections that read, replaced because none of them came back.
    pub reader_pools_replaced: IntCounter,
    /// 1 while the ledger cannot be written.
    pub ledger_unavailable: IntGauge,
    /// 1 while this node holds its lease: handlers may start.
    pub lease_held: IntGauge,
    /// Times that this node was fenced by others.
    pub fenced: IntCounter,
    /// Events taken over from nodes that are gone, by what became of them.
    pub takeovers: IntCounterVec,
}

impl std::ops::Deref for Metrics {
    type Target = Instruments;

    fn deref(&self) -> &Instruments {
        &self.0
    }
}

impl Metrics {
    /// A registry of its own with every instrument in it.
    ///
    /// # Errors
    /// Two instruments of one name, which a test would have shown.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let with = Register(&registry);
        with.build_info()?;
        let metrics = Self(Arc::new(Instruments {
            pulse: Pulse::default(),
            events: with.counters("evenkeel_events_total", "Events that came to a status.", &["status"])?,
            records: with.gauges("evenkeel_records", "Records that stand in a status now.", &["status"])?,
            attempts: with.counters("evenkeel_attempts_total", "Attempts that ended.", &["handler", "outcome"])?,
            retries: with.counters("evenkeel_retries_total", "Retries scheduled.", &["handler"])?,
            dead_letters: with.counters("evenkeel_dead_letters_total", "Dead letters.", &["handler", "reason"])?,
            alerts: with.counters("evenkeel_alerts_total", "Incidents that alerts were raised for.", &["alert"])?,
            alerts_open: with.gauges("evenkeel_alerts_open", "Incidents that go on.", &["alert"])?,
            alert_posts: with.counters("evenkeel_alert_posts_total", "Tries to post an alert.", &["outcome"])?,
            deliveries: with.counters(
                "evenkeel_deliveries_total",
                "Messages of a broker that are settled.",
                &["outcome"],
            )?,
            publishes: with.counters(
                "evenkeel_publishes_total",
                "Messages that were to be published.",
                &["destination", "outcome"],
            )?,
            accept_seconds: with.histogram("evenkeel_accept_seconds", "From a submission to its answer.", &SECONDS)?,
            handler_seconds: with.histograms("evenkeel_handler_seconds", "The handler's own time.", "handler")?,
            end_to_end_seconds: with.histograms(
                "evenkeel_end_to_end_seconds",
                "From acceptance to the final status.",
                "handler",
            )?,
            lane_depth: with.gauges("evenkeel_lane_depth", "Events that wait in a lane.", &["handler"])?,
            in_flight: with.gauges("evenkeel_in_flight", "Attempts that run.", &["handler"])?,
            commit_commands: with.histogram(
                "evenkeel_commit_commands",
                "Commands in one commit of the ledger.",
                &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0],
            )?,
            commit_seconds: with.histogram("evenkeel_commit_seconds", "How long one commit takes.", &SECONDS)?,
            commit_failures: with.counters(
                "evenkeel_commit_failures_total",
                "Commits that failed and were tried again.",
                &["fault"],
            )?,
            actor_restarts: with.counters("evenkeel_actor_restarts_total", "Actors built again.", &["actor"])?,
            oldest_pending_seconds: with.gauge("evenkeel_oldest_pending_seconds", "Age of the oldest due event.")?,
            http_requests: with.counters(
                "evenkeel_http_requests_total",
                "Requests answered.",
                &["route", "method", "status"],
            )?,
            http_seconds: with.histograms("evenkeel_http_seconds", "How long requests take.", "route")?,
            reader_pools_replaced: with.counter(
                "evenkeel_reader_pools_replaced_total",
                "Pools of connections that read, replaced because none of them came back.",
            )?,
            ledger_unavailable: with.int_gauge("evenkeel_ledger_unavailable", "1 while nothing can be written.")?,
            lease_held: with.int_gauge("evenkeel_lease_held", "1 while handlers may start.")?,
            fenced: with.counter("evenkeel_fenced_total", "Times that this node was fenced by others.")?,
            takeovers: with.counters(
                "evenkeel_takeovers_total",
                "Events taken over from nodes that are gone.",
                &["status"],
            )?,
            registry,
        }));
        metrics.begin_at_nothing();
        Ok(metrics)
    }

    /// Rules ask what was added to a counter: one that first appears as 1 has had nothing added.
    fn begin_at_nothing(&self) {
        for destination in ["events", "dead_letters"] {
            for outcome in ["confirmed", "away", "refused", "unknown"] {
                self.0.publishes.with_label_values(&[destination, outcome]);
            }
        }
        for fault in ["away", "unknown", "moved", "refused"] {
            self.0.commit_failures.with_label_values(&[fault]);
        }
    }

    /// Counts messages that were to be published.
    pub(crate) fn published(&self, destination: &str, result: &Result<(), PublishError>, messages: u64) {
        let outcome = match result {
            Ok(()) => "confirmed",
            Err(PublishError::Away(_)) => "away",
            Err(PublishError::Refused(_) | PublishError::TooLarge(_)) => "refused",
            Err(PublishError::Unknown(_)) => "unknown",
        };
        self.0.publishes.with_label_values(&[destination, outcome]).inc_by(messages);
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// The encoder's.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        Ok(text)
    }
}

struct Register<'a>(&'a Registry);

type Registered<T> = Result<T, prometheus::Error>;

impl Register<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, collector: C) -> Registered<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn build_info(&self) -> Registered<()> {
        let opts = Opts::new("evenkeel_build_info", "The version that runs; always 1.");
        let info = self.add(IntGaugeVec::new(opts, &["version"])?)?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(())
    }

    fn counter(&self, name: &str, help: &str) -> Registered<IntCounter> {
        self.add(IntCounter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Registered<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Registered<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Registered<prometheus::Gauge> {
        self.add(prometheus::Gauge::new(name, help)?)
    }

    fn int_gauge(&self, name: &str, help: &str) -> Registered<IntGauge> {
        self.add(IntGauge::new(name, help)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Registered<Histogram> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    fn histograms(&self, name: &str, help: &str, label: &str) -> Registered<HistogramVec> {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), &[label])?)
    }
}
