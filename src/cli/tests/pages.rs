//! The pages of docs/ that are made from the code, and the scripts for shells.

use std::process::{Command as Process, Stdio};

use super::*;

/// What a command of this program prints by itself.
fn printed(args: &[&str]) -> String {
    let cli = Cli::try_parse_from([&["evenkeel"], args].concat()).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = super::super::run(cli.command, &mut Screen::new(&mut out, &mut err, Clock::manual(NOW))).unwrap();
    assert_eq!((exit, err), (Exit::Done, Vec::new()));
    String::from_utf8(out).unwrap()
}

#[test]
fn the_page_of_the_command_line_is_what_the_code_says() {
    let fresh = printed(&["docs", "cli"]);
    let kept = include_str!("../../../docs/cli.md");
    assert!(kept == fresh, "docs/cli.md is not up to date: cargo run -- docs cli > docs/cli.md");
}

#[test]
fn the_page_of_the_configuration_is_what_the_code_says() {
    let fresh = printed(&["docs", "configuration"]);
    let kept = include_str!("../../../docs/configuration.md");
    assert!(
        kept == fresh,
        "docs/configuration.md is not up to date: cargo run -- docs configuration > docs/configuration.md"
    );
}

#[test]
fn every_shell_gets_its_script_and_bash_can_read_its_own() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("redrive") && script.contains("no-handler"), "{shell}:\n{script}");
        assert!(!script.contains("docs"), "{shell} offers a hidden command");
        // What the screen makes harmless would be another script.
        assert!(!script.contains("\\u{"), "{shell}");
    }
    let mut bash = Process::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), printed(&["completions", "bash"]).as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn the_schema_is_one_json_document() {
    let schema: Value = serde_json::from_str(&printed(&["config", "schema"])).unwrap();
    assert_eq!(schema["properties"]["server"]["properties"]["bind"]["default"], "127.0.0.1:8080");
}
