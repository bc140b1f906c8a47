//! What a user starts from: `compose.yaml`, the files in `examples/config/`, and the commands that the README shows for
//! each of them. The servers are those of the tests: the address of each is set over the one in the file.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::harness::Place;
use crate::process::{Node, run};
use crate::rabbit::Rabbit;
use crate::readme::{BUSES, ROOT, Shown, answer_of, blocks, is_left_out, shows};
use crate::receiver::Receiver;

/// What each of them is called, and what compose.yaml starts for it.
const FILES: [(&str, &[&str]); 2] = [("embedded-sqlite", &[]), ("rabbitmq-postgres", &["postgres", "rabbitmq"])];

fn path(name: &str) -> String {
    format!("examples/config/{name}.toml")
}

fn parsed(name: &str) -> toml::Table {
    std::fs::read_to_string(Path::new(ROOT).join(path(name))).unwrap().parse().unwrap()
}

/// A key of one of them, such as `["database", "url"]`.
fn key<'a>(file: &'a toml::Table, [section, key]: [&str; 2]) -> &'a str {
    file[section][key].as_str().unwrap()
}

#[test]
fn every_file_to_start_from_is_known_here() {
    let folder = std::fs::read_dir(Path::new(ROOT).join("examples/config")).unwrap();
    let mut found: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    let mut known = FILES.map(|(name, _)| Path::new(ROOT).join(path(name)));
    known.sort();
    assert_eq!(found, known);
}

#[actix::test]
async fn every_file_to_start_from_is_a_good_configuration() {
    for (name, _) in FILES {
        let (code, out, err) = run(Path::new(ROOT), &["check", "--config", &path(name)]).await;
        assert_eq!((code, out), (0, format!("{}: good, with 2 handlers and 0 schemas\n", path(name))), "{err}");
    }
}

/// The lines of a service in compose.yaml, without what they are indented by.
fn service<'a>(compose: &'a str, name: &str) -> Vec<&'a str> {
    let begins = format!("  {name}:");
    let lines = compose.lines().skip_while(|line| *line != begins).skip(1);
    lines.take_while(|line| line.is_empty() || line.starts_with("    ")).map(str::trim_start).collect()
}

/// Whether a service listens on this port of this machine, and nowhere else.
fn listens(lines: &[&str], port: u16) -> bool {
    let wanted = format!("127.0.0.1:{port}:{port}");
    let ports = lines.iter().filter(|line| line.contains(&format!(":{port}\"")) || line.ends_with(&format!(":{port}")));
    let ports: Vec<&&str> = ports.filter(|line| line.starts_with("- ") || line.starts_with("ports:")).collect();
    !ports.is_empty() && ports.iter().all(|line| line.contains(&wanted))
}

#[test]
fn the_files_name_the_ports_and_passwords_of_compose_yaml() {
    let compose = std::fs::read_to_string(Path::new(ROOT).join("compose.yaml")).unwrap();
    for (name, services) in FILES {
        let (text, file) = (std::fs::read_to_string(Path::new(ROOT).join(path(name))).unwrap(), parsed(name));
        let command = format!("docker compose up -d --wait {}", services.join(" "));
        assert_eq!(text.contains(command.trim_end()), !services.is_empty(), "{name}");
        assert!(services.is_empty() || compose.contains(&command), "{name}");
        for &service_name in services {
            let lines = service(&compose, service_name);
            let (url, variables) = match service_name {
                "postgres" => (key(&file, ["database", "url"]), ["POSTGRES_USER", "POSTGRES_PASSWORD"]),
                _ => (key(&file, ["rabbitmq", "url"]), ["RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS"]),
            };
            let url = reqwest::Url::parse(url).unwrap();
            for (variable, value) in variables.into_iter().zip([url.username(), url.password().unwrap()]) {
                assert!(lines.contains(&format!("{variable}: {value}").as_str()), "{name}: {variable}");
            }
            if service_name == "postgres" {
                assert!(lines.contains(&format!("POSTGRES_DB: {}", &url.path()[1..]).as_str()), "{name}");
            }
            assert_eq!(url.host_str(), Some("127.0.0.1"), "{name}");
            assert!(listens(&lines, url.port().unwrap()), "{name}: {lines:?}");
        }
    }
}

/// The servers of the tests for one of the files.
struct Stand {
    place: Place,
    rabbit: Option<Rabbit>,
}

impl Stand {
    /// Nothing if one of them is missing.
    fn of(name: &str) -> Option<Self> {
        let place = if name.ends_with("postgres") { Place::on_postgres()? } else { Place::new() };
        let rabbit = if name.starts_with("rabbitmq") { Some(Rabbit::start()?) } else { None };
        Some(Self { place, rabbit })
    }

    /// Starts the program as the README does.
    async fn serve(&self, name: &str, receiver: &Receiver) -> Node {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.args(["serve", "--config", &path(name)]).current_dir(ROOT);
        command.env("EVENKEEL__SERVER__BIND", "127.0.0.1:0").env("EVENKEEL__DATABASE__URL", self.place.url());
        command.env("EVENKEEL__HANDLER__INVOICES__URL", format!("http://{}/hook", receiver.address));
        if let Some(rabbit) = &self.rabbit {
            command.env("EVENKEEL__RABBITMQ__URL", &rabbit.url);
            command.env("EVENKEEL__RABBITMQ__QUEUE", &rabbit.queue).env("EVENKEEL__RABBITMQ__DLQ", &rabbit.dlq);
        }
        Node::of(command).await
    }

    /// An answer with the address and the queue that are in the file.
    fn as_in_the_file(&self, answer: &str, node: &Node) -> String {
        let answer = answer.replace(&node.url, "http://127.0.0.1:8080");
        self.rabbit.iter().fold(answer, |answer, rabbit| answer.replace(&rabbit.queue, "eventQueue"))
    }
}

/// The commands of the README that belong to one of the files: from its `check` to the next one's.
fn commands(name: &str) -> Vec<Shown> {
    let blocks = blocks("README.md");
    let all = blocks.iter().filter(|block| block.section == BUSES).flat_map(|block| block.commands());
    let all = all.filter(|shown| !is_left_out(&shown.command));
    let (mut mine, begins) = (false, format!("evenkeel check --config {}", path(name)));
    all.filter(|shown| {
        mine = if shown.command.starts_with("evenkeel check") { shown.command == begins } else { mine };
        mine
    })
    .collect()
}

async fn each_command_does_what_the_readme_shows(name: &str) {
    let file = parsed(name);
    let handlers = file["handler"].as_array().unwrap();
    let secret = handlers.iter().find_map(|handler| handler.get("secret")?.as_str()).unwrap();
    let (Some(stand), Some(receiver)) = (Stand::of(name), Receiver::start_with(secret).await) else { return };
    let mut node = stand.serve(name, &receiver).await;
    let commands = commands(name);
    let ways = ["check", "serve", "send", "events get"];
    assert!(ways.iter().all(|way| commands.iter().any(|shown| shown.command.starts_with(&format!("evenkeel {way} ")))));
    for Shown { command, answer } in &commands {
        let is_start = command.starts_with("evenkeel serve");
        let came = if is_start { node.process.out() } else { answer_of(command, &node).await };
        let came = stand.as_in_the_file(&came, &node);
        assert!(shows(answer.trim_end(), came.trim_end()), "`{command}` answered:\n{came}\nnot:\n{answer}");
    }
    // The other handler of the file, and the program that its comment names.
    node.submit(&json!({ "type": "invoice.sent", "id": "i-1", "data": 1 })).await;
    receiver.until_told("invoice.sent i-1: 1\n").await;
    node.until_count("SUCCESS", 2).await;
    assert!(node.terminate().await.success());
    if let Some(rabbit) = stand.rabbit {
        rabbit.end().await;
    }
}

#[actix::test]
async fn the_commands_for_sqlite_do_what_the_readme_shows() {
    each_command_does_what_the_readme_shows("embedded-sqlite").await;
}

#[actix::test]
async fn the_commands_for_rabbitmq_do_what_the_readme_shows() {
    each_command_does_what_the_readme_shows("rabbitmq-postgres").await;
}
