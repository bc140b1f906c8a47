//! Every `--help`, as it looks in a terminal of 100 columns.

use clap::CommandFactory;

use super::*;

fn help(path: &[&str]) -> String {
    let args = [&["evenkeel"], path, &["--help"]].concat();
    Cli::command().term_width(100).try_get_matches_from(args).unwrap_err().to_string()
}

#[test]
fn every_command_explains_itself_with_examples() {
    let commands: [&[&str]; 11] = [
        &[],
        &["dev"],
        &["serve"],
        &["check"],
        &["migrate"],
        &["bench"],
        &["send"],
        &["events"],
        &["events", "ls"],
        &["events", "get"],
        &["stats"],
    ];
    for path in commands {
        let help = help(path);
        assert!(help.contains("Examples:"), "no examples in {path:?}:\n{help}");
        insta::assert_snapshot!(["help", &path.join("_")].join("_").trim_end_matches('_'), help);
    }
}

#[test]
fn wrong_usage_is_status_2() {
    let wrong: [&[&str]; 6] = [
        &["send"],
        &["send", "demo.hello", "{"],
        &["send", "demo.hello", "--file", "x"],
        &["send", "--file", "x", "--batch", "1001"],
        &["events", "ls", "--status", "LOST"],
        &["stats", "--url", "localhost"],
    ];
    for args in wrong {
        let usage = Cli::try_parse_from(["evenkeel"].iter().chain(args)).unwrap_err();
        assert!(usage.use_stderr() && usage.exit_code() == 2, "{args:?}");
    }
}

#[test]
fn a_word_of_the_ledger_may_be_typed_in_small_letters() {
    Cli::try_parse_from(["evenkeel", "events", "ls", "--final-status", "dead_letter"]).unwrap();
}
