//! `POST /api/v1/events`.

use super::*;

#[actix::test]
async fn an_event_is_accepted_with_the_record_that_it_became() {
    let node = Node::start().await;
    let answer = node.post(EVENTS, json!({ "type": "ok.paid", "id": "o/1", "source": "/shop", "data": [1] })).await;
    assert_eq!(answer.said(), told(202, ""));
    let accepted = answer.json();
    let members: Vec<&String> = accepted.as_object().unwrap().keys().collect();
    assert_eq!(members, ["duplicate", "event_id", "id", "source", "status", "type"]);
    let id: Uuid = accepted["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(answer.header("location").unwrap(), format!("{EVENTS}/{id}"));
    assert_eq!((&accepted["event_id"], &accepted["source"]), (&json!("o/1"), &json!("/shop")));
    assert_eq!((&accepted["type"], &accepted["duplicate"]), (&json!("ok.paid"), &json!(false)));
    assert_eq!(node.engine.settled(id).await.unwrap().status.as_str(), "SUCCESS");
    node.end().await;
}

#[actix::test]
async fn a_second_send_is_a_duplicate_and_other_content_a_conflict() {
    let node = Node::start().await;
    let first = node.post(EVENTS, json!({ "type": "ok.a", "id": "1", "data": 1 })).await.json();
    let id: Uuid = first["id"].as_str().unwrap().parse().unwrap();
    node.engine.settled(id).await.unwrap();
    let second = node.post(EVENTS, json!({ "type": "ok.a", "id": "1", "data": 1 })).await.json();
    assert_eq!(
        (&second["id"], &second["duplicate"], &second["status"]),
        (&first["id"], &json!(true), &json!("SUCCESS"))
    );
    let other = node.post(EVENTS, json!({ "type": "ok.a", "id": "1", "data": 2 })).await;
    assert_eq!(other.said(), told(409, "id_reused"));
    assert_eq!(other.json()["original"], first["id"]);
    let kept = node.get(&format!("{EVENTS}/{}", other.json()["record"].as_str().unwrap())).await.json();
    assert_eq!((&kept["status"], &kept["data"]), (&json!("INVALID"), &json!(2)));
    node.end().await;
}

#[actix::test]
async fn an_event_that_nobody_handles_is_accepted() {
    let node = Node::start().await;
    let answer = node.post(EVENTS, json!({ "type": "other" })).await;
    assert_eq!((answer.said(), &answer.json()["status"]), (told(202, ""), &json!("NO_HANDLER")));
    node.end().await;
}

#[actix::test]
async fn cloudevents_are_taken_structured_and_binary() {
    let node = Node::start().await;
    let structured = r#"{"specversion":"1.0","id":"s","source":"/s","type":"ok.s","data":{"n":1.10}}"#;
    assert_eq!(node.send("application/cloudevents+json", structured).await.said(), told(202, ""));
    let binary = TestRequest::with_uri(EVENTS)
        .method(Method::POST)
        .set_payload("hi")
        .insert_header(("content-type", "text/plain"));
    let attributes = [("ce-specversion", "1.0"), ("ce-id", "b"), ("ce-source", "/s%20s"), ("ce-type", "ok.b")];
    let binary = attributes.into_iter().fold(binary, TestRequest::append_header);
    assert_eq!(node.ask(binary).await.json()["source"], json!("/s s"));
    assert_eq!(node.get(&format!("{EVENTS}/b")).await.json()["data"], json!("hi"));
    node.end().await;
}

#[actix::test]
async fn a_batch_is_one_answer_with_a_result_for_each_in_order() {
    let node = Node::start().await;
    let good = json!([{ "type": "ok.a", "id": "1" }, { "type": "ok.a", "id": "1" }, { "type": "ok.b", "id": "2" }]);
    let answer = node.post(EVENTS, good).await;
    assert_eq!(answer.said(), told(202, ""));
    let outcome = answer.json();
    assert_eq!((&outcome["accepted"], &outcome["duplicates"], &outcome["invalid"]), (&json!(2), &json!(1), &json!(0)));
    assert_eq!(outcome["results"][1]["duplicate"], json!(true));
    assert_eq!(outcome["results"][2]["event_id"], json!("2"));

    let mixed = json!([{ "typ": "ok.a" }, { "type": "ok.a", "id": "3" }, { "type": "ok.a", "id": "1", "data": 7 }, 4]);
    let answer = node.post(EVENTS, mixed).await;
    assert_eq!(answer.said(), told(207, ""));
    let outcome = answer.json();
    assert_eq!((&outcome["accepted"], &outcome["duplicates"], &outcome["invalid"]), (&json!(1), &json!(0), &json!(3)));
    let code = |n: usize| outcome["results"][n]["error"]["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!([code(0), code(1), code(2), code(3)], ["invalid_event", "", "id_reused", "not_an_object"]);
    assert_eq!(outcome["results"][0]["error"]["status"], json!(400));
    node.end().await;
}

#[actix::test]
async fn a_batch_without_a_good_event_is_refused_with_every_reason() {
    let node = Node::start().await;
    let answer = node.post(EVENTS, json!([{ "type": "" }, { "type": "ok.a", "extra": 1 }])).await;
    assert_eq!(answer.said(), told(422, "no_event_accepted"));
    let problem = answer.json();
    assert_eq!((&problem["accepted"], &problem["duplicates"], &problem["invalid"]), (&json!(0), &json!(0), &json!(2)));
    assert_eq!(problem["results"][1]["error"]["code"], json!("unknown_member"));
    assert_eq!(ids(&node.get(EVENTS).await), strings(&[]));
    node.end().await;
}

#[actix::test]
async fn what_is_no_event_is_refused_and_nothing_is_kept() {
    let node = Node::start_with(|config| {
        config.server.body_limit = 2_000;
        config.server.batch_limit = 2;
    })
    .await;
    let deep = format!(r#"{{"type":"ok.a","data":{}{}}}"#, "[".repeat(101), "]".repeat(101));
    let large = format!(r#"{{"type":"ok.a","data":"{}"}}"#, "x".repeat(2_000));
    let cases = [
        ("application/json", "", 400, "malformed_json"),
        ("application/json", "{", 400, "malformed_json"),
        ("application/json", "[]", 400, "empty_batch"),
        ("application/json", "[0,0,0]", 413, "batch_too_large"),
        ("application/json", r#"{"type":"ok.a","id":""}"#, 400, "invalid_event"),
        ("application/json", &deep, 400, "too_deep"),
        ("application/json", &large, 413, "body_too_large"),
        ("text/plain", "{}", 415, "unsupported_content_type"),
        ("application/cloudevents+json", "{}", 400, "invalid_event"),
    ];
    for (content_type, body, status, code) in cases {
        let answer = node.send(content_type, body.to_owned()).await;
        assert_eq!(answer.said(), told(status, code), "{body}");
    }
    assert_eq!(ids(&node.get(EVENTS).await), strings(&[]));
    node.end().await;
}

#[actix::test]
async fn a_refused_event_hears_which_member_is_wrong() {
    let node = Node::start().await;
    let long = "x".repeat(256);
    let problem = node.post(EVENTS, json!({ "type": long, "subject": 7, "exta": 1 })).await.json();
    let pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    for pointer in ["/type", "/subject", "/exta"] {
        assert!(pointers.contains(&pointer), "{problem}");
    }
    node.end().await;
}

#[actix::test]
async fn compressed_bodies_are_refused() {
    let node = Node::start().await;
    let request = || TestRequest::with_uri(EVENTS).method(Method::POST).set_json(json!({ "type": "ok.a" }));
    let answer = node.ask(request().insert_header(("content-encoding", "gzip"))).await;
    assert_eq!(answer.said(), told(415, "unsupported_content_encoding"));
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
    assert_eq!(node.ask(request().insert_header(("content-encoding", "Identity"))).await.said(), told(202, ""));
    node.end().await;
}

#[actix::test]
async fn nothing_is_taken_while_the_engine_drains() {
    let node = Node::start().await;
    node.engine.api().pool.drain();
    let answer = node.post(EVENTS, json!({ "type": "ok.a" })).await;
    assert_eq!(answer.said(), told(503, "draining"));
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    node.end().await;
}
