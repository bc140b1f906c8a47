//! The embedded bus for the suite: its clients send over HTTP, and what they were not told to be taken is theirs.

use bytes::Bytes;
use evenkeel::Config;
use evenkeel::bus::Kind;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::bus::{Bus, Letter, Raw};
use crate::line::Line;
use crate::process::Node;

/// How much goes into one request.
const BATCH: usize = 100;
const BATCH_BYTES: usize = 500_000;

/// Nothing but the process itself.
pub struct Embedded;

impl Bus for Embedded {
    const KIND: Kind = Kind::Embedded;

    fn start() -> Option<Self> {
        Some(Self)
    }

    fn configure(&self, _: &mut Config) {}

    fn toml(&self, _: usize) -> String {
        String::new()
    }

    fn in_small_steps(&self) -> &'static str {
        ""
    }

    async fn unheard(&self) -> (Option<Line>, Self) {
        (None, Self)
    }

    async fn until_shared(&self, _: usize) {}

    async fn publish(&self, node: &Node, messages: &[Raw]) -> Vec<Raw> {
        let mut left = Vec::new();
        let mut rest = messages;
        while let Some(first) = rest.first() {
            let mut bytes = 0;
            let together = rest.iter().take(BATCH).take_while(|message| {
                bytes += message.body.len();
                goes_with_others(message) && bytes < BATCH_BYTES
            });
            let count = together.count();
            if count < 2 {
                left.extend((!send(node, first).await).then(|| first.clone()));
                rest = &rest[1..];
            } else {
                left.extend(send_all(node, &rest[..count]).await);
                rest = &rest[count..];
            }
        }
        left
    }

    async fn unsettled(&self) -> Vec<Bytes> {
        Vec::new()
    }

    async fn letter(&self) -> Letter {
        panic!("the embedded bus has no dead letters")
    }

    async fn letters(&self) -> usize {
        0
    }

    async fn end(self) {}
}

/// Whether it can be one of a batch.
fn goes_with_others(message: &Raw) -> bool {
    message.headers.is_empty() && message.body.starts_with(b"{") && message.body.ends_with(b"}")
}

/// Whether it was taken. Of the process that ended meanwhile nobody knows.
async fn send(node: &Node, message: &Raw) -> bool {
    let mut request = node.http.post(format!("{}/api/v1/events", node.url)).header(CONTENT_TYPE, message.content_type);
    for (name, value) in &message.headers {
        request = request.header(*name, value);
    }
    let Ok(answer) = request.body(message.body.clone()).send().await else { return false };
    let status = answer.status();
    let Ok(answer) = answer.json::<Value>().await else { return false };
    status == StatusCode::ACCEPTED || is_kept(&answer)
}

/// One request for several; gives back what was not taken.
async fn send_all(node: &Node, messages: &[Raw]) -> Vec<Raw> {
    let bodies: Vec<&[u8]> = messages.iter().map(|message| &message.body[..]).collect();
    let body = [b"[", &bodies.join(&b","[..])[..], b"]"].concat();
    let request = node.http.post(format!("{}/api/v1/events", node.url)).header(CONTENT_TYPE, "application/json");
    let Ok(answer) = request.body(body).send().await else { return messages.to_vec() };
    let Ok(answer) = answer.json::<Value>().await else { return messages.to_vec() };
    let Some(results) = answer["results"].as_array() else { return messages.to_vec() };
    let taken = |result: &Value| result["id"].is_string() || is_kept(&result["error"]);
    let left = messages.iter().zip(results).filter(|(_, result)| !taken(result));
    left.map(|(message, _)| message.clone()).collect()
}

/// Whether a problem says that there is a record all the same.
fn is_kept(problem: &Value) -> bool {
    problem["record"].is_string()
}
