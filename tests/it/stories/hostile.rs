//! Whoever sends events is not trusted: whatever is in them, and in what is said about them, stays text on every page.

use reqwest::StatusCode;
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::browser::Browser;
use crate::harness::{Place, eventually};
use crate::process::{Node, configure};

/// Ends elements, attributes and scripts, and would do something in each of these places.
const TRICK: &str =
    r#"</script></textarea></pre>"'><script>alert(1)</script><img src=x onerror=alert(2)>&lt;{{123*4567}}${123*4567}"#;

/// A node whose only handler takes everything, and is answered with a trick.
async fn node(place: &Place, server: &MockServer) -> Node {
    let answer = ResponseTemplate::new(400).set_body_string(TRICK);
    Mock::given(matchers::any()).respond_with(answer).mount(server).await;
    let handler = "[[handler]]\nname = \"shop<b>&\"\nkind = \"webhook\"\ntypes = [\"*\"]\n";
    configure(place, &format!("{handler}url = \"{}\"\nallow_private = true\n", server.uri()));
    Node::serve(place).await
}

/// Has an operator with a tricky name and tricky reasons pause the handler, and discard a dead letter.
async fn operate(node: &Node) -> String {
    let post = async |path: &str, body: serde_json::Value| {
        let request = node.http.post(format!("{}{path}", node.url)).header("x-operator", TRICK).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.json::<serde_json::Value>().await.unwrap()
    };
    post("/api/v1/handlers/shop%3Cb%3E%26/pause", json!({ "reason": TRICK })).await;
    let filter = json!({ "subject": format!("nothing {TRICK}") });
    let asked = json!({ "action": "discard", "filter": filter, "reason": TRICK });
    let begun = post("/api/v1/operations", asked).await["id"].as_str().unwrap().to_owned();
    eventually("the operation is done", async || {
        (node.get(&format!("/api/v1/operations/{begun}")).await["state"] == "DONE").then_some(())
    })
    .await;
    begun
}

#[actix::test]
async fn what_is_in_an_event_stays_text_on_every_page() {
    let Some(browser) = Browser::start().await else { return };
    let (place, server) = (Place::new(), MockServer::start().await);
    let node = node(&place, &server).await;
    let event = json!({
        "specversion": "1.0", "type": TRICK, "id": TRICK, "source": format!("javascript:alert(3)//{TRICK}"),
        "subject": TRICK, "evenkeelnote": TRICK, "data": { TRICK: [TRICK, { "a": TRICK }], "<b>": "</code><b>" },
    });
    let (status, answer) = node.send("application/cloudevents+json", event.to_string()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let record = answer["id"].as_str().unwrap();
    let dead = node.until(record, "FAILED_PERMANENT").await;
    assert!(dead["error"].as_str().unwrap().contains(TRICK), "{dead}");
    let group = node.get("/api/v1/dead-letters/groups").await["items"][0]["group"].as_str().unwrap().to_owned();
    let begun = operate(&node).await;
    let text = node.submit(&json!({ "type": "t", "id": "text", "data": TRICK })).await;

    for path in [
        "/".to_owned(),
        "/events".to_owned(),
        format!("/events?q={}", "error:%22%3Cimg%22"),
        format!("/events/{record}"),
        format!("/events/{record}/edit"),
        format!("/events/{text}"),
        "/dead-letters".to_owned(),
        format!("/dead-letters?group={group}"),
        format!(
            "/dead-letters/all?action=redrive&group={group}&subject=%3C/script%3E%3Cimg%20src=x%20onerror=alert(2)%3E"
        ),
        "/operations".to_owned(),
        format!("/operations/{begun}"),
        "/handlers".to_owned(),
        "/actors".to_owned(),
        "/audit".to_owned(),
    ] {
        browser.open(&format!("{}{path}", node.url)).await;
        browser.until("#live", "the stream is open", |text| text == "Live").await;
        let injected = browser.ask(
            "return [...document.querySelectorAll('main :is(script, img, b > b, iframe, object, base), \
             [onerror], [onload], a[href^=\"javascript:\"]')].map((element) => element.outerHTML)",
        );
        assert_eq!(injected.await, json!([]), "{path}");
        let shown = browser.ask("return document.querySelector('main').textContent").await;
        let expected = if ["/handlers", "/actors"].contains(&&*path) { "shop<b>&" } else { "onerror=alert(2)>" };
        let is_in_a_field = path.contains("/edit");
        assert!(is_in_a_field || shown.as_str().unwrap().contains(expected), "{path}: {shown}");
        assert!(!shown.as_str().unwrap().contains("561741"), "{path}: {shown}");
        browser.has_no_complaint(&path).await;
    }
    browser.quit().await;
}
