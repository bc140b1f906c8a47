//! The dashboard's stream on the wire; stories.rs looks at its pages in a browser.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Place, eventually};
use crate::process::Node;

/// Reads a stream until this is in it.
async fn read_until(answer: &mut reqwest::Response, wanted: &str) -> String {
    let mut read = String::new();
    while !read.contains(wanted) {
        let chunk = answer.chunk().await.unwrap().unwrap_or_else(|| panic!("the stream ended with {read}"));
        read.push_str(&String::from_utf8_lossy(&chunk));
    }
    read
}

#[actix::test]
async fn the_stream_says_what_has_changed_and_a_browser_that_comes_back_hears_only_what_is_new() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let live = || node.http.get(format!("{}/live", node.url));
    let mut stream = live().send().await.unwrap();
    assert_eq!(stream.headers()[CONTENT_TYPE], "text/event-stream");
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    let first = read_until(&mut stream, "\"version\"").await;
    assert!(first.starts_with("retry: 2000\n\n"), "{first}");
    let id = first.split("id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let mut again = live().header("last-event-id", &id).send().await.unwrap();
    node.submit(&json!({ "type": "demo.hello" })).await;
    let next = read_until(&mut again, "\"all\":\"1\"").await;
    assert!(!next.contains(&format!("id: {id}\n")), "{next}");
    read_until(&mut stream, "\"all\":\"1\"").await;
}

#[actix::test]
async fn there_are_only_so_many_streams_and_who_goes_gives_its_place() {
    let place = Place::new();
    let node = Node::dev(&place).await;
    let live = || node.http.get(format!("{}/live", node.url));
    let mut streams = Vec::new();
    for _ in 0..64 {
        let stream = live().send().await.unwrap();
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    let refused = live().send().await.unwrap();
    assert_eq!(
        (refused.status(), refused.headers()["retry-after"].as_bytes()),
        (StatusCode::SERVICE_UNAVAILABLE, &b"5"[..])
    );
    drop(streams);
    eventually("a place is free", async || live().send().await.unwrap().status().is_success().then_some(())).await;
}

#[actix::test]
async fn ctrl_c_ends_the_engine_at_once_although_a_dashboard_is_open() {
    let place = Place::new();
    let mut node = Node::dev(&place).await;
    let mut stream = node.http.get(format!("{}/live", node.url)).send().await.unwrap();
    read_until(&mut stream, "\"version\"").await;
    let asked = Instant::now();
    node.process.signal(Signal::INT);
    assert!(node.process.ended().await.success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    while let Ok(Some(_)) = stream.chunk().await {}
}
