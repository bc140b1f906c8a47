//! Actors, stats, metrics, health and the pages for people.

use super::*;

#[actix::test]
async fn the_tree_of_actors_is_live() {
    let node = Node::start().await;
    let tree = node.get("/api/v1/actors").await.json();
    assert_eq!((&tree["name"], &tree["state"]), (&json!("engine"), &json!("RUNNING")));
    let children = tree["children"].as_array().unwrap();
    let names: Vec<&str> = children.iter().map(|child| child["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["persistence", "intake", "processor-pool", "retry-scheduler", "handlers", "operations", "alerts"]
    );
    for child in children {
        for member in ["kind", "state", "restarts", "last_error", "mailbox", "children"] {
            assert!(child.get(member).is_some(), "{child}");
        }
        assert_eq!(child["state"], json!("RUNNING"), "{child}");
    }
    assert_eq!(children[2]["children"].as_array().unwrap().len(), 10);
    assert_eq!(children[2]["children"][3]["name"], json!("processor-3"));
    assert!(children[0]["mailbox"].is_u64() && children[3]["mailbox"].is_u64(), "{children:?}");
    let lane = &children[4]["children"][1];
    assert_eq!((&lane["name"], &lane["kind"], &lane["in_hand"]), (&json!("ok.*"), &json!("function"), &json!([])));
    assert_eq!((&lane["lane_depth"], &lane["concurrency"]), (&json!(0), &json!(10)));
    node.end().await;
}

#[actix::test]
async fn what_is_in_hand_is_shown_with_its_record() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let (open, started) = (std::sync::Arc::clone(&gate), std::sync::Arc::new(tokio::sync::Notify::new()));
    let begun = std::sync::Arc::clone(&started);
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.database.url = format!("sqlite://{}/evenkeel.db", folder.path().display());
    let wait = move |_: Event<Payload>| {
        let (gate, begun) = (std::sync::Arc::clone(&gate), std::sync::Arc::clone(&begun));
        async move {
            begun.notify_one();
            gate.acquire().await?.forget();
            Ok(())
        }
    };
    let engine = Engine::builder().config(config).handler_fn("wait", wait).start().await.unwrap();
    let state = Data::new(State::new(&engine.api()));
    let node = Node { engine, state, _folder: folder };
    let id = node.engine.submit(event("wait")).await.unwrap().id;
    started.notified().await;
    let lane = node.get("/api/v1/actors").await.json()["children"][4]["children"][0].clone();
    assert_eq!((&lane["in_hand"][0]["record_id"], &lane["in_hand"][0]["attempt_number"]), (&json!(id), &json!(1)));
    assert!(lane["in_hand"][0]["for_ms"].is_u64());
    let running = node.get(&format!("{EVENTS}/{id}")).await.json();
    assert_eq!((&running["status"], &running["attempts"][0]["status"]), (&json!("PROCESSING"), &json!("RUNNING")));
    assert_eq!(node.get("/api/v1/stats").await.json()["in_flight"], json!(1));
    open.add_permits(1);
    node.engine.settled(id).await.unwrap();
    node.end().await;
}

#[actix::test]
async fn stats_count_every_status() {
    let node = Node::start().await;
    node.settle(event("ok.a")).await;
    node.settle(event("fail")).await;
    node.post("/api/v1/handlers/ok.*/pause", Value::Null).await;
    node.engine.submit(event("ok.a")).await.unwrap();
    let stats = node.get("/api/v1/stats").await.json();
    assert_eq!(stats["by_status"].as_object().unwrap().len(), 12);
    assert_eq!(stats["by_final_status"].as_object().unwrap().len(), 6);
    let of = |status: &str| stats["by_status"][status].as_i64().unwrap();
    assert_eq!((of("SUCCESS"), of("FAILED_PERMANENT"), of("PENDING"), of("POISON")), (1, 1, 1, 0));
    assert_eq!((&stats["pending"], &stats["in_flight"], &stats["dead_letters"]), (&json!(1), &json!(0), &json!(1)));
    assert_eq!((&stats["retries_due"], &stats["retries_scheduled"]), (&json!(0), &json!(0)));
    assert!(stats["oldest_pending_age_ms"].is_u64() && stats["uptime_ms"].is_u64());
    assert_eq!(stats["version"], json!(env!("CARGO_PKG_VERSION")));
    node.end().await;
}

#[actix::test]
async fn metrics_have_closed_labels() {
    let node = Node::start().await;
    node.settle(event("ok.a")).await;
    node.get(&format!("{EVENTS}/a%2Fb")).await;
    node.get("/nothing/here").await;
    node.ask(TestRequest::with_uri("/livez").method(Method::from_bytes(b"BREW").unwrap())).await;
    let answer = node.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        r#"evenkeel_http_requests_total{method="GET",route="/api/v1/events/{id}",status="404"} 1"#,
        r#"evenkeel_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"evenkeel_http_requests_total{method="OTHER",route="/livez",status="405"} 1"#,
        r#"evenkeel_records{status="SUCCESS"} 1"#,
        r#"evenkeel_records{status="POISON"} 0"#,
        r#"evenkeel_lane_depth{handler="ok.*"} 0"#,
        r#"evenkeel_in_flight{handler="ok.*"} 0"#,
        "evenkeel_oldest_pending_seconds 0",
    ] {
        assert!(answer.text.contains(line), "{line} is not in\n{}", answer.text);
    }
    node.end().await;
}

#[actix::test]
async fn readiness_names_its_checks_and_ends_with_the_drain() {
    let node = Node::start().await;
    assert_eq!(node.get("/livez").await.said(), told(200, ""));
    let ready = node.get("/readyz").await;
    assert_eq!((ready.said(), &ready.json()["status"]), (told(200, ""), &json!("ready")));
    assert_eq!(
        ready.json()["checks"],
        json!({ "ledger": "ok", "lease": "ok", "persistence": "ok", "intake": "ok", "processors": "ok", "draining": "no" })
    );
    node.engine.api().pool.drain();
    let ready = node.get("/readyz").await;
    assert_eq!((ready.said(), &ready.json()["status"]), (told(503, ""), &json!("not_ready")));
    assert_eq!(ready.json()["checks"]["draining"], json!("yes"));
    assert_eq!(node.get("/api/v1/actors").await.json()["state"], json!("DRAINING"));
    node.end().await;
}

#[actix::test]
async fn without_a_ledger_the_tree_and_the_metrics_still_answer() {
    let node = Node::start().await;
    node.engine.shutdown().await.unwrap();
    assert_eq!(node.get("/api/v1/stats").await.said(), told(503, "ledger_unavailable"));
    assert_eq!(node.get(EVENTS).await.said(), told(503, "ledger_unavailable"));
    assert_eq!(node.get("/metrics").await.said(), told(200, ""));
    assert_eq!(node.get("/livez").await.said(), told(200, ""));
    assert_eq!(node.get("/readyz").await.json()["checks"]["ledger"], json!("cannot be read"));
    let tree = node.get("/api/v1/actors").await;
    assert_eq!(tree.json()["children"][4]["children"][0]["lane_depth"], Value::Null);
}

#[actix::test]
async fn pages_say_what_a_refusal_means() {
    let node = Node::start().await;
    let problem = node.get("/api/v1/events?limit=0").await.json();
    let page = node.get(problem["type"].as_str().unwrap()).await;
    assert_eq!((page.said(), page.header("content-type")), (told(200, ""), Some("text/html; charset=utf-8")));
    assert!(page.text.contains("bad_parameter"));
    assert_eq!(node.get("/problems/nothing").await.said(), told(404, "not_found"));
    node.end().await;
}
