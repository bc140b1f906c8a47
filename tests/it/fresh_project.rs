//! The README's handler of one's own as its reader has it: a project outside of this repository, made of what the
//! README shows and nothing else.
//!
//! The path to the repository is put in. So that not every crate is fetched and built again, the project gets our
//! `Cargo.lock`, our build profile and our target folder. Evenkeel itself is built once more, for another workspace; so
//! are, the first time, the crates that our tests' dependencies give more features.

use std::path::Path;
use std::process::Command;

use crate::harness::Place;
use crate::readme::{Block, ROOT, blocks};

const SECTION: &str = "A handler of one's own";

/// The README's only block of its kind in the section.
fn block(language: &str) -> Block {
    let mut found =
        blocks("README.md").into_iter().filter(|block| block.section == SECTION && block.language == language);
    let block = found.next().unwrap_or_else(|| panic!("\"{SECTION}\" has no block of {language}"));
    assert!(found.next().is_none(), "\"{SECTION}\" has two blocks of {language}");
    block
}

/// A command of cargo in this folder, without what the cargo that runs the tests has told them.
fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_") && name != "CARGO_HOME" {
            command.env_remove(&*name);
        }
    }
    // This binary is in `<target>/<profile>/deps`.
    let binary = std::env::current_exe().unwrap();
    command.env("CARGO_TARGET_DIR", binary.ancestors().nth(3).unwrap());
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "cargo {} failed:\n{out}{err}", arguments.join(" "));
    out
}

#[test]
fn the_readmes_handler_compiles_and_runs_in_a_project_of_its_own() {
    let place = Place::new();
    let [new, run] = &block("console").commands()[..] else { panic!("the README shows two commands") };
    assert_eq!((&*new.command, &*run.command), ("cargo new orders && cd orders", "cargo run --quiet"));
    cargo(place.path(), &["new", "--quiet", "--vcs", "none", "orders"]);
    let project = place.path().join("orders");

    let dependencies = block("toml").text;
    assert!(dependencies.contains("path = \"../evenkeel\""), "{dependencies}");
    let manifest = std::fs::read_to_string(project.join("Cargo.toml")).unwrap();
    let manifest = manifest.replace("[dependencies]\n", &dependencies.replace("../evenkeel", ROOT));
    std::fs::write(project.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(project.join("src/main.rs"), block("rust").text).unwrap();
    std::fs::copy(Path::new(ROOT).join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let ours = std::fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let profile =
        toml::Table::from_iter([("profile".to_owned(), ours.parse::<toml::Table>().unwrap()["profile"].clone())]);
    std::fs::create_dir(project.join(".cargo")).unwrap();
    std::fs::write(project.join(".cargo/config.toml"), profile.to_string()).unwrap();

    assert_eq!(cargo(&project, &["run", "--quiet", "--offline"]), run.answer);
    assert!(project.join("evenkeel-data/orders.db").exists());
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let example = std::fs::read_to_string(Path::new(ROOT).join("examples/custom_event_handler.rs")).unwrap();
    let body = example.split_once("\n\n").unwrap().1;
    assert_eq!(block("rust").text, body, "README.md shows examples/custom_event_handler.rs without its head");
}
