//! Every `--help`, as it looks in a terminal of 100 columns.

use super::super::docs::help;
use super::*;

#[test]
fn every_command_explains_itself_with_examples() {
    let commands: [&[&str]; 35] = [
        &[],
        &["dev"],
        &["serve"],
        &["check"],
        &["migrate"],
        &["config"],
        &["config", "schema"],
        &["bench"],
        &["bench", "pages"],
        &["send"],
        &["events"],
        &["events", "ls"],
        &["events", "get"],
        &["events", "tail"],
        &["dlq"],
        &["dlq", "groups"],
        &["dlq", "ls"],
        &["dlq", "redrive"],
        &["dlq", "discard"],
        &["operations"],
        &["operations", "ls"],
        &["operations", "get"],
        &["operations", "pause"],
        &["operations", "resume"],
        &["operations", "cancel"],
        &["handlers"],
        &["handlers", "pause"],
        &["handlers", "resume"],
        &["handlers", "restart"],
        &["actors"],
        &["alerts"],
        &["alerts", "test"],
        &["audit"],
        &["stats"],
        &["completions"],
    ];
    for path in commands {
        let help = help(path);
        assert!(help.contains("Examples:"), "no examples in {path:?}:\n{help}");
        insta::assert_snapshot!(["help", &path.join("_")].join("_").trim_end_matches('_'), help);
    }
}

#[test]
fn wrong_usage_is_status_2() {
    let wrong: [&[&str]; 16] = [
        &["send"],
        &["send", "demo.hello", "{"],
        &["send", "demo.hello", "--file", "x"],
        &["send", "--file", "x", "--batch", "1001"],
        &["events", "ls", "--status", "LOST"],
        &["events", "get", ".."],
        &["stats", "--url", "localhost"],
        &["dlq", "ls", "--status", "SUCCESS"],
        &["dlq", "ls", "--status", "POISON", "--no-handler"],
        &["dlq", "redrive", "some-id", "--type", "order.paid"],
        &["dlq", "redrive", "--handler", ""],
        &["dlq", "redrive", "."],
        &["dlq", "discard", "some-id", "--all"],
        &["dlq", "discard", "--all", "--handler", "billing"],
        &["handlers", "pause", ""],
        &["completions", "cmd"],
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
