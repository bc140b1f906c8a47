//! What the server refuses by itself, and the form of every refusal.

use super::*;

#[actix::test]
async fn an_unknown_path_is_a_problem_document() {
    let node = Node::start().await;
    let request = TestRequest::with_uri("/api/v2/a%20b?x=1").insert_header(("x-request-id", "r-1"));
    let answer = node.ask(request).await;
    assert_eq!(answer.header("x-request-id"), Some("r-1"));
    assert_eq!(
        answer.json(),
        json!({
            "type": "/problems/unknown_path",
            "title": "There is nothing at this path",
            "status": 404,
            "detail": "there is nothing at `/api/v2/a%20b`",
            "instance": "/api/v2/a%20b",
            "code": "unknown_path",
            "request_id": "r-1",
            "hint": "See `/` for the paths of this server.",
        })
    );
    node.end().await;
}

#[actix::test]
async fn a_wrong_method_hears_the_right_ones() {
    let node = Node::start().await;
    let cases = [
        (Method::DELETE, EVENTS, "GET, HEAD, POST"),
        (Method::GET, "/api/v1/events/x/cancel", "POST"),
        (Method::POST, "/api/v1/events/x", "GET, HEAD"),
        (Method::GET, "/api/v1/dead-letters/redrive", "POST"),
        (Method::POST, "/api/v1/stats", "GET, HEAD"),
        (Method::PUT, "/livez", "GET, HEAD"),
    ];
    for (method, path, allow) in cases {
        let answer = node.ask(TestRequest::with_uri(path).method(method)).await;
        assert_eq!((answer.said(), answer.header("allow")), (told(405, "method_not_allowed"), Some(allow)), "{path}");
    }
    node.end().await;
}

#[actix::test]
async fn a_page_from_elsewhere_can_change_nothing_and_a_program_can() {
    let node = Node::start().await;
    let foreign = told(403, "foreign_origin");
    for (header, value, said) in [
        ("origin", "http://evil.example", foreign.clone()),
        ("origin", "null", foreign.clone()),
        ("sec-fetch-site", "cross-site", foreign.clone()),
        ("sec-fetch-site", "same-site", foreign.clone()),
        ("host", "evil.example:8080", told(403, "unknown_host")),
        ("sec-fetch-site", "same-origin", told(202, "")),
        ("user-agent", "a program", told(202, "")),
    ] {
        let request = TestRequest::with_uri(EVENTS).method(Method::POST).insert_header((header, value));
        assert_eq!(node.ask(request.set_json(json!({ "type": "ok.a" }))).await.said(), said, "{header}: {value}");
    }
    // Wherever it goes, and whether there is anything or not.
    for (method, path) in
        [(Method::POST, "/api/v1/dead-letters/redrive"), (Method::DELETE, "/livez"), (Method::PUT, "/x")]
    {
        let request = TestRequest::with_uri(path).method(method);
        assert_eq!(node.ask(request.insert_header(("origin", "http://evil.example"))).await.said(), foreign, "{path}");
    }
    let read = TestRequest::with_uri(EVENTS).insert_header(("host", "evil.example"));
    assert_eq!(node.ask(read).await.said(), told(403, "unknown_host"));
    let linked = TestRequest::with_uri(EVENTS).insert_header(("sec-fetch-site", "cross-site"));
    let listed = node.ask(linked).await;
    assert_eq!((listed.said(), ids(&listed).len()), (told(200, ""), 2));
    node.end().await;
}

#[actix::test]
async fn every_answer_has_a_request_id() {
    let node = Node::start().await;
    let own = node.get("/livez").await;
    let id: Uuid = own.header("x-request-id").unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let insane = node.ask(TestRequest::with_uri("/livez").insert_header(("x-request-id", "a b\"<"))).await;
    assert!(insane.header("x-request-id").unwrap().parse::<Uuid>().is_ok());
    let refused = node.get("/nothing").await;
    assert_eq!(refused.json()["request_id"].as_str(), refused.header("x-request-id"));
    node.end().await;
}

#[actix::test]
async fn what_is_wrong_inside_is_not_told_to_the_caller() {
    let node = Node::start().await;
    node.engine.shutdown().await.unwrap();
    let problem = node.get(EVENTS).await.json();
    assert_eq!(problem["detail"], json!("the ledger cannot be read at present"));
}
