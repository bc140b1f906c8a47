//! `evenkeel bench pages` over a small ledger: every page and every list is asked for and answered. How fast is not judged
//! here.

use serde_json::Value;

use crate::harness::{Place, on_each_ledger};
use crate::process::run;

const SMALL: [&str; 13] = [
    "bench",
    "pages",
    "--records",
    "3000",
    "--rate",
    "50",
    "--visits",
    "80",
    "--for",
    "4s",
    "--bound",
    "1h",
    "--output=json",
];

on_each_ledger!(every_page_is_asked_for_and_answered_while_events_come_in);
async fn every_page_is_asked_for_and_answered_while_events_come_in(place: Place) {
    let url = place.url();
    let is_server = url.starts_with("postgres");
    let database: &[&str] = if is_server { &["--database", &url] } else { &[] };
    let (code, out, err) = run(place.path(), &[&SMALL, database].concat()).await;
    assert_eq!(code, 0, "{out}{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["database"], if is_server { "PostgreSQL" } else { "SQLite" });
    let pages = report["pages"].as_array().unwrap();
    assert!(pages.len() > 200, "{}", pages.len());
    for page in pages {
        assert_eq!(page["failure"], Value::Null, "{page}");
        assert!(page["count"].as_u64().unwrap() > 0 && page["p95_ms"].as_f64().unwrap() > 0.0, "{page}");
    }
    let events = &report["events"];
    assert_eq!(events["sent"], 200, "{events}");
    assert_eq!((&events["accepted"], &events["finished"]), (&events["sent"], &events["sent"]), "{events}");
    assert!(report["live"].as_u64().unwrap() > 0);

    // A ledger that holds anything is somebody's.
    if is_server {
        let (code, _, err) = run(place.path(), &[&SMALL, database].concat()).await;
        assert_eq!(code, 1);
        assert!(err.contains("only an empty database is filled"), "{err}");
    } else {
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "its folder goes with it");
    }
}
