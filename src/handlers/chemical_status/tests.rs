//! The handler against a ledger of its own.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::handle::{Emitter, Kind};
use crate::handlers::webhook::sample;
use crate::persist::{Config, Ledger};
use crate::telemetry::Metrics;

struct Desk {
    means: Means,
    ledger: Ledger,
    folder: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { url: format!("sqlite://{}/l.db", folder.path().display()), ..Config::default() };
        let clock = Clock::manual(sample::NOW);
        let ledger = persist::open(&config, &clock, Metrics::new().unwrap()).await.unwrap();
        let means = Means { clock, persist: ledger.persist.clone(), emitter: Emitter::default() };
        Self { means, ledger, folder }
    }

    /// Delivers data as an event of its own.
    async fn told(&self, data: Value) -> Result<(), HandlerError> {
        let sent = sample::delivery(Payload::json(data.to_string()));
        let attempt = crate::Attempt { record_id: self.means.clock.new_id(), ..sent.attempt };
        self.deliver(Deliver { attempt, ..sent }).await
    }

    async fn deliver(&self, delivery: Deliver<Payload>) -> Result<(), HandlerError> {
        let handler = ChemicalStatus::new(Options::default(), &self.means).start();
        handler.send(delivery).await.unwrap()
    }

    /// Status and name of caffeine, and how long its history is.
    async fn caffeine(&self) -> Option<(String, Option<String>, usize)> {
        let reads = self.means.persist.reads();
        let chemical = reads.chemical("58-08-2").await.unwrap()?;
        Some((chemical.status, chemical.name, reads.chemical_history("58-08-2", 9).await.unwrap().len()))
    }
}

fn caffeine(status: &str, changed_at: &str) -> Value {
    json!({ "cas": "58-08-2", "status": status, "changed_at": changed_at })
}

fn stands(status: &str, name: Option<&str>, changes: usize) -> Option<(String, Option<String>, usize)> {
    Some((status.to_owned(), name.map(ToOwned::to_owned), changes))
}

#[actix::test]
async fn a_change_of_an_unknown_compound_introduces_it() {
    let desk = Desk::new().await;
    assert_eq!(desk.caffeine().await, None);
    let mut change = caffeine("UNDER_REVIEW", "2026-01-05T08:00:00Z");
    change["name"] = json!("caffeine");
    desk.told(change).await.unwrap();
    assert_eq!(desk.caffeine().await, stands("UNDER_REVIEW", Some("caffeine"), 1));
}

#[actix::test]
async fn a_late_arrival_completes_the_history_and_what_is_not_told_stays_known() {
    let desk = Desk::new().await;
    desk.told(caffeine("APPROVED", "2026-01-05T08:00:00Z")).await.unwrap();
    let mut late = caffeine("REGISTERED", "2026-01-01T08:00:00Z");
    late["name"] = json!("caffeine");
    desk.told(late).await.unwrap();
    assert_eq!(desk.caffeine().await, stands("APPROVED", Some("caffeine"), 2));
    desk.told(caffeine("RESTRICTED", "2026-01-05T08:01:00Z")).await.unwrap();
    assert_eq!(desk.caffeine().await, stands("RESTRICTED", Some("caffeine"), 3));
}

#[actix::test]
async fn an_event_that_is_handled_twice_is_one_change() {
    let desk = Desk::new().await;
    let delivery = sample::delivery(Payload::json(caffeine("APPROVED", "2026-01-05T08:00:00Z").to_string()));
    desk.deliver(delivery.clone()).await.unwrap();
    desk.told(caffeine("RESTRICTED", "2026-01-05T08:01:00Z")).await.unwrap();
    desk.means.clock.advance(std::time::Duration::from_secs(1));
    desk.deliver(delivery).await.unwrap();
    assert_eq!(desk.caffeine().await, stands("RESTRICTED", None, 2));
    let history = desk.means.persist.reads().chemical_history("58-08-2", 9).await.unwrap();
    assert_eq!(history[0].recorded_at, sample::NOW);
}

#[actix::test]
async fn a_change_that_is_wrong_is_invalid_and_leaves_nothing() {
    let desk = Desk::new().await;
    let error = desk.told(caffeine("APPROVED", "2026-13-05T08:00:00Z")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().starts_with("`changed_at`: `2026-13-05T08:00:00Z` is no time"), "{error}");
    assert_eq!(desk.caffeine().await, None);
}

#[actix::test]
async fn a_ledger_that_is_closed_is_tried_again_later() {
    let desk = Desk::new().await;
    desk.ledger.persist.close().await.unwrap();
    let error = desk.told(caffeine("APPROVED", "2026-01-05T08:00:00Z")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
}

#[actix::test]
async fn a_change_that_the_database_refuses_is_not_tried_again() {
    let desk = Desk::new().await;
    let database = rusqlite::Connection::open(desk.folder.path().join("l.db")).unwrap();
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON chemical_status BEGIN SELECT RAISE(ABORT, 'not this'); END";
    database.execute_batch(trigger).unwrap();
    let error = desk.told(caffeine("APPROVED", "2026-01-05T08:00:00Z")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permanent);
    assert!(error.to_string().contains("not this"), "{error}");
}

#[test]
fn the_words_of_the_registry_may_be_given_and_other_keys_are_refused() {
    assert_eq!(toml::from_str::<Options>("").unwrap(), Options::default());
    let options: Options = toml::from_str(r#"statuses = ["LISTED"]"#).unwrap();
    assert_eq!(options.statuses, ["LISTED"]);
    assert!(toml::from_str::<Options>(r#"status = ["LISTED"]"#).is_err());
}
