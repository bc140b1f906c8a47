//! What holds of every page: no error, no sideways scroll on a phone, and nothing that keeps anybody from reading it, in
//! light and dark. axe-core is the judge of that.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{Place, eventually};
use crate::process::Node;
use crate::stories::{Shop, dead_group, dead_order};
use crate::tools;

/// The rules of WCAG up to AA.
const RULES: &str = "return axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })";

/// Every page of a node that has seen something of everything.
pub async fn every_page(node: &Node) -> Vec<String> {
    let order = dead_order(node, "order-7").await;
    dead_group(node, 3, 4).await;
    node.submit(&json!({ "type": "nobody", "id": "a".repeat(255), "source": "/".repeat(900) })).await;
    let groups = node.get("/api/v1/dead-letters/groups").await;
    let group = groups["items"][0]["group"].as_str().unwrap();
    let asked = json!({ "action": "discard", "filter": { "type": "order.paid" }, "reason": "a copy of another" });
    let (_, begun) = node.post("/api/v1/operations", &asked).await;
    let operation = format!("/operations/{}", begun["id"].as_str().unwrap());
    eventually("the operation is done", async || {
        (node.get(&format!("/api/v1{operation}")).await["state"] == "DONE").then_some(())
    })
    .await;
    node.post("/api/v1/handlers/shop/pause", &json!({ "reason": "a look" })).await;
    let (event, edit) = (format!("/events/{order}"), format!("/events/{order}/edit"));
    let (records, question) =
        (format!("/dead-letters?group={group}"), format!("/dead-letters/all?action=redrive&group={group}"));
    let fixed = [
        "/",
        "/events",
        "/events?q=status:POISON",
        "/dead-letters",
        "/operations",
        "/actors",
        "/handlers",
        "/nodes",
        "/send",
        "/send?type=order.paid",
        "/audit",
    ];
    fixed.into_iter().map(str::to_owned).chain([event, edit, records, question, operation]).collect()
}

/// What the judge finds, in short.
async fn violations(browser: &Browser) -> Vec<String> {
    let judged = browser.ask(RULES).await;
    assert!(judged["passes"].as_array().is_some_and(|passes| passes.len() > 10), "{judged}");
    let told = |found: &Value| {
        let nodes = found["nodes"].as_array().unwrap().iter();
        let nodes: Vec<String> = nodes.map(|node| format!("{} {}", node["html"], node["failureSummary"])).collect();
        format!("{}: {}", found["id"], nodes.join("\n"))
    };
    judged["violations"].as_array().unwrap().iter().map(told).collect()
}

#[actix::test]
async fn every_page_is_sound_in_light_and_dark_and_on_a_phone() {
    let Some(folder) = tools::javascript() else { return };
    let Some(browser) = Browser::start().await else { return };
    let judge = std::fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")).unwrap();
    let (place, shop) = (Place::new(), Shop::open().await);
    let node = shop.node(&place).await;
    let mut wrong = Vec::new();
    for path in every_page(&node).await {
        browser.is_wide().await;
        browser.open(&format!("{}{path}", node.url)).await;
        browser.until("#live", "the stream is open", |text| text == "Live").await;
        browser.ask("for (const details of document.querySelectorAll('details')) details.open = true").await;
        browser.ask(&judge).await;
        for dark in [false, true] {
            browser.is_dark(dark).await;
            browser.is_wide().await;
            browser.fits(&path).await;
            wrong.extend(violations(&browser).await.into_iter().map(|found| format!("{path}, dark {dark}: {found}")));
            browser.is_a_phone().await;
            browser.fits(&format!("{path} on a phone")).await;
        }
        browser.has_no_complaint(&path).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    browser.quit().await;
}
