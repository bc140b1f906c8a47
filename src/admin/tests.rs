//! Pages as a browser gets them, without its scripts.

use actix_web::test::TestRequest;

use crate::api::tests::Node;

#[actix::test]
async fn the_overview_is_a_page() {
    let node = Node::start().await;
    let page = node.get("/").await;
    assert_eq!(page.said().0, 200);
    node.end().await;
}

#[actix::test]
async fn who_asks_for_a_page_that_is_not_there_gets_a_page_that_says_so() {
    let node = Node::start().await;
    let page = node.ask(TestRequest::with_uri("/nothing").insert_header(("accept", "text/html,*/*;q=0.8"))).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(page.text.contains("there is nothing at `/nothing`"), "{}", page.text);
    node.end().await;
}
