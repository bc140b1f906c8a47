//! The webhook against real HTTP servers, well behaved ones and others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::resolver::PublicOnly;
use super::*;
use crate::handle::Kind;

const BODY: &str = r#"{"id":"e-1","partitionkey":"k","source":"/shop","specversion":"1.0","subject":"order 7","time":"2026-01-05T08:02:19Z","type":"order.paid","data":{"n": 1}}"#;

fn target(url: &str, secret: Option<&str>) -> Target {
    let options = Options { url: url.into(), secret: secret.map(str::to_owned), allow_private: true };
    Target::new(&options).unwrap()
}

fn delivery() -> Deliver<Payload> {
    sample::delivery(Payload::json(r#"{"n": 1}"#))
}

fn webhook(target: Target) -> Webhook {
    Webhook::new(target, Clock::manual(sample::NOW))
}

async fn send(target: Target) -> Result<(), HandlerError> {
    webhook(target).start().send(delivery()).await.unwrap()
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

#[actix::test]
async fn the_event_is_posted_as_structured_json_with_its_headers() {
    let server = answering(ResponseTemplate::new(202)).await;
    send(target(&format!("{}/hook?a=b", server.uri()), None)).await.unwrap();

    let [request] = &server.received_requests().await.unwrap()[..] else { panic!("one request") };
    assert_eq!((request.method.as_str(), request.url.path(), request.url.query()), ("POST", "/hook", Some("a=b")));
    assert_eq!(std::str::from_utf8(&request.body).unwrap(), BODY);
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(header("webhook-id"), Some("019b8d3c-0000-7000-8000-000000000001"));
    assert_eq!(header("webhook-timestamp"), Some("1767600140"));
    assert_eq!(header("evenkeel-attempt"), Some("3"));
    assert_eq!(header("webhook-signature"), None);
}

#[actix::test]
async fn a_secret_signs_id_timestamp_and_body() {
    let server = answering(ResponseTemplate::new(200)).await;
    send(target(&server.uri(), Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))).await.unwrap();

    let [request] = &server.received_requests().await.unwrap()[..] else { panic!("one request") };
    let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signed = format!("019b8d3c-0000-7000-8000-000000000001.1767600140.{BODY}");
    let expected = format!("v1,{}", STANDARD.encode(hmac_by_hand(&key, signed.as_bytes())));
    assert_eq!(request.headers["webhook-signature"], expected.as_str());
}

/// RFC 2104 for keys of up to 64 bytes, so that the test does not trust the crate that it tests.
fn hmac_by_hand(key: &[u8], text: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).unwrap_or(&0) ^ byte).collect() };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

#[actix::test]
async fn a_redirect_is_permanent_and_not_followed() {
    let server = MockServer::start().await;
    let moved = ResponseTemplate::new(307).insert_header("location", "/elsewhere");
    Mock::given(method("POST")).and(path("/hook")).respond_with(moved).expect(1).mount(&server).await;
    let elsewhere = Mock::given(path("/elsewhere"));
    elsewhere.respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;

    let error = send(target(&format!("{}/hook", server.uri()), None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permanent);
    assert!(error.to_string().ends_with("answered 307 Temporary Redirect"), "{error}");
}

#[actix::test]
async fn a_refusal_is_kept_with_the_first_500_bytes_of_its_body() {
    let body = format!("no such order: {}", "x".repeat(10_000));
    let server = answering(ResponseTemplate::new(422).set_body_string(&body)).await;
    let error = send(target(&server.uri(), None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permanent);
    assert!(error.to_string().ends_with(&format!("answered 422 Unprocessable Entity: {}", &body[..500])), "{error}");
}

#[actix::test]
async fn a_busy_receiver_is_tried_again_when_it_says() {
    let server = answering(ResponseTemplate::new(503).insert_header("retry-after", "120")).await;
    let error = send(target(&server.uri(), None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RetryAfter(Duration::from_secs(120)));
}

/// A server that takes one connection and treats it as it likes, on a thread of its own.
fn raw<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

/// Waits until the server is done, without keeping the client's connections from their work on this thread.
async fn done<T: Send + 'static>(server: JoinHandle<T>) -> T {
    tokio::task::spawn_blocking(|| server.join().unwrap()).await.unwrap()
}

/// Reads one request to its end.
fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\"data\":{\"n\": 1}}") {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the request is cut short");
        request.extend_from_slice(&buffer[..read]);
    }
}

fn answer(stream: &mut TcpStream, text: &str) {
    read_request(stream);
    stream.write_all(text.as_bytes()).unwrap();
}

#[actix::test]
async fn one_connection_serves_many_events() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..3 {
            answer(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
        listener.set_nonblocking(true).unwrap();
        listener.accept().unwrap_err().kind()
    });
    let webhook = webhook(target(&format!("http://{address}/"), None)).start();
    for _ in 0..3 {
        webhook.send(delivery()).await.unwrap().unwrap();
    }
    assert_eq!(done(server).await, std::io::ErrorKind::WouldBlock, "there is no second connection");
}

#[actix::test]
async fn a_connection_closed_in_the_middle_of_the_answer_is_a_retry() {
    let (address, server) = raw(|mut stream| answer(&mut stream, "HTTP/1.1 200 O"));
    let error = send(target(&format!("http://ada:hunter2@{address}/hunter2?hunter2"), None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    assert!(error.to_string().starts_with(&format!("http://{address} did not answer: ")), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    done(server).await;
}

#[actix::test]
async fn a_success_counts_whatever_becomes_of_its_body() {
    let (address, server) = raw(|mut stream| {
        answer(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ");
        stream.read(&mut [0]).unwrap_or(0)
    });
    send(target(&format!("http://{address}/"), None)).await.unwrap();
    assert_eq!(done(server).await, 0, "the connection is given up");
}

#[actix::test]
async fn a_refusal_counts_although_its_body_never_ends() {
    let (address, server) = raw(|mut stream| {
        answer(&mut stream, "HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\nhalf ");
        stream.read(&mut [0]).unwrap_or(0)
    });
    let response = reqwest::Client::new().post(format!("http://{address}/")).body(BODY).send().await.unwrap();
    let answer = Answer::read_within(Duration::from_millis(50), response).await;
    assert_eq!(answer.verdict(sample::NOW).unwrap_err().to_string(), "answered 400 Bad Request: half");
    done(server).await;
}

#[actix::test]
async fn a_dropped_attempt_closes_its_connection() {
    let (taken, waiting) = oneshot::channel();
    let (address, server) = raw(|mut stream| {
        read_request(&mut stream);
        taken.send(()).unwrap();
        stream.read(&mut [0]).unwrap_or(0)
    });
    let target = Arc::new(target(&format!("http://{address}/"), None));
    let attempt = deliver(target.client().unwrap(), target, Clock::manual(sample::NOW), delivery());
    tokio::select! {
        outcome = attempt => panic!("the server never answers: {outcome:?}"),
        _ = waiting => {}
    }
    assert_eq!(done(server).await, 0, "the server sees the end");
}

#[actix::test]
async fn a_refused_connection_is_a_retry() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = send(target(&format!("http://{address}/"), None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    assert!(error.to_string().contains("onnection refused"), "{error}");
}

/// Resolves every name to one address.
struct Always(SocketAddr);

impl Resolve for Always {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new([self.0].into_iter());
        Box::pin(ready(Ok(addresses)))
    }
}

#[actix::test]
async fn a_name_that_resolves_to_a_private_address_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let resolver: Arc<dyn Resolve> = Arc::new(PublicOnly::over(Always(address)));
    let options = Options { url: format!("http://rebound.example:{}/", address.port()), ..Options::default() };
    let target = Target::new(&options).unwrap();

    let error = send(Target { resolver: Some(resolver), ..target }).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    let reason = "`rebound.example` resolves to 127.0.0.1, which is loopback; only `allow_private = true` permits that";
    assert!(error.to_string().ends_with(reason), "{error}");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
