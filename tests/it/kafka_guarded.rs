//! Kafka behind a login, and over TLS. What wants TLS is in a build with the feature `kafka-tls`:
//! `scripts/test --features kafka-tls --test it kafka_guarded`.

use std::net::TcpListener;

use serde_json::json;

use crate::bad_start::refusal;
use crate::harness::{Place, eventually};
use crate::kafka_broker::{Kafka, Server};
use crate::process::{Node, configure};

const LOG: &str = "[[handler]]\nname = \"log\"\nkind = \"log\"\ntypes = [\"*\"]\n";

/// An address on this machine where nobody listens now.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Lines of a configuration for the topics of this, reached at this address with these properties.
fn toml(kafka: &Kafka, address: &str, properties: &str) -> String {
    format!("{}{properties}{LOG}", kafka.toml().replace(&kafka.brokers, address))
}

/// An event goes through Kafka, and its offset is committed.
async fn events_go_through(node: &Node, kafka: &Kafka) {
    let id = node.submit(&json!({ "type": "t", "id": "1", "source": "/s" })).await;
    node.until_count("SUCCESS", 1).await;
    assert_eq!(node.record(&id).await["origin"]["bus"], "kafka");
    eventually("all offsets are committed", async || (kafka.lag() == 0).then_some(())).await;
}

#[actix::test]
async fn a_login_that_kafka_refuses_is_an_error_at_the_start_that_says_what_to_do() {
    let address = free_address();
    let accounts = "listener.name.guarded.sasl.enabled.mechanisms=PLAIN\nlistener.name.guarded.plain.sasl.jaas.config=\
                    org.apache.kafka.common.security.plain.PlainLoginModule required user_evenkeel=\"right\";\n";
    let Some(server) = Server::start_guarded(&address, "SASL_PLAINTEXT", accounts) else { return };
    let (kafka, place) = (server.kafka(), Place::new());
    let with = |password: &str| {
        let login =
            "security.protocol = \"sasl_plaintext\"\nsasl.mechanism = \"PLAIN\"\nsasl.username = \"evenkeel\"\n";
        configure(&place, &toml(&kafka, &address, &format!("{login}sasl.password = \"{password}\"\n")));
    };
    with("hidden");
    let text = refusal(&place, &["serve", "--config", "config.toml"]).await;
    assert!(
        text.contains("Kafka does not let us in: ") && text.contains("`[kafka.properties]` says of `sasl`"),
        "{text}"
    );
    assert!(!text.contains("hidden"), "{text}");
    with("right");
    let mut node = Node::serve(&place).await;
    events_go_through(&node, &kafka).await;
    assert!(node.terminate().await.success());
}

#[cfg(not(feature = "kafka-tls"))]
#[actix::test]
async fn without_openssl_a_configuration_with_tls_is_an_error_that_names_the_build() {
    let (kafka, place) = (Kafka::on("127.0.0.1:1".to_owned()), Place::new());
    configure(&place, &toml(&kafka, "127.0.0.1:1", "security.protocol = \"ssl\"\n"));
    for command in ["check", "serve"] {
        let text = refusal(&place, &[command, "--config", "config.toml"]).await;
        assert!(text.contains("security.protocol") && text.contains("--features kafka-tls"), "{text}");
    }
}

#[cfg(feature = "kafka-tls")]
#[actix::test]
async fn over_tls_a_broker_is_known_by_the_certificates_of_the_file_that_is_named() {
    use reqwest::StatusCode;

    let (address, certificates) = (free_address(), tempfile::tempdir().unwrap());
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let [ca, keystore] = ["ca.pem", "keystore.pem"].map(|name| certificates.path().join(name).display().to_string());
    std::fs::write(&ca, made.cert.pem()).unwrap();
    std::fs::write(&keystore, made.signing_key.serialize_pem() + &made.cert.pem()).unwrap();
    let store = format!("ssl.keystore.type=PEM\nssl.keystore.location={keystore}\n");
    let Some(server) = Server::start_guarded(&address, "SSL", &store) else { return };
    let (kafka, place) = (server.kafka(), Place::new());
    // Made beforehand: whoever does not trust the broker does not come so far.
    kafka.client().make(&kafka.topic, 2).await;
    let tls = "security.protocol = \"ssl\"\n";
    configure(&place, &toml(&kafka, &address, tls));
    let mut stranger = Node::serve(&place).await;
    assert_eq!(stranger.text("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let (status, answer) = stranger.post("/api/v1/events", &json!({ "type": "t" })).await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("bus_unavailable")));
    eventually("the reason is told", async || {
        stranger.process.err().contains("certificate verify failed").then_some(())
    })
    .await;
    assert!(stranger.terminate().await.success());

    configure(&place, &toml(&kafka, &address, &format!("{tls}ssl.ca.location = \"{ca}\"\n")));
    let mut node = Node::serve(&place).await;
    events_go_through(&node, &kafka).await;
    assert!(node.terminate().await.success());
}
