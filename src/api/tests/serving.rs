//! The server itself, on a port of its own.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::*;
use crate::api::{self, Server};

async fn serve(change: impl FnOnce(&mut Config)) -> (Node, Server) {
    let node = Node::start_with(|config| {
        config.server.bind = "127.0.0.1:0".to_owned();
        change(config);
    })
    .await;
    let deps = node.engine.api();
    let listener = api::bind(&deps.config).unwrap();
    let server = api::start(&deps, listener).unwrap();
    (node, server)
}

#[actix::test]
async fn events_are_taken_over_a_real_connection() {
    let (node, server) = serve(|_| {}).await;
    let url = format!("http://{}/api/v1/events", server.address);
    let client = reqwest::Client::new();
    let answer = client.post(&url).json(&json!({ "type": "ok.a", "id": "a/1" })).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let accepted: Value = answer.json().await.unwrap();
    node.engine.settled(accepted["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    let shown: Value = client.get(format!("{url}/a%2F1")).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["status"], json!("SUCCESS"));
    let head = client.head(&url).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.bytes().await.unwrap().len(), 0);
    server.stop(Duration::from_secs(5)).await;
    node.end().await;
}

#[actix::test]
async fn a_body_that_is_too_large_hears_so_even_while_it_is_sent() {
    let (node, server) = serve(|config| config.server.body_limit = 1_000).await;
    let url = format!("http://{}/api/v1/events", server.address);
    let client = reqwest::Client::new();
    for body in [vec![b'x'; 5 << 20], vec![b'x'; 1_001]] {
        let known = client.post(&url).body(body.clone()).send().await.unwrap();
        assert_eq!(known.status(), 413);
        let chunks = futures_util::stream::iter(
            body.chunks(64 << 10).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
        );
        let unknown = client.post(&url).body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
        assert_eq!(unknown.status(), 413);
    }
    server.stop(Duration::from_secs(5)).await;
    node.end().await;
}

#[actix::test]
async fn a_refusal_is_heard_even_if_the_body_is_still_on_its_way() {
    let (node, server) = serve(|_| {}).await;
    let client = reqwest::Client::new();
    for (path, encoding, status) in [("api/v1/events", "gzip", 415), ("nothing", "identity", 404)] {
        for _ in 0..20 {
            let url = format!("http://{}/{path}", server.address);
            let request = client.post(&url).header("content-encoding", encoding).body(vec![b'x'; 5 << 20]);
            assert_eq!(request.send().await.unwrap().status(), status);
        }
    }
    server.stop(Duration::from_secs(5)).await;
    node.end().await;
}

#[actix::test]
async fn an_idle_connection_does_not_delay_the_end() {
    let (node, server) = serve(|_| {}).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1_000];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    let started = Instant::now();
    server.stop(Duration::from_secs(5)).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(idle.read(&mut buffer).await.unwrap(), 0);
    node.end().await;
}

#[actix::test]
async fn a_slow_client_is_cut_off_in_time() {
    let (node, server) = serve(|_| {}).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let head = b"POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    slow.write_all(head).await.unwrap();
    let mut buffer = [0; 1_000];
    // It is being read from now on: the server asks for the body.
    let read = slow.read(&mut buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 100"));
    let started = Instant::now();
    server.stop(Duration::from_millis(300)).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // Cut off: nothing more comes, by an end or by a reset.
    assert!(slow.read(&mut buffer).await.unwrap_or(0) == 0);
    node.end().await;
}

#[actix::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let config = api::Config { bind: bind.clone(), ..api::Config::default() };
    assert!(api::bind(&config).unwrap_err().to_string().contains(&bind));
}
