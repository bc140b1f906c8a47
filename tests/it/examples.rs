//! The examples in Rust run, and show what they say. `receiver.rs` has the one in Python.

use std::path::PathBuf;
use std::process::Command;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Place, eventually};
use crate::process::Process;

/// An example in this folder. Cargo puts it beside the folder of this test binary.
fn start(name: &str, place: &Place, arguments: &[&str]) -> Process {
    let deps = std::env::current_exe().unwrap();
    let program: PathBuf = deps.ancestors().nth(2).unwrap().join("examples").join(name);
    let mut command = Command::new(program);
    command.args(arguments).current_dir(place.path());
    Process::of(command)
}

/// What an example prints, from its start to its good end.
async fn shown(name: &str) -> String {
    let place = Place::new();
    let mut process = start(name, &place, &[]);
    let status = process.ended().await;
    assert!(status.success(), "{status}");
    process.out()
}

#[actix::test]
async fn the_custom_event_handler_handles_its_event_at_the_second_attempt() {
    let lines = "order 7 is paid at attempt 2; 1999 cents so far\norder.paid is SUCCESS after 2 attempts\n";
    assert_eq!(shown("custom_event_handler").await, lines);
}

#[actix::test]
async fn the_function_handles_its_type_and_other_data_is_invalid() {
    let text = shown("handler_fn").await;
    let (good, bad) = text.split_once("{\"parcel\":7} is INVALID: ").unwrap();
    assert_eq!(good, "parcel JD01 is on its way\n{\"parcel\":\"JD01\"} is SUCCESS\n");
    assert!(bad.contains("expected a string"), "{bad}");
}

#[actix::test]
async fn the_application_sells_and_closes_its_server_before_the_engine() {
    let text = shown("embedded").await;
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    // The handler does not wait for the customer, nor the customer for it.
    let shipped = lines.iter().position(|line| *line == "order 7 is shipped").unwrap();
    lines.remove(shipped);
    let visit = [
        "paid: 202 Accepted",
        "duplicate: false",
        "paid: 202 Accepted",
        "duplicate: true",
        "order 7 is {\"attempts\":[\"SUCCESS\"],\"final_status\":\"COMPLETED\"}",
        "the shop is closed",
        "the engine has stopped",
    ];
    assert_eq!(lines, visit);
}

#[actix::test]
async fn the_application_stays_until_a_signal_and_knows_its_events_after_the_next_start() {
    let place = Place::new();
    let mut id = Value::Null;
    for duplicate in [false, true] {
        let mut shop = start("embedded", &place, &["0"]);
        let url = eventually("the shop is open", async || {
            let out = shop.out();
            Some(out.strip_prefix("the shop is on ")?.split_once('\n')?.0.to_owned())
        })
        .await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.post(format!("{url}/orders/8/paid")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["duplicate"], duplicate);
        if duplicate {
            assert_eq!(answer["id"], id);
        }
        id = answer["id"].clone();
        let event = format!("{url}/events/{}", id.as_str().unwrap());
        eventually("the order is shipped", async || {
            let state: Value = http.get(&event).send().await.unwrap().json().await.unwrap();
            (state == json!({ "final_status": "COMPLETED", "attempts": ["SUCCESS"] })).then_some(())
        })
        .await;
        shop.signal(Signal::TERM);
        assert!(shop.ended().await.success());
        assert!(shop.out().ends_with("the shop is closed\nthe engine has stopped\n"));
        assert_eq!(shop.out().contains("order 8 is shipped"), !duplicate);
    }
}
