//! What is posted: the body in the form that Standard Webhooks recommends. Pure.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::incident::{Incident, Notice};
use super::post::{Letter, Summary};
use crate::clock::Timestamp;

/// So many incidents are told in a summary.
const MOST_TOLD: usize = 20;

/// An incident, as the API and the webhook show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct View {
    /// The incident's own.
    id: Uuid,
    /// What it is about; the same for an incident of the same kind that comes later, and after a restart.
    #[schema(example = "dead_letter/billing/3f1c9a52d0e7b846")]
    key: String,
    /// What it is.
    #[schema(value_type = String, example = "dead_letter")]
    pub(crate) alert: super::Kind,
    /// How bad it is: `warning` or `critical`.
    severity: &'static str,
    /// `open` or `resolved`.
    pub(crate) state: &'static str,
    /// The name of the node that saw it.
    node: String,
    /// The handler that it is about, if it is about one.
    #[schema(required)]
    pub(crate) handler: Option<String>,
    /// The type of the events that it is about, if they have no handler that matters.
    #[schema(required)]
    event_type: Option<String>,
    /// The fingerprint of the error: of dead letters, the one of their group.
    #[schema(required)]
    pub(crate) fingerprint: Option<String>,
    /// What went wrong, without the values in it.
    pub(crate) title: String,
    /// The last error as it was.
    #[schema(required)]
    pub(crate) error: Option<String>,
    /// The record of the last event.
    #[schema(required)]
    record: Option<Uuid>,
    /// How many events it is about; 1 for a state.
    pub(crate) count: u64,
    /// When it began.
    first_seen: Timestamp,
    /// When it was last seen.
    pub(crate) last_seen: Timestamp,
    /// When it was over.
    #[schema(required)]
    resolved_at: Option<Timestamp>,
}

impl View {
    pub(super) fn of(incident: &Incident, node: &str) -> Self {
        let subject = incident.key.subject.clone();
        let (handler, event_type) =
            if incident.key.kind == super::Kind::Invalid { (None, subject) } else { (subject, None) };
        Self {
            id: incident.id,
            key: incident.key.to_string(),
            alert: incident.key.kind,
            severity: incident.key.kind.severity().as_str(),
            state: if incident.is_open() { "open" } else { "resolved" },
            node: node.to_owned(),
            handler,
            event_type,
            fingerprint: incident.key.fingerprint.clone(),
            title: incident.title.clone(),
            error: incident.error.clone(),
            record: incident.record,
            count: incident.count,
            first_seen: incident.first_seen,
            last_seen: incident.last_seen,
            resolved_at: incident.resolved_at,
        }
    }
}

/// Many in one.
#[derive(Serialize)]
struct Many {
    raised: u64,
    reminders: u64,
    resolved: u64,
    incidents: Vec<View>,
}

/// A test.
#[derive(Serialize)]
struct Test<'a> {
    node: &'a str,
    operator: &'a str,
}

#[derive(Serialize)]
struct Body<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: Timestamp,
    data: T,
}

/// The body of a letter.
pub(super) fn body(letter: &Letter, node: &str, now: Timestamp) -> Vec<u8> {
    match letter {
        Letter::One(Notice { word, incident }) => {
            written(&format!("evenkeel.alert.{}", word.as_str()), now, View::of(incident, node))
        }
        Letter::Summary(summary) => {
            let Summary { raised, reminders, resolved, .. } = *summary;
            // What goes on matters more than what is over.
            let mut told: Vec<&Incident> = summary.incidents.iter().collect();
            told.sort_by_key(|incident| !incident.is_open());
            let incidents = told.into_iter().take(MOST_TOLD).map(|incident| View::of(incident, node)).collect();
            written("evenkeel.alert.summary", now, Many { raised, reminders, resolved, incidents })
        }
    }
}

/// The body of a test.
pub(super) fn test(node: &str, operator: &str, now: Timestamp) -> Vec<u8> {
    written("evenkeel.alert.test", now, Test { node, operator })
}

fn written(kind: &str, timestamp: Timestamp, data: impl Serialize) -> Vec<u8> {
    // Texts, numbers and times only: they cannot fail to be JSON.
    serde_json::to_vec(&Body { kind, timestamp, data }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::alert::incident::{Key, Word};
    use crate::alert::kind::Kind;

    const NOW: Timestamp = Timestamp(1_767_600_140_000_000);

    fn incident(n: u128, is_open: bool) -> Incident {
        Incident {
            id: Uuid::from_u128(n),
            key: Key { kind: Kind::DeadLetter, subject: Some("billing".into()), fingerprint: Some("3f1c".into()) },
            title: "order <number> not found".into(),
            error: Some("order 4711 not found".into()),
            record: Some(Uuid::from_u128(7)),
            count: 3,
            first_seen: NOW,
            last_seen: NOW,
            resolved_at: (!is_open).then_some(NOW),
            told: (NOW, 3),
        }
    }

    #[test]
    fn a_notice_is_an_event_with_its_incident() {
        let letter = Letter::One(Notice { word: Word::Raised, incident: incident(1, true) });
        let body: Value = serde_json::from_slice(&body(&letter, "web/1", NOW)).unwrap();
        let (id, record) = (Uuid::from_u128(1), Uuid::from_u128(7));
        let data = serde_json::json!({
            "id": id, "key": "dead_letter/billing/3f1c", "alert": "dead_letter", "severity": "warning", "state": "open",
            "node": "web/1", "handler": "billing", "event_type": null, "fingerprint": "3f1c",
            "title": "order <number> not found", "error": "order 4711 not found", "record": record, "count": 3,
            "first_seen": NOW, "last_seen": NOW, "resolved_at": null,
        });
        let timestamp = "2026-01-05T08:02:20.000000Z";
        assert_eq!(body, serde_json::json!({ "type": "evenkeel.alert.raised", "timestamp": timestamp, "data": data }));
    }

    #[test]
    fn a_summary_tells_first_what_goes_on_and_not_of_all() {
        let incidents = (0..30).map(|n| incident(n, n >= 25)).collect();
        let letter = Letter::Summary(Summary { raised: 30, reminders: 0, resolved: 25, incidents });
        let body: Value = serde_json::from_slice(&body(&letter, "web/1", NOW)).unwrap();
        assert_eq!((&body["type"], &body["data"]["raised"]), (&"evenkeel.alert.summary".into(), &30.into()));
        let told = body["data"]["incidents"].as_array().unwrap();
        assert_eq!(told.len(), MOST_TOLD);
        assert!(told[..5].iter().all(|incident| incident["state"] == "open"));
    }
}
