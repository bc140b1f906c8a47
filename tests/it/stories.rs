//! What an operator does with the dashboard, in a real browser on a real process, story by story.
//!
//! Browsers cost seconds: what belongs to one story is done in one of them.

mod arrival;
mod connection;
mod correction;
mod everywhere;
mod handlers;
mod hostile;
mod keyboard;
mod many;
mod pictures;
mod scriptless;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::harness::Place;
use crate::process::{Node, configure};

/// A receiver of `order.*` that refuses amounts that are no numbers, and everything until it is mended.
struct Shop {
    server: MockServer,
    mended: Arc<AtomicBool>,
}

impl Shop {
    async fn open() -> Self {
        let (server, mended) = (MockServer::start().await, Arc::<AtomicBool>::default());
        let is_mended = Arc::clone(&mended);
        let answer = move |request: &Request| {
            let event: Value = serde_json::from_slice(&request.body).unwrap();
            if event["type"] != "order.paid" && !is_mended.load(Ordering::SeqCst) {
                return ResponseTemplate::new(400).set_body_string("closed for today");
            }
            if event["data"]["amount"].is_string() {
                return ResponseTemplate::new(422).set_body_string("the amount is no number");
            }
            ResponseTemplate::new(200)
        };
        Mock::given(matchers::any()).respond_with(answer).mount(&server).await;
        Self { server, mended }
    }

    fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }

    /// A node whose events go here.
    async fn node(&self, place: &Place) -> Node {
        let handler = "[[handler]]\nname = \"shop\"\nkind = \"webhook\"\ntypes = [\"order.*\"]\nconcurrency = 50\n";
        configure(place, &format!("{handler}url = \"{}\"\nallow_private = true\n", self.server.uri()));
        Node::serve(place).await
    }
}

/// Submits an order with an amount that is no number, and waits for its death; gives its record.
async fn dead_order(node: &Node, id: &str) -> String {
    let data = json!({ "amount": "19.90", "to": "Ada" });
    let record = node.submit(&json!({ "type": "order.paid", "id": id, "source": "/shop", "data": data })).await;
    node.until(&record, "FAILED_PERMANENT").await;
    record
}

/// So many dead letters that have the same in common, until the shop is mended; there are so many in all then.
async fn dead_group(node: &Node, count: usize, in_all: u64) {
    let ids: Vec<String> = (0..count).map(|n| format!("order-{n}")).collect();
    node.submit_all("order.placed", &ids).await;
    node.until_count("FAILED_PERMANENT", in_all).await;
}
