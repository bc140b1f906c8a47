//! `docs`: the pages of docs/ that are made from the code. Hidden: it is for whoever changes the code.

use clap::{Args, CommandFactory, ValueEnum};

use super::{Cli, Exit, Screen};
use crate::{config, handlers};

/// How wide a terminal is supposed to be.
const WIDTH: usize = 100;

const INTRODUCTION: &str = "\
# The command line

One program does everything. `dev`, `serve`, `check`, `migrate`, `config` and `bench` run or look after a node on this
machine; `send`, `events`, `dlq`, `handlers`, `actors` and `stats` ask a running one over HTTP. This page is made from the
code by `evenkeel docs cli`, and a test compares the two.

**Which node.** `--url`, or `EVENKEEL_URL`, or `http://127.0.0.1:8080`. The client commands know only the HTTP API, so
they work against any node.

**For people and for scripts.** Results go to stdout, everything else to stderr. Tables are for people; `--output json`
prints one JSON document, for lists the API's answer as it came. A reader that closes the pipe is no error. Colours are
only for terminals, and `NO_COLOR` turns them off.

**Exit status.**

| status | when |
|---|---|
| 0 | done; a list that finds nothing is done too |
| 1 | failed: no node answers, it refuses, an event is invalid or did not end well, one of several ids cannot be changed, or the answer to a question was no |
| 2 | the command line was wrong or does not say enough, and nothing was done |

**Asking first.** A redrive by filter and every discard ask before they change anything, and say how many records
match; above 1,000 they say \"more than\". Where nobody can be asked (stdin or stderr is no terminal) they change
nothing and end with status 2, unless `--yes` says that it is meant. `--dry-run` shows what matches. What was done is
in the audit log of the ledger, with the `--reason`.

**Completions.** `evenkeel completions bash` and the like print a script for the shell.
";

/// Arguments of `docs`.
#[derive(Clone, Debug, Args)]
pub struct DocsArgs {
    /// Which page to print.
    pub page: Page,
}

/// The pages that are made from the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// docs/cli.md
    Cli,
    /// docs/configuration.md
    Configuration,
}

pub(super) fn run(args: &DocsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    screen.line(page(args.page).trim_end())?;
    Ok(Exit::Done)
}

fn page(page: Page) -> String {
    match page {
        Page::Cli => cli(),
        Page::Configuration => config::reference(handlers::OPTIONS),
    }
}

fn cli() -> String {
    let mut text = INTRODUCTION.to_owned();
    for path in paths(&Cli::command(), &[]) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let name = [&["evenkeel"], path.as_slice()].concat().join(" ");
        text.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help(&path).trim_end()));
    }
    text
}

/// Every command that is not hidden, each before its own ones.
fn paths(command: &clap::Command, above: &[String]) -> Vec<Vec<String>> {
    let mut found = vec![above.to_vec()];
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        found.extend(paths(inner, &[above, &[inner.get_name().to_owned()]].concat()));
    }
    found
}

/// What `--help` says.
pub(super) fn help(path: &[&str]) -> String {
    let arguments = [&["evenkeel"], path, &["--help"]].concat();
    let parsed = Cli::command().term_width(WIDTH).try_get_matches_from(arguments);
    parsed.err().map(|help| help.to_string()).unwrap_or_default()
}
