//! Lists of events, and one event.

use super::*;

async fn get(node: &Node, query: &str) -> Answered {
    node.get(&format!("{EVENTS}?{query}")).await
}

#[actix::test]
async fn a_list_is_newest_first_and_pages_do_not_overlap() {
    let node = Node::start().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.insert(0, node.settle(event("ok.a")).await);
    }
    let first = get(&node, "limit=2").await;
    assert_eq!(ids(&first), strings(&all[..2]));
    let next = |page: &Answered| page.json()["next_cursor"].as_str().unwrap().to_owned();
    let second = get(&node, &format!("limit=2&cursor={}", next(&first))).await;
    assert_eq!(ids(&second), strings(&all[2..4]));
    let third = get(&node, &format!("limit=2&cursor={}", next(&second))).await;
    assert_eq!((ids(&third), &third.json()["next_cursor"]), (strings(&all[4..]), &Value::Null));
    assert_eq!(third.json()["searched_until"], Value::Null);
    assert_eq!(get(&node, "limit=5").await.json()["next_cursor"], Value::Null);
    node.end().await;
}

#[actix::test]
async fn an_item_is_the_record_without_data_and_attempts() {
    let node = Node::start().await;
    node.settle(NewEvent::new("ok.a", "secret").unwrap().subject("s").extension("partitionkey", "k")).await;
    let item = get(&node, "").await.json()["items"][0].clone();
    assert_eq!((&item["data"], &item["attempts"]), (&Value::Null, &Value::Null));
    assert_eq!((&item["status"], &item["final_status"]), (&json!("SUCCESS"), &json!("COMPLETED")));
    assert_eq!((&item["handler_name"], &item["attempt_count"]), (&json!("ok.*"), &json!(1)));
    assert_eq!((&item["origin"]["bus"], &item["extensions"]["partitionkey"]), (&json!("embedded"), &json!("k")));
    assert!(item["created_at"].as_str().unwrap().ends_with('Z'));
    node.end().await;
}

#[actix::test]
async fn every_filter_narrows_the_list() {
    let node = Node::start().await;
    let ok = node.settle(event("ok.a").id("1").source("/a b").subject("x&y")).await;
    let dead = node.settle(event("fail").id("2")).await;
    let nobody = node.settle(event("other").id("3")).await;
    let created_at = node.engine.reads().record(dead).await.unwrap().unwrap().created_at;
    let cases = [
        ("status=SUCCESS".to_owned(), vec![ok]),
        ("final_status=DEAD_LETTER".to_owned(), vec![dead]),
        ("type=other".to_owned(), vec![nobody]),
        ("handler=ok.*".to_owned(), vec![ok]),
        ("source=/a%20b&status=".to_owned(), vec![ok]),
        ("subject=x%26y".to_owned(), vec![ok]),
        ("event_id=2".to_owned(), vec![dead]),
        ("error=NO%20such%20account".to_owned(), vec![dead]),
        ("error=%25&type=fail".to_owned(), vec![]),
        (format!("since={created_at}"), vec![nobody, dead]),
        (format!("until={created_at}"), vec![ok]),
        ("type=ok.a&handler=fail".to_owned(), vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&get(&node, &query).await), strings(&expected), "{query}");
    }
    node.end().await;
}

#[actix::test]
async fn a_bad_query_is_refused_by_name() {
    let node = Node::start().await;
    let cases = [
        ("statuss=SUCCESS", "unknown_parameter", "did you mean `status`"),
        ("status=success", "bad_parameter", "did you mean `SUCCESS`"),
        ("status=DONE", "bad_parameter", "`FAILED_MAX_RETRY`"),
        ("final_status=x", "bad_parameter", "`DEAD_LETTER`"),
        ("limit=0", "bad_parameter", "1 to 250"),
        ("limit=251", "bad_parameter", "1 to 250"),
        ("since=monday", "bad_parameter", "RFC 3339"),
        ("cursor=AAAA", "bad_cursor", "AAAA"),
        ("type=a&type=b", "bad_parameter", "twice"),
        ("type=%ff", "bad_parameter", "UTF-8"),
        ("error=%00", "bad_parameter", "NUL"),
    ];
    for (query, code, word) in cases {
        let answer = get(&node, query).await;
        assert_eq!(answer.said(), told(400, code), "{query}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(word), "{answer:?}");
    }
    node.end().await;
}

#[actix::test]
async fn one_event_has_its_data_and_all_its_attempts() {
    let node = Node::start().await;
    let sent = r#"{"z": 12345678901234567890123, "a": 1.10}"#;
    let id = node.settle(NewEvent::raw("fail", Payload::json(sent))).await;
    let answer = node.get(&format!("{EVENTS}/{id}")).await;
    assert!(answer.text.contains(sent), "{}", answer.text);
    let shown = answer.json();
    assert_eq!((&shown["status"], &shown["data_base64"]), (&json!("FAILED_PERMANENT"), &Value::Null));
    let attempt = &shown["attempts"][0];
    assert_eq!((&attempt["attempt_number"], &attempt["status"]), (&json!(1), &json!("FAILED")));
    assert_eq!(attempt["handler_name"], json!("fail"));
    assert!(attempt["error_message"].as_str().unwrap().contains("no such account"));
    assert!(attempt["node"].is_string() && attempt["processing_time_ms"].is_u64());
    assert!(attempt["started_at"].as_str() <= attempt["completed_at"].as_str());
    node.end().await;
}

#[actix::test]
async fn data_is_shown_as_what_it_is() {
    let node = Node::start().await;
    let typed = |content_type: &str, bytes: &'static [u8]| {
        NewEvent::raw("ok.a", Payload { content_type: Some(content_type.to_owned()), bytes: Some(bytes.into()) })
    };
    let cases = [
        (typed("text/csv", b"a;b"), json!("a;b"), Value::Null),
        (typed("image/png", b"\x89P"), Value::Null, json!("iVA=")),
        (typed("text/plain", b"\xff"), Value::Null, json!("/w==")),
        (typed("application/json", b"{"), Value::Null, json!("ew==")),
        (event("ok.a"), Value::Null, Value::Null),
    ];
    for (event, data, base64) in cases {
        let id = node.settle(event).await;
        let shown = node.get(&format!("{EVENTS}/{id}")).await.json();
        assert_eq!((&shown["data"], &shown["data_base64"]), (&data, &base64));
    }
    node.end().await;
}

#[actix::test]
async fn an_event_is_found_by_its_own_id_whatever_is_in_it() {
    let node = Node::start().await;
    let all = [
        ("a/b", "a%2Fb"),
        ("a/b", "a/b"),
        ("100%", "100%25"),
        ("a%2Fc", "a%252Fc"),
        ("a b+c", "a%20b+c"),
        ("€ 😀", "%E2%82%AC%20%F0%9F%98%80"),
        ("x/cancel", "x%2Fcancel"),
        ("..", "%2E%2E"),
        ("line\nbreak", "line%0Abreak"),
        ("?#", "%3F%23"),
    ];
    for (id, encoded) in all {
        node.settle(event("ok.a").id(id)).await;
        let shown = node.get(&format!("{EVENTS}/{encoded}")).await;
        assert_eq!(shown.json()["event_id"], json!(id), "{shown:?}");
    }
    assert_eq!(node.get(&format!("{EVENTS}/%ff")).await.said(), told(400, "bad_path"));
    node.end().await;
}

#[actix::test]
async fn an_event_id_of_several_sources_has_to_be_told_apart() {
    let node = Node::start().await;
    node.settle(event("ok.a").id("1").source("/a")).await;
    let of_b = node.settle(event("ok.a").id("1").source("/b")).await;
    let answer = node.get(&format!("{EVENTS}/1")).await;
    assert_eq!(answer.said(), told(409, "ambiguous"));
    assert_eq!(answer.json()["sources"], json!(["/a", "/b"]));
    assert_eq!(node.get(&format!("{EVENTS}/1?source=/b")).await.json()["id"], json!(of_b));
    assert_eq!(node.get(&format!("{EVENTS}/1?source=/c")).await.said(), told(404, "not_found"));
    assert_eq!(node.get(&format!("{EVENTS}/1?sorce=/c")).await.said(), told(400, "unknown_parameter"));
    node.end().await;
}

#[actix::test]
async fn what_is_not_there_is_not_found() {
    let node = Node::start().await;
    for id in ["nothing", "0190163d-8694-739b-aea5-966c26f8ad91"] {
        let answer = node.get(&format!("{EVENTS}/{id}")).await;
        assert_eq!(answer.said(), told(404, "not_found"));
        assert!(answer.json()["hint"].as_str().unwrap().contains("event_id="));
    }
    node.end().await;
}
