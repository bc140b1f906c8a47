//! The README as a newcomer uses it: its commands are run in their order, against a real `evenkeel dev`, and answer
//! what it shows.
//!
//! A command is taken as it stands but for the address, as the node has a free port; `evenkeel` is found on the PATH,
//! as it is after an installation, and `EVENKEEL_URL` tells it of the port. Of the answers, ids, times and durations
//! are compared as words for them, and a line `…` in the README stands for whatever lines come there.

use std::path::Path;
use std::process::Command;

use uuid::Uuid;

use crate::harness::Place;
use crate::process::{Node, Process, run};
use crate::tools;

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A fenced block of a page.
#[derive(Debug)]
pub struct Block {
    /// The heading that it stands under.
    pub section: String,
    pub language: String,
    pub text: String,
}

/// The fenced blocks of a page, such as `README.md`.
pub fn blocks(page: &str) -> Vec<Block> {
    let page = std::fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
    let (mut section, mut blocks, mut open) = (String::new(), Vec::new(), None);
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let (section, language) = (section.clone(), language.to_owned());
                open = Some(Block { section, language, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {
                if let Some(heading) = line.strip_prefix("## ") {
                    heading.clone_into(&mut section);
                }
            }
        }
    }
    blocks
}

/// A command of the README, and what it shows of its answer.
#[derive(Debug, Default)]
pub struct Shown {
    pub command: String,
    pub answer: String,
}

impl Block {
    /// The commands: all lines of a `sh` block, which shows no answers; in a `console` block they stand behind a `$`,
    /// and their answers follow. What stands behind a `#` is for people.
    pub fn commands(&self) -> Vec<Shown> {
        let bare = |line: &str| line.split(" #").next().unwrap_or_default().trim_end().to_owned();
        match self.language.as_str() {
            "sh" => self.text.lines().map(|line| Shown { command: bare(line), answer: "…\n".to_owned() }).collect(),
            "console" => {
                self.console().into_iter().map(|shown| Shown { command: bare(&shown.command), ..shown }).collect()
            }
            _ => Vec::new(),
        }
    }

    fn console(&self) -> Vec<Shown> {
        let mut commands: Vec<Shown> = Vec::new();
        let mut goes_on = false;
        for line in self.text.lines() {
            let begins = line.strip_prefix("$ ");
            if let Some(begin) = begins {
                commands.push(Shown { command: begin.to_owned(), answer: String::new() });
            }
            let shown = commands.last_mut().expect("a console block begins with a command");
            if begins.is_none() {
                let part = if goes_on { &mut shown.command } else { &mut shown.answer };
                part.push_str(if goes_on { "\n" } else { "" });
                part.push_str(line);
                part.push_str(if goes_on { "" } else { "\n" });
            }
            goes_on = line.ends_with('\\') && (goes_on || begins.is_some());
        }
        commands
    }
}

/// Its commands want servers: starting_points.rs runs them.
pub const BUSES: &str = "With PostgreSQL and RabbitMQ";

/// What is not run here, and why.
const LEFT_OUT: [(&str, &str); 7] = [
    ("cargo run --release -- dev", "builds all of it once more, for minutes; `evenkeel dev` is run below it"),
    ("scripts/test", "runs this test"),
    ("cargo install --path . --locked", "the same build"),
    ("evenkeel bench", "takes both processors for seconds, and has tests of its own"),
    ("cargo new", "fresh_project.rs does this"),
    ("cargo run", "fresh_project.rs does this"),
    ("docker compose up -d --wait postgres rabbitmq", "wants Docker; the servers of the tests take its place"),
];

pub fn is_left_out(command: &str) -> bool {
    LEFT_OUT.iter().any(|(start, _)| command.starts_with(start))
}

#[actix::test]
async fn every_command_of_the_readme_does_what_the_readme_shows() {
    if tools::curl().is_none() {
        return;
    }
    let place = Place::new();
    let node = Node::start(&place, &["dev", "--port", "0"]).await;
    let mut done = 0;
    for block in blocks("README.md").iter().filter(|block| block.section != BUSES) {
        assert!(
            block.language != "text" || !block.text.contains("$ "),
            "a block with commands is `console`: {block:?}"
        );
        for Shown { command, answer } in block.commands().iter().filter(|shown| !is_left_out(&shown.command)) {
            let came = if command == "evenkeel dev" { node.process.out() } else { answer_of(command, &node).await };
            // A blank line between two commands is for people.
            let (came, answer) = (came.trim_end(), answer.trim_end());
            let came = came.replace(&node.url, "http://127.0.0.1:8080");
            assert!(shows(answer, &came), "`{command}` of \"{}\" answered:\n{came}\nnot:\n{answer}", block.section);
            done += 1;
        }
    }
    assert!(done >= 8, "only {done} commands were found");
}

/// What a command writes to stdout; it has to end well.
pub async fn answer_of(command: &str, node: &Node) -> String {
    let address = node.url.trim_start_matches("http://");
    let command = command.replace("127.0.0.1:8080", address);
    let programs = Path::new(env!("CARGO_BIN_EXE_evenkeel")).parent().unwrap();
    let setting = format!("export PATH='{}':\"$PATH\" EVENKEEL_URL='{}'", programs.display(), node.url);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{setting}\n{command}")]).current_dir(ROOT);
    let mut process = Process::of(shell);
    let status = process.ended().await;
    assert!(status.success(), "`{command}` ended with {status}: {}", process.err());
    process.out()
}

/// Whether this answer is the one that the README shows.
pub fn shows(shown: &str, came: &str) -> bool {
    fn fits(shown: &[String], came: &[String]) -> bool {
        match shown.split_first() {
            None => came.is_empty(),
            Some((line, rest)) if line == "…" => (0..=came.len()).any(|skipped| fits(rest, &came[skipped..])),
            Some((line, rest)) => came.first() == Some(line) && fits(rest, &came[1..]),
        }
    }
    let [shown, came] = [shown, came].map(|text| text.lines().map(in_words).collect::<Vec<_>>());
    fits(&shown, &came)
}

/// A line with words in place of what differs from run to run.
fn in_words(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let follows = |at: usize| words.get(at + 1).map(|word| word.trim_end_matches([',', ':'])).unwrap_or_default();
    let word = |(at, word): (usize, &&str)| {
        let is_amount = matches!(follows(at), "s" | "ms" | "events/s") && word.replace(',', "").parse::<f64>().is_ok();
        if is_amount { "AMOUNT".to_owned() } else { without_ids_and_times(word) }
    };
    let line = words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ");
    // A slow machine takes seconds where another takes milliseconds.
    line.replace("AMOUNT ms", "AMOUNT s")
}

fn without_ids_and_times(word: &str) -> String {
    let bare = word.trim_matches(['(', ')']);
    let is_date =
        |text: &str| text.len() == 10 && format!("{text}T00:00:00Z").parse::<chrono::DateTime<chrono::Utc>>().is_ok();
    let is_time = |text: &str| format!("2026-01-01T{text}").parse::<chrono::DateTime<chrono::Utc>>().is_ok();
    if is_date(bare) || is_time(bare) {
        return word.replace(bare, "TIME");
    }
    let ids = (0..word.len()).filter_map(|at| word.get(at..at + 36));
    let ids: Vec<&str> = ids.filter(|text| Uuid::try_parse(text).is_ok()).collect();
    ids.iter().fold(word.to_owned(), |word, id| word.replace(id, "ID"))
}

#[actix::test]
async fn the_handlers_that_are_shown_are_good_configurations() {
    // Of the other kinds, some want files beside them.
    let sections = ["As a service", "webhook", "log", "chemical_status"];
    let all = blocks("README.md").into_iter().chain(blocks("docs/handlers.md"));
    let shown: Vec<Block> = all.filter(|block| block.text.starts_with("[[handler]]")).collect();
    for section in sections {
        let block = shown.iter().find(|block| block.section == section).unwrap_or_else(|| panic!("{section}"));
        let place = Place::new();
        std::fs::write(place.path().join("config.toml"), &block.text).unwrap();
        let (code, out, err) = run(place.path(), &["check", "--config", "config.toml"]).await;
        assert_eq!((code, out.as_str()), (0, "config.toml: good, with 1 handlers and 0 schemas\n"), "{err}");
    }
}

#[test]
fn nothing_is_left_out_that_the_readme_does_not_have() {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    for (start, _) in LEFT_OUT {
        assert!(readme.contains(start), "{start}");
    }
}

#[test]
fn answers_are_compared_but_for_ids_times_and_durations() {
    let id = Uuid::from_u128(7);
    let came = format!("sent 329 in 1.2 s, 274 events/s\n{{\"id\":\"{id}\"}} 3 s ago (2026-11-23 23:52:14Z)\nmore\n");
    let shown = "sent  329  in 411 ms, 799 events/s\n{\"id\":\"01a20ad3-11b0-74b3-a569-26911207f100\"} 5 s ago (2026-11-24 10:00:00Z)\n";
    assert!(shows(&format!("{shown}…\n"), &came));
    assert!(shows(&format!("{shown}more\n"), &came));
    assert!(shows("…\nmore\n", &came));
    assert!(!shows(shown, &came));
    assert!(!shows("…\nmuch\n", &came));
    assert!(!shows(&format!("{}…\n", shown.replace("329", "330")), &came));
}
