//! What an operator has to know at once: a line in the log with the field `alert`, and a counter.

use uuid::Uuid;

use crate::lifecycle::Status;
use crate::telemetry::Metrics;

/// An event was given up and waits for an operator.
pub(crate) fn dead_letter(metrics: &Metrics, record: Uuid, handler: &str, reason: Status, error: Option<&str>) {
    raise(metrics, "dead_letter");
    metrics.dead_letters.with_label_values(&[handler, reason.as_str()]).inc();
    let reason = reason.as_str();
    tracing::warn!(alert = "dead_letter", record = %record, handler, reason, error, "an event was given up");
}

/// Something arrived that is no event, or not one that anybody could handle.
pub(crate) fn invalid(metrics: &Metrics, record: Uuid, event_type: &str, error: Option<&str>) {
    raise(metrics, "invalid");
    tracing::warn!(alert = "invalid", record = %record, event_type, error, "an invalid event arrived");
}

/// A handler cannot do its work.
pub(crate) fn handler_down(metrics: &Metrics, handler: &str, error: &str) {
    raise(metrics, "handler_down");
    tracing::warn!(alert = "handler_down", handler, error, "a handler is down");
}

/// An event cannot be put out of hand: the database refuses the write.
pub(crate) fn stuck(metrics: &Metrics, record: Uuid, error: &str) {
    raise(metrics, "stuck");
    tracing::warn!(alert = "stuck", record = %record, error, "an event cannot be taken over; look at its row");
}

fn raise(metrics: &Metrics, alert: &str) {
    metrics.alerts.with_label_values(&[alert]).inc();
}
