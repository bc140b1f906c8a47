//! The report handler, bound in the configuration: what it writes, what it refuses, and what an operator has to mend.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::prelude::*;
use evenkeel::engine::Builder;
use evenkeel::handle;
use evenkeel::lifecycle::{AttemptStatus, FinalStatus, Status};
use evenkeel::{Deliver, Engine, Event, HandlerError, NewEvent, Payload};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::bad_start::{files, refusal};
use crate::harness::{Place, attempts, on_each_ledger, settled, standing_clock, stop, until};
use crate::process::{Node, configure, run};

/// Tells the test of every report that is finished.
struct Reader(mpsc::UnboundedSender<Event<Value>>);

impl Actor for Reader {
    type Context = Context<Self>;
}

impl Handler<Deliver<Value>> for Reader {
    type Result = Result<(), HandlerError>;

    fn handle(&mut self, delivery: Deliver<Value>, _: &mut Self::Context) -> Self::Result {
        self.0.send(delivery.event)?;
        Ok(())
    }
}

fn directory(place: &Place) -> PathBuf {
    place.path().join("reports")
}

/// An engine that puts its reports into this directory, and what is heard of them.
fn engine(place: &Place, directory: &Path) -> (Builder, mpsc::UnboundedReceiver<Event<Value>>) {
    let mut config = place.config();
    let options = [("directory".to_owned(), directory.display().to_string().into())];
    let types = ["report.daily", "report.rows"].map(str::to_owned).to_vec();
    let (name, kind) = ("reports".to_owned(), "report".to_owned());
    config.handler =
        vec![handle::Config { name, kind, types, options: options.into_iter().collect(), ..Default::default() }];
    let (finished, reader) = mpsc::unbounded_channel();
    let builder = Engine::builder().config(config);
    (builder.handler_actor("report.finished", move || Reader(finished.clone())), reader)
}

/// Waits for the event of a finished report, and for the end of its handling.
async fn heard(engine: &Engine, finished: &mut mpsc::UnboundedReceiver<Event<Value>>) -> Event<Value> {
    let event = finished.recv().await.unwrap();
    let holders = engine.reads().holders(&event.id, Some(&event.source)).await.unwrap();
    assert_eq!(settled(engine, holders[0].1).await.status, Status::Success);
    event
}

fn request(data: &Value) -> NewEvent {
    NewEvent::new("report.daily", data).unwrap()
}

/// The lines of a CSV file, each by the names of its columns.
fn lines(path: &Path) -> Vec<Value> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let lines = reader.deserialize::<std::collections::BTreeMap<String, String>>();
    lines.map(|line| serde_json::to_value(line.unwrap()).unwrap()).collect()
}

async fn succeed(_: Event<Payload>) -> Result<(), HandlerError> {
    Ok(())
}

on_each_ledger!(a_report_shows_each_event_of_its_period_once_and_its_end_is_an_event);
async fn a_report_shows_each_event_of_its_period_once_and_its_end_is_an_event(place: Place) {
    let (builder, mut finished) = engine(&place, &directory(&place));
    let engine = builder.handler_fn("order.*", succeed).start().await.unwrap();
    // Gives the moment at which the first of them was accepted.
    let send = async |count: usize, prefix: &str| {
        let events = (0..count).map(|n| NewEvent::new("order.paid", &n).unwrap().id(format!("{prefix}{n}")));
        let mut records = Vec::new();
        for accepted in engine.submit_all(events.collect()).await.unwrap() {
            records.push(settled(&engine, accepted.unwrap().id).await);
        }
        records[0].created_at
    };
    send(3, "before").await;
    // More than two pages of reading.
    let since = send(1_200, "in").await;
    let until = send(3, "after").await;

    let data = json!({ "name": "daily", "title": "Orders", "since": since, "until": until, "filter": { "type": "order.paid" } });
    let id = engine.submit(request(&data)).await.unwrap().id;
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    let told = heard(&engine, &mut finished).await;
    assert_eq!(
        (told.id, told.source, told.subject),
        (id.to_string(), "/handlers/reports".to_owned(), Some("daily".to_owned()))
    );
    assert_eq!(told.data, json!({ "name": "daily", "title": "Orders", "since": since, "until": until }));
    assert_eq!((&told.extensions["rows"], &told.extensions["formats"]), (&json!(1_200), &json!("csv,html")));

    assert_eq!(files(&directory(&place)), ["daily.csv", "daily.html"]);
    let lines = lines(&directory(&place).join("daily.csv"));
    let ids: Vec<&str> = lines.iter().map(|line| line["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids, (0..1_200).map(|n| format!("in{n}")).collect::<Vec<_>>(), "oldest first");
    assert!(lines.iter().all(|line| line["status"] == "SUCCESS" && line["type"] == "order.paid"));
    let page = std::fs::read_to_string(directory(&place).join("daily.html")).unwrap();
    assert!(page.contains("<h1>Orders</h1>") && page.contains("<b>1200</b> SUCCESS"), "{}", &page[..2_000]);
    assert_eq!(page.matches("<tr>").count(), 1_201);
    stop(engine).await;
}

on_each_ledger!(without_a_period_it_is_all_that_was_accepted_before_the_request);
async fn without_a_period_it_is_all_that_was_accepted_before_the_request(place: Place) {
    let (builder, mut finished) = engine(&place, &directory(&place));
    let engine = builder.handler_fn("order.*", succeed).start().await.unwrap();
    let order = || NewEvent::new("order.paid", &1).unwrap();
    let data = json!({ "name": "all", "columns": ["event_id"], "formats": ["csv"] });
    let events = vec![order().id("1"), order().id("2"), request(&data), order().id("3")];
    let accepted = engine.submit_all(events).await.unwrap();
    for accepted in accepted {
        settled(&engine, accepted.unwrap().id).await;
    }
    heard(&engine, &mut finished).await;
    assert_eq!(files(&directory(&place)), ["all.csv"]);
    assert_eq!(lines(&directory(&place).join("all.csv")), [json!({ "event_id": "1" }), json!({ "event_id": "2" })]);
    stop(engine).await;
}

on_each_ledger!(rows_of_the_payload_are_shown_under_their_own_names);
async fn rows_of_the_payload_are_shown_under_their_own_names(place: Place) {
    let (builder, mut finished) = engine(&place, &directory(&place));
    let engine = builder.start().await.unwrap();
    let rows = json!([{ "who": "=cmd|'/c calc'!A1", "cents": -5 }, { "who": "<b>Ada</b>", "cents": null }]);
    let data = json!({ "name": "rows", "rows": rows });
    let id = engine.submit(NewEvent::new("report.rows", &data).unwrap()).await.unwrap().id;
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    assert_eq!(heard(&engine, &mut finished).await.extensions["rows"], json!(2));
    let csv = std::fs::read_to_string(directory(&place).join("rows.csv")).unwrap();
    // The members of an event that was made with serde_json come in the order of its map.
    assert_eq!(csv, "cents,who\r\n-5,'=cmd|'/c calc'!A1\r\n,<b>Ada</b>\r\n");
    let page = std::fs::read_to_string(directory(&place).join("rows.html")).unwrap();
    assert!(page.contains("<td>&#60;b&#62;Ada&#60;/b&#62;</td>") && !page.contains("<b>Ada"), "{page}");
    stop(engine).await;
}

on_each_ledger!(numbers_are_shown_as_they_were_sent);
async fn numbers_are_shown_as_they_were_sent(place: Place) {
    let (builder, mut finished) = engine(&place, &directory(&place));
    let engine = builder.start().await.unwrap();
    let numbers = ["12345678901234567890123", "1.10", "1e2", "0.1000000000000000055511151231257827", "-0.0"];
    let lists: String = numbers.map(|number| format!("[{number}],")).concat();
    let rows = format!(r#"{lists}{{"n":7.50}},[[1.10]]"#);
    let data = format!(r#"{{"name":"numbers","columns":["n"],"rows":[{rows}]}}"#);
    let event = NewEvent::raw("report.rows", Payload::json(data));
    let id = engine.submit(event).await.unwrap().id;
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    heard(&engine, &mut finished).await;
    let shown = [&numbers[..], &["7.50", "[1.10]"]].concat();
    let csv = std::fs::read_to_string(directory(&place).join("numbers.csv")).unwrap();
    assert_eq!(csv.lines().skip(1).collect::<Vec<_>>(), shown);
    let page = std::fs::read_to_string(directory(&place).join("numbers.html")).unwrap();
    for number in shown {
        assert!(page.contains(&format!(">{number}</td>")), "{number} in {page}");
    }
    stop(engine).await;
}

on_each_ledger!(a_name_that_leads_elsewhere_is_invalid_and_writes_nothing);
async fn a_name_that_leads_elsewhere_is_invalid_and_writes_nothing(place: Place) {
    let (builder, mut finished) = engine(&place, &directory(&place));
    let engine = builder.start().await.unwrap();
    let outside = place.path().join("x");
    for name in ["../../x", "../x", "..", ".x", "a/../../x", "/tmp/x", "a\0b", outside.to_str().unwrap(), ""] {
        let id = engine.submit(request(&json!({ "name": name, "rows": [] }))).await.unwrap().id;
        let record = settled(&engine, id).await;
        assert_eq!((record.status, record.final_status), (Status::Invalid, Some(FinalStatus::Failed)), "{name}");
        assert!(record.error.as_deref().unwrap().starts_with("`name` "), "{record:?}");
        assert_eq!(attempts(&engine, id).await, [AttemptStatus::Failed], "{name}");
    }
    let around = files(place.path());
    assert!(around.iter().all(|name| name.starts_with("evenkeel.db")), "{around:?}");
    assert!(finished.try_recv().is_err());
    stop(engine).await;
}

on_each_ledger!(a_directory_that_cannot_be_written_is_tried_again_until_it_can);
async fn a_directory_that_cannot_be_written_is_tried_again_until_it_can(place: Place) {
    let clock = standing_clock();
    // Nobody can make a folder below a file, whoever runs the tests.
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (builder, mut finished) = engine(&place, &file.join("reports"));
    let engine = builder.clock(clock.clone()).start().await.unwrap();
    let id = engine.submit(request(&json!({ "name": "a", "rows": [] }))).await.unwrap().id;
    let failed = until(&engine, id, Status::RetryScheduled).await;
    let error = failed.record.error.unwrap();
    let says = format!("{} cannot be written; `directory` has to be a folder: ", file.join("reports").display());
    assert!(error.starts_with(&says), "{error}");

    std::fs::remove_file(&file).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(settled(&engine, id).await.status, Status::Success);
    assert_eq!(attempts(&engine, id).await, [AttemptStatus::Failed, AttemptStatus::Success]);
    heard(&engine, &mut finished).await;
    assert_eq!(files(&file.join("reports")), ["a.csv", "a.html"]);
    stop(engine).await;
}

const REPORTS: &str = "[[handler]]\nname = \"reports\"\nkind = \"report\"\ndirectory = \"reports\"\n";

on_each_ledger!(a_report_that_finds_no_room_leaves_the_old_one_and_comes_when_there_is);
async fn a_report_that_finds_no_room_leaves_the_old_one_and_comes_when_there_is(place: Place) {
    let retry = "retry = { max_retries = 100, initial_delay = \"2s\", multiplier = 1.0 }";
    configure(&place, &format!("{REPORTS}types = [\"report.daily\"]\n{retry}\n"));
    let mut node = Node::serve_limitable(&place).await;
    let submit = async |data: Value| node.submit(&json!({ "type": "report.daily", "data": data })).await;
    let old = submit(json!({ "name": "daily", "columns": ["a"], "rows": [[1]] })).await;
    node.until(&old, "SUCCESS").await;
    let page = place.path().join("reports/daily.html");
    let small = std::fs::read_to_string(&page).unwrap();

    // No file may be larger than 2 MiB: what a full disk answers to the report is answered to it, and to nothing else.
    node.process.limit_files(Some(2 << 20));
    let columns: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    let large = submit(json!({ "name": "daily", "columns": columns, "rows": vec![json!({}); 5_000] })).await;
    let record = node.until(&large, "RETRY_SCHEDULED").await;
    let error = record["error"].as_str().unwrap();
    let says =
        "reports/daily.html cannot be written; make room there, or give `directory` another place: File too large";
    assert!(error.starts_with(says), "{error}");
    assert_eq!(files(&place.path().join("reports")), ["daily.csv", "daily.html"]);
    assert_eq!(std::fs::read_to_string(&page).unwrap(), small);

    node.process.limit_files(None);
    node.until(&large, "SUCCESS").await;
    assert_eq!(files(&place.path().join("reports")), ["daily.csv", "daily.html"]);
    assert!(std::fs::metadata(&page).unwrap().len() > 2 << 20);
    assert!(node.terminate().await.success());
}

on_each_ledger!(a_handler_that_would_report_its_own_reports_is_refused_and_nothing_is_made);
async fn a_handler_that_would_report_its_own_reports_is_refused_and_nothing_is_made(place: Place) {
    for pattern in ["report.*", "*", "report.finished"] {
        configure(&place, &format!("{REPORTS}types = [\"{pattern}\"]\n"));
        for command in ["check", "serve"] {
            let text = refusal(&place, &[command, "--config", "config.toml"]).await;
            let says = "handler `reports`: `types` takes `report.finished`, which this handler sends itself";
            assert!(text.contains(says), "{text}");
        }
    }
    let log = "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"report.finished\"]\n";
    configure(&place, &format!("{REPORTS}types = [\"report.*\"]\n{log}"));
    let (code, out, err) = run(place.path(), &["check", "--config", "config.toml"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("good, with 2 handlers"), "{out}");
    assert_eq!(files(place.path()), ["config.toml"]);
}
