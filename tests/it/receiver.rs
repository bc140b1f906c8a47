//! `examples/webhook_receiver.py`, asked by the real program, and by who would like to be taken for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use evenkeel::clock::Clock;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{Place, eventually};
use crate::process::{Node, Process, attempts, configure};
use crate::tools;

const KEY: &[u8] = b"the key of the receiver's tests";

fn secret(key: &[u8]) -> String {
    format!("whsec_{}", BASE64.encode(key))
}

/// A running receiver.
pub struct Receiver {
    process: Process,
    pub address: SocketAddr,
}

impl Receiver {
    /// Starts it with [`KEY`]; nothing if there is no Python.
    async fn start() -> Option<Self> {
        Self::start_with(&secret(KEY)).await
    }

    /// Starts it with this secret; nothing if there is no Python.
    pub async fn start_with(secret: &str) -> Option<Self> {
        let mut command = Command::new(tools::python()?);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/webhook_receiver.py"));
        command.args(["--port", "0"]).env("WEBHOOK_SECRET", secret);
        let process = Process::of(command);
        let address = eventually("the receiver listens", async || {
            let out = process.out();
            out.strip_prefix("listening on http://")?.split_once("/hook")?.0.parse().ok()
        })
        .await;
        Some(Self { process, address })
    }

    /// What it has printed since it listens.
    fn told(&self) -> String {
        self.process.out().split_once('\n').unwrap().1.to_owned()
    }

    /// Waits until it has printed this and nothing else: its answer may be there before its line is read.
    pub async fn until_told(&self, text: &str) {
        eventually(&format!("the receiver prints {text:?}"), async || (self.told() == text).then_some(())).await;
    }
}

/// A node whose webhook handler posts `order.*` here.
async fn node(place: &Place, address: SocketAddr, secret: &str) -> Node {
    let handler = format!(
        "[[handler]]\nname = \"receiver\"\nkind = \"webhook\"\ntypes = [\"order.*\"]\nurl = \"http://{address}/hook\"\n\
         secret = \"{secret}\"\nallow_private = true\nretry = {{ initial_delay = \"10ms\" }}\n"
    );
    configure(place, &handler);
    Node::serve(place).await
}

fn order() -> Value {
    json!({ "type": "order.paid", "id": "o-7", "data": { "order": 7 } })
}

#[actix::test]
async fn a_delivery_with_the_right_secret_is_accepted_and_printed() {
    let Some(receiver) = Receiver::start().await else { return };
    let place = Place::new();
    let mut node = node(&place, receiver.address, &secret(KEY)).await;
    let id = node.submit(&order()).await;
    assert_eq!(attempts(&node.until(&id, "SUCCESS").await), ["SUCCESS"]);
    receiver.until_told("order.paid o-7: {\"order\": 7}\n").await;
    assert!(node.terminate().await.success());
}

#[actix::test]
async fn a_delivery_with_another_secret_is_refused_and_ends_as_a_dead_letter() {
    let Some(receiver) = Receiver::start().await else { return };
    let place = Place::new();
    let mut node = node(&place, receiver.address, &secret(b"another key")).await;
    let id = node.submit(&order()).await;
    let record = node.until(&id, "FAILED_PERMANENT").await;
    assert_eq!((attempts(&record), &record["final_status"]), (vec!["FAILED"], &json!("DEAD_LETTER")));
    let why = "no signature is right: is the secret the same on both sides?";
    assert_eq!(record["error"], format!("answered 401 Unauthorized: {why}"));
    receiver.until_told(&format!("refused: {why}\n")).await;
    assert!(node.terminate().await.success());
}

/// A way to the receiver on which the first answer is lost.
fn lossy(receiver: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (before, mut engine) in listener.incoming().map_while(Result::ok).enumerate() {
            let mut receiver = TcpStream::connect(receiver).unwrap();
            let (mut request, mut forwarded) = (engine.try_clone().unwrap(), receiver.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut request, &mut forwarded));
            let mut answer = [0; 1_024];
            let read = receiver.read(&mut answer).unwrap();
            if before == 0 {
                engine.shutdown(std::net::Shutdown::Both).unwrap();
                continue;
            }
            engine.write_all(&answer[..read]).unwrap();
            std::thread::spawn(move || std::io::copy(&mut receiver, &mut engine));
        }
    });
    address
}

#[actix::test]
async fn an_event_that_comes_again_because_an_answer_was_lost_is_handled_once() {
    let Some(receiver) = Receiver::start().await else { return };
    let place = Place::new();
    let mut node = node(&place, lossy(receiver.address), &secret(KEY)).await;
    let id = node.submit(&order()).await;
    assert_eq!(attempts(&node.until(&id, "SUCCESS").await), ["FAILED", "SUCCESS"]);
    receiver.until_told("order.paid o-7: {\"order\": 7}\nseen before: o-7\n").await;
    assert!(node.terminate().await.success());
}

/// A request as somebody might make it by hand.
struct Forged<'a> {
    id: &'a str,
    /// Seconds from now.
    age: i64,
    body: &'a str,
    /// The value of `webhook-signature`, made from the right one.
    signature: &'a dyn Fn(&str) -> String,
}

impl Forged<'_> {
    /// The status that it is answered with.
    async fn post(&self, to: &Receiver) -> u16 {
        let timestamp = Clock::default().now().0 / 1_000_000 - self.age;
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
        mac.update(format!("{}.{timestamp}.{}", self.id, self.body).as_bytes());
        let right = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(format!("http://{}/hook", to.address)).body(self.body.to_owned());
        let request = request.header("webhook-id", self.id).header("webhook-timestamp", timestamp);
        request.header("webhook-signature", (self.signature)(&right)).send().await.unwrap().status().as_u16()
    }
}

const EVENT: &str = r#"{"specversion":"1.0","type":"order.paid","id":"o-7","source":"/shop","data":7}"#;

#[actix::test]
async fn only_a_recent_request_with_a_right_signature_among_its_signatures_is_taken() {
    let Some(receiver) = Receiver::start().await else { return };
    let right: &dyn Fn(&str) -> String = &str::to_owned;
    let good = Forged { id: "a", age: 0, body: EVENT, signature: right };
    assert_eq!(good.post(&receiver).await, 204);
    // Keys are being changed: one of the signatures is by the other key.
    let rotated = |right: &str| format!("v1,{} v1a,unknown {right}", BASE64.encode([7; 32]));
    assert_eq!(Forged { id: "b", signature: &rotated, ..good }.post(&receiver).await, 204);
    for (id, age) in [("c", 240), ("d", -240)] {
        assert_eq!(Forged { id, age, ..good }.post(&receiver).await, 204, "{age} s old");
    }
    for age in [310, -310] {
        assert_eq!(Forged { id: "e", age, ..good }.post(&receiver).await, 401, "{age} s old");
    }
    let wrong: [&dyn Fn(&str) -> String; 4] =
        [&|_| String::new(), &|_| "v1,".to_owned(), &|right| right.replace("v1,", "v2,"), &|right| {
            right[..20].to_owned()
        }];
    for signature in wrong {
        assert_eq!(Forged { id: "f", signature, ..good }.post(&receiver).await, 401);
    }
    assert_eq!(receiver.told().matches("order.paid o-7: 7\n").count(), 4);
}

#[actix::test]
async fn what_is_no_event_is_refused_and_what_could_not_be_handled_is_taken_again() {
    let Some(receiver) = Receiver::start().await else { return };
    for body in ["{", "[]", "7", r#"{"type":"order.paid"}"#] {
        let no_event = Forged { id: "a", age: 0, body, signature: &str::to_owned };
        assert_eq!(no_event.post(&receiver).await, 400, "{body}");
    }
    // Half of a character cannot be printed, so its handling fails.
    let body = r#"{"type":"\ud800","id":"o-8"}"#;
    for _ in 0..2 {
        let failing = Forged { id: "b", age: 0, body, signature: &str::to_owned };
        assert_eq!(failing.post(&receiver).await, 500);
    }
    assert_eq!(Forged { id: "b", age: 0, body: EVENT, signature: &str::to_owned }.post(&receiver).await, 204);
    assert_eq!(Forged { id: "b", age: 0, body: EVENT, signature: &str::to_owned }.post(&receiver).await, 200);
}
