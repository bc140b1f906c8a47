//! The client commands against a pretended node that keeps the documented shapes.

mod dead_letters;
mod help;
mod pages;
mod reading;
mod sending;
mod tailing;
mod waiting;

use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use wiremock::MockServer;

use super::pace::Pace;
use super::{Cli, Exit, Screen};
use crate::clock::{Clock, Timestamp};

/// 2026-01-05T08:02:20Z
const NOW: Timestamp = Timestamp(1_767_600_140_000_000);

/// What a command came to.
struct Ran {
    exit: Result<Exit, String>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

fn quick() -> Pace {
    Pace {
        retry_first: Duration::from_millis(1),
        retry_total: Duration::from_secs(5),
        poll_first: Duration::from_millis(1),
        poll_longest: Duration::from_millis(2),
        linger: Duration::from_secs(60),
    }
}

async fn run(url: &str, args: &[&str]) -> Ran {
    run_at(url, args, &quick()).await
}

async fn run_at(url: &str, args: &[&str], pace: &Pace) -> Ran {
    carried_out(url, args, pace, None).await
}

/// As at a terminal where somebody types this.
async fn run_answering(url: &str, args: &[&str], answer: &str) -> Ran {
    carried_out(url, args, &quick(), Some(answer)).await
}

async fn carried_out(url: &str, args: &[&str], pace: &Pace, answer: Option<&str>) -> Ran {
    let args = [&["evenkeel"], args, &["--url", url]].concat();
    let cli = Cli::try_parse_from(args).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut answers = answer.unwrap_or_default().as_bytes();
    let mut screen = Screen::new(&mut out, &mut err, Clock::manual(NOW));
    if answer.is_some() {
        screen = screen.with_answers(&mut answers);
    }
    let exit = super::ask(cli.command, &mut screen, pace).await.map_err(|error| format!("{error:#}"));
    Ran { exit, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// The bodies of all POSTs that the node has got, in order.
async fn bodies(node: &MockServer) -> Vec<Value> {
    let requests = node.received_requests().await.unwrap();
    requests.iter().filter(|request| request.method == "POST").map(|request| request.body_json().unwrap()).collect()
}
