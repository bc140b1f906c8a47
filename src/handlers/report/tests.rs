//! One request in several attempts: what they leave on disk and in the ledger, beside a real engine.

use std::path::Path;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::clock::Clock;
use crate::dead_letter::Operator;
use crate::event::{Event, NewEvent};
use crate::handle::{Emitter, Kind};
use crate::handlers::webhook::sample;
use crate::lifecycle::Status;
use crate::{Config, Engine};

/// An engine that takes the events of finished reports, and what a handler beside it needs.
struct Desk {
    engine: Engine,
    means: Means,
    folder: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.database.url = format!("sqlite://{}", folder.path().join("evenkeel.db").display());
        let seen = |_: Event<Payload>| async { Ok(()) };
        let engine = Engine::builder().config(config).handler_fn(FINISHED, seen).start().await.unwrap();
        let (deps, emitter) = (engine.api(), Emitter::default());
        emitter.emit_to(deps.intake.for_handlers());
        let means = Means { clock: Clock::default(), persist: deps.pool.persist.clone(), emitter };
        Self { engine, means, folder }
    }

    fn options(&self) -> Options {
        Options { directory: self.folder.path().join("reports"), formats: vec![Format::Csv, Format::Html] }
    }

    /// One attempt at a request.
    async fn attempt(&self, record_id: Uuid, number: u32, data: &str) -> Result<(), HandlerError> {
        let delivery = self.delivery(record_id, number, data);
        make(Arc::new(self.options()), self.means.clone(), delivery).await
    }

    fn delivery(&self, record_id: Uuid, number: u32, data: &str) -> Deliver<Payload> {
        let Deliver { event, attempt } = sample::delivery(Payload::json(data.to_owned()));
        Deliver { event, attempt: Attempt { id: self.means.clock.new_id(), record_id, number, ..attempt } }
    }

    fn files(&self) -> Vec<String> {
        files(&self.folder.path().join("reports"))
    }
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[actix::test]
async fn a_second_attempt_writes_the_report_anew_and_its_event_is_a_duplicate() {
    let desk = Desk::new().await;
    let later = chrono::DateTime::parse_from_rfc3339("2999-01-01T00:00:00Z").unwrap();
    let event = NewEvent::new(FINISHED, &1).unwrap().deliver_at(later);
    let scheduled = desk.engine.submit(event).await.unwrap().id;
    let (record_id, data) = (desk.means.clock.new_id(), r#"{"name":"waiting","filter":{"status":"SCHEDULED"}}"#);
    desk.attempt(record_id, 1, data).await.unwrap();
    // The ledger moves on between the attempts, so that the second has other rows to show.
    let operator = Operator { name: "test".to_owned(), reason: None };
    desk.engine.cancel(scheduled, &operator).await.unwrap();
    desk.attempt(record_id, 2, data).await.unwrap();

    assert_eq!(desk.files(), ["waiting.csv", "waiting.html"]);
    let csv = std::fs::read_to_string(desk.folder.path().join("reports/waiting.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1, "{csv}");
    let records = desk.engine.reads().list(&Default::default(), None, 10).await.unwrap();
    let told: Vec<(Status, &Value)> = records
        .iter()
        .filter(|told| told.id != scheduled)
        .map(|told| (told.status, &told.extensions["rows"]))
        .collect();
    let (second, first) = (&told[0], &told[1]);
    assert_eq!((told.len(), second.0, second.1, first.1), (2, Status::Duplicate, &Value::from(0), &Value::from(1)));
    let first = desk.engine.settled(records[1].id).await.unwrap();
    assert_eq!((first.status, first.event_id), (Status::Success, record_id.to_string()));
    desk.engine.shutdown().await.unwrap();
}

#[actix::test]
async fn an_attempt_that_is_given_up_leaves_nothing_behind() {
    let desk = Desk::new().await;
    {
        let attempt = desk.attempt(desk.means.clock.new_id(), 1, r#"{"name":"a"}"#);
        let mut attempt = std::pin::pin!(attempt);
        // Step by step, until its files are there.
        while desk.files().is_empty() {
            let step = futures_util::poll!(&mut attempt);
            assert!(matches!(step, Poll::Pending), "it ended: {step:?}");
            tokio::task::yield_now().await;
        }
        assert!(
            desk.files().iter().all(|name| name.starts_with(".a.") && name.ends_with(".tmp")),
            "{:?}",
            desk.files()
        );
    }
    let gone = async {
        while !desk.files().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    assert!(desk.engine.reads().list(&Default::default(), None, 1).await.unwrap().is_empty());
    desk.engine.shutdown().await.unwrap();
}

#[actix::test]
async fn what_a_killed_process_left_is_never_a_report_and_goes_with_the_next_attempt() {
    let desk = Desk::new().await;
    let record_id = desk.means.clock.new_id();
    let plan = {
        let Deliver { event, attempt } = desk.delivery(record_id, 1, r#"{"name":"a","rows":[{"n":1}]}"#);
        plan(&desk.options(), &desk.means, &Request::read(&event.data).unwrap(), &attempt)
    };
    // A process that is killed drops nothing.
    std::mem::forget(Draft::begin(&plan).unwrap());
    assert_eq!(desk.files().len(), 2);
    desk.attempt(record_id, 2, r#"{"name":"a","rows":[{"n":2}]}"#).await.unwrap();
    assert_eq!(desk.files(), ["a.csv", "a.html"]);
    desk.engine.shutdown().await.unwrap();
}

#[actix::test]
async fn a_finished_report_asks_for_none() {
    let desk = Desk::new().await;
    let mut delivery = desk.delivery(desk.means.clock.new_id(), 1, r#"{"name":"a"}"#);
    delivery.event.event_type = FINISHED.to_owned();
    let refused = Report::new(desk.options(), desk.means.clone()).start().send(delivery).await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(desk.files().is_empty());
    desk.engine.shutdown().await.unwrap();
}

#[actix::test]
async fn a_report_that_nobody_can_be_told_of_is_tried_again() {
    let desk = Desk::new().await;
    let deaf = Means { emitter: Emitter::default(), ..desk.means.clone() };
    let delivery = desk.delivery(desk.means.clock.new_id(), 1, r#"{"name":"a","rows":[]}"#);
    let error = make(Arc::new(desk.options()), deaf, delivery).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Retry, "no engine takes events at present"));
    desk.engine.shutdown().await.unwrap();
}

#[actix::test]
async fn a_report_whose_page_finds_its_place_taken_replaces_no_file() {
    let desk = Desk::new().await;
    let record_id = desk.means.clock.new_id();
    desk.attempt(record_id, 1, r#"{"name":"a","rows":[{"n":"old"}]}"#).await.unwrap();
    let (csv, page) = (desk.options().directory.join("a.csv"), desk.options().directory.join("a.html"));
    let old = std::fs::read_to_string(&csv).unwrap();
    let next = desk.means.clock.new_id();
    let retried = async || {
        let error = desk.attempt(next, 1, r#"{"name":"a","rows":[{"n":"new"}]}"#).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Retry);
        assert_eq!(desk.files(), ["a.csv", "a.html"]);
        assert_eq!(std::fs::read_to_string(&csv).unwrap(), old);
        error.to_string()
    };
    std::fs::remove_file(&page).unwrap();
    std::fs::create_dir(&page).unwrap();
    let says = format!("{} cannot be written; there is a folder of that name; remove or rename it", page.display());
    assert!(retried().await.starts_with(&says));
    std::fs::remove_dir(&page).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&page).unwrap();
    let says = format!("{} cannot be written; remove or rename what has that name: it is no file", page.display());
    assert_eq!(retried().await, says);
    desk.engine.shutdown().await.unwrap();
}

#[actix::test]
async fn a_finished_report_goes_on_with_the_trace_of_its_request() {
    let desk = Desk::new().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut delivery = desk.delivery(desk.means.clock.new_id(), 1, r#"{"name":"a","rows":[]}"#);
    let trace = [("traceparent".to_owned(), parent.into()), ("tracestate".to_owned(), "shop=7".into())];
    delivery.event.extensions.extend(trace);
    make(Arc::new(desk.options()), desk.means.clone(), delivery).await.unwrap();
    let told = desk.engine.reads().list(&Default::default(), None, 1).await.unwrap().remove(0);
    assert_eq!(told.event_type, FINISHED);
    assert_eq!((&told.extensions["traceparent"], &told.extensions["tracestate"]), (&parent.into(), &"shop=7".into()));
    assert!(!told.extensions.contains_key("partitionkey"), "{told:?}");
    desk.engine.shutdown().await.unwrap();
}
