//! The receiving end of alerts: a small real HTTP server that checks every signature and keeps what it was told.
//!
//! It lives on a thread of its own. While it is away it closes each connection without an answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::harness::eventually;

const KEY: &[u8] = b"the pager's key, 24 byte";

/// One post that was taken.
#[derive(Clone, Debug)]
pub struct Page {
    /// The header `webhook-id`.
    pub id: String,
    pub body: Value,
}

impl Page {
    /// What it is: `raised`, `reminder`, `resolved`, `summary` or `test`.
    pub fn word(&self) -> &str {
        self.body["type"].as_str().unwrap().strip_prefix("evenkeel.alert.").unwrap()
    }
}

#[derive(Default)]
struct Shared {
    taken: Mutex<Vec<Page>>,
    away: AtomicBool,
    turned_away: AtomicUsize,
    forged: AtomicUsize,
}

/// The server.
pub struct Pager {
    pub url: String,
    shared: Arc<Shared>,
}

impl Pager {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A connection that breaks is none that anything was taken from.
                let _ = answer(stream, &served);
            }
        });
        Self { url, shared }
    }

    /// The secret that it checks signatures with.
    pub fn secret() -> String {
        format!("whsec_{}", BASE64.encode(KEY))
    }

    /// `[alerts]` that are posted here, and more of its keys.
    pub fn config(&self, more: &str) -> String {
        format!("[alerts]\nwebhook = \"{}\"\nsecret = \"{}\"\nallow_private = true\n{more}\n", self.url, Self::secret())
    }

    /// Whether it is away from now on.
    pub fn set_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }

    /// How often it was asked while it was away.
    pub fn turned_away(&self) -> usize {
        self.shared.turned_away.load(Ordering::SeqCst)
    }

    /// All that it was told of this kind of alert, in order; every post was signed rightly.
    pub fn told(&self, alert: &str) -> Vec<Page> {
        assert_eq!(self.shared.forged.load(Ordering::SeqCst), 0, "a signature was wrong");
        let taken = self.shared.taken.lock().unwrap().clone();
        taken.into_iter().filter(|page| page.body["data"]["alert"] == alert).collect()
    }

    /// All that it was told, whatever it is.
    pub fn all(&self) -> Vec<Page> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// Waits until it was told these words of this kind of alert, in this order.
    pub async fn until_told(&self, alert: &str, words: &[&str]) -> Vec<Page> {
        eventually(&format!("{alert}: {words:?}"), async || {
            let told = self.told(alert);
            (told.iter().map(Page::word).collect::<Vec<_>>() == words).then_some(told)
        })
        .await
    }
}

fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (head, body) = request(&mut stream)?;
    if shared.away.load(Ordering::SeqCst) {
        shared.turned_away.fetch_add(1, Ordering::SeqCst);
        return Ok(());
    }
    let field = |name: &str| {
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    let id = field("webhook-id").unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    mac.update(format!("{id}.{}.", field("webhook-timestamp").unwrap_or_default()).as_bytes());
    mac.update(&body);
    let right = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
    if field("webhook-signature") != Some(right) {
        shared.forged.fetch_add(1, Ordering::SeqCst);
        return stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    shared.taken.lock().unwrap().push(Page { id, body: serde_json::from_slice(&body).unwrap() });
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
}

/// The head and the body of a request.
fn request(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let (mut received, mut part) = (Vec::new(), [0; 4_096]);
    loop {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(&part[..read]);
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if received.len() >= end + 4 + length {
            return Ok((String::from_utf8_lossy(&received[..end]).into_owned(), received[end + 4..].to_vec()));
        }
    }
}
