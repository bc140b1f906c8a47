//! The receiving end of the webhook handler: a small real HTTP server that keeps a book of what it was asked.
//!
//! It lives on a thread of its own, so it answers whatever the test is busy with. A connection that breaks while its
//! request is held takes the delivery out of hand, as it would with a real receiver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use crate::harness::eventually;

/// One request of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// The header `webhook-id`: the record.
    pub record: String,
    /// The header `evenkeel-attempt`.
    pub attempt: u64,
    pub event_id: String,
    /// The event's `traceparent`.
    pub trace: Option<String>,
}

/// What a delivery is answered with.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// This status, at once.
    Now(u16),
    /// This status, a little later: the event is in hand for so long.
    Later(Duration, u16),
    /// 200 when the test says so.
    Hold,
}

type Script = dyn Fn(&Delivery) -> Reply + Send + Sync;

struct Shared {
    script: Box<Script>,
    /// Every delivery, in the order of their arrival.
    seen: Mutex<Vec<Delivery>>,
    /// Those that have no answer yet.
    in_hand: Mutex<Vec<Delivery>>,
    released: Semaphore,
}

/// The server; it ends with its test.
pub struct Target {
    pub url: String,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

impl Target {
    /// Starts a server that answers by this script.
    pub fn new(script: impl Fn(&Delivery) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            script: Box::new(script),
            seen: Mutex::default(),
            in_hand: Mutex::default(),
            released: Semaphore::new(0),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(TcpListener::from_std(listener).unwrap(), served) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { url, shared, _stop: stop }
    }

    /// The keys of a webhook handler that posts here.
    pub fn handler(&self, name: &str, types: &str) -> String {
        let url = &self.url;
        format!(
            "[[handler]]\nname = \"{name}\"\nkind = \"webhook\"\ntypes = [\"{types}\"]\nurl = \"{url}\"\nallow_private = true\n"
        )
    }

    /// Every delivery so far.
    pub fn seen(&self) -> Vec<Delivery> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The events whose delivery waits for an answer.
    pub fn in_hand(&self) -> Vec<String> {
        self.shared.in_hand.lock().unwrap().iter().map(|delivery| delivery.event_id.clone()).collect()
    }

    /// Waits until so many deliveries wait for an answer.
    pub async fn until_in_hand(&self, count: usize) -> Vec<String> {
        let what = format!("{count} deliveries are in hand");
        eventually(&what, async || Some(self.in_hand()).filter(|held| held.len() == count)).await
    }

    /// Answers so many of those that are held.
    pub fn release(&self, count: usize) {
        self.shared.released.add_permits(count);
    }

    /// Answers all that are held, and holds nothing any more.
    pub fn release_all(&self) {
        self.shared.released.close();
    }
}

impl Shared {
    async fn answer(&self, delivery: &Delivery) -> u16 {
        match (self.script)(delivery) {
            Reply::Now(status) => status,
            Reply::Later(delay, status) => {
                tokio::time::sleep(delay).await;
                status
            }
            Reply::Hold => {
                if let Ok(permit) = self.released.acquire().await {
                    permit.forget();
                }
                200
            }
        }
    }
}

/// A delivery without an answer, for as long as it lives.
struct InHand<'a>(&'a Shared, &'a Delivery);

impl<'a> InHand<'a> {
    fn new(shared: &'a Shared, delivery: &'a Delivery) -> Self {
        shared.seen.lock().unwrap().push(delivery.clone());
        shared.in_hand.lock().unwrap().push(delivery.clone());
        Self(shared, delivery)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let mut in_hand = self.0.in_hand.lock().unwrap();
        let place = in_hand.iter().position(|delivery| delivery == self.1).unwrap();
        in_hand.remove(place);
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(connection(stream, Arc::clone(&shared)));
    }
}

/// Answers request after request until the connection ends.
async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let mut received = Vec::new();
    while let Some(delivery) = request(&mut stream, &mut received).await {
        let in_hand = InHand::new(&shared, &delivery);
        let status = tokio::select! {
            status = shared.answer(&delivery) => status,
            // Nobody sends a second request before the answer to the first: this is the connection's end.
            _ = stream.read_u8() => return,
        };
        drop(in_hand);
        let answer = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next whole request; nothing if the connection ends before it is here.
async fn request(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<Delivery> {
    loop {
        if let Some((head, rest)) = split(received) {
            let field = |name: &str| head.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
            let length: usize = field("content-length")?.parse().ok()?;
            if rest.len() >= length {
                let event: Value = serde_json::from_slice(&rest[..length]).ok()?;
                let delivery = Delivery {
                    record: field("webhook-id")?.to_owned(),
                    attempt: field("evenkeel-attempt")?.parse().ok()?,
                    event_id: event["id"].as_str()?.to_owned(),
                    trace: event["traceparent"].as_str().map(str::to_owned),
                };
                *received = rest[length..].to_vec();
                return Some(delivery);
            }
        }
        let read = stream.read_buf(received).await.ok()?;
        if read == 0 {
            return None;
        }
    }
}

type Fields = Vec<(String, String)>;

/// The fields of the head, and what follows it, once all of the head is here.
fn split(received: &[u8]) -> Option<(Fields, &[u8])> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).ok()?;
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Some((fields.collect(), &received[end + 4..]))
}
