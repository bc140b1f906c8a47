//! The examples of docs/events.md are answered as the page says.

use std::process::Command;

use crate::harness::Place;
use crate::process::{Node, configure};
use crate::readme::blocks;
use crate::tools;

#[actix::test]
async fn every_example_of_the_page_on_events_is_answered_as_it_says() {
    let Some(curl) = tools::curl() else { return };
    let blocks = blocks("docs/events.md");
    let only = |language: &str| blocks.iter().find(|block| block.language == language).unwrap().text.as_str();
    let place = Place::new();
    configure(&place, only("toml"));
    std::fs::create_dir(place.path().join("schemas")).unwrap();
    std::fs::write(place.path().join("schemas/order-paid.json"), only("json")).unwrap();
    let node = Node::serve(&place).await;

    let mut run = 0;
    let curl = format!("{} -sSi --noproxy '*' {}", curl.display(), node.url);
    for pair in blocks.windows(2).filter(|pair| pair[0].language == "sh") {
        let (example, answer) = (&pair[0].text, &pair[1].text);
        let command = example.replace("curl -i http://127.0.0.1:8080", &curl);
        assert!(command.contains(&node.url), "{example}");
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.lines().next(), answer.lines().next(), "{example}{text}");
        run += 1;
    }
    assert_eq!(run, 6);
}
