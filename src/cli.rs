//! The command line: what can be asked, and which exit status answers.
//!
//! The client commands know nothing of the engine but its HTTP interface, so they work against any node. Everything
//! is written through a [`Screen`]; nothing here prints by itself.

mod actors;
mod alerts;
mod answer;
mod audit;
mod bench;
mod client;
mod commands;
mod completions;
mod config;
mod dlq;
mod docs;
mod events;
mod filter;
mod handlers;
mod listing;
mod local;
mod nodes;
mod operations;
mod pace;
mod problem;
mod screen;
mod send;
mod stats;
mod text;
mod wait;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use actors::ActorsArgs;
pub use alerts::AlertsArgs;
pub use audit::AuditArgs;
pub use client::{ClientArgs, Output};
pub use commands::{BenchArgs, BenchCommand, BenchPagesArgs, CheckArgs, DevArgs, MigrateArgs, ServeArgs};
pub use completions::CompletionsArgs;
pub use config::ConfigCommandArgs;
pub use dlq::DlqCommand;
pub use docs::DocsArgs;
pub use events::EventsCommand;
pub use handlers::HandlersArgs;
pub use nodes::NodesArgs;
pub use operations::OperationsCommand;
pub use screen::Screen;
pub use send::SendArgs;
pub use stats::StatsArgs;

use crate::clock::Clock;
use pace::Pace;

/// An actor-based event processing engine: takes events in, runs their handlers, retries, and remembers what happened.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, max_term_width = 100, after_help = commands::MAIN_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands. The first ones run or look after a node, the others talk to a running one.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start an engine to play with: no configuration, SQLite, demo handlers
    Dev(DevArgs),
    /// Run the engine as a service
    Serve(ServeArgs),
    /// Check a configuration without starting or creating anything
    Check(CheckArgs),
    /// Bring the database to the schema of this version
    Migrate(MigrateArgs),
    /// Show the configuration that holds, and where each value was said
    Config(ConfigCommandArgs),
    /// Measure how many events a second this machine can process
    Bench(BenchArgs),
    /// Send an event, or a file of events
    Send(SendArgs),
    /// See what happened to events
    #[command(subcommand)]
    Events(EventsCommand),
    /// Redrive or discard what could not be handled
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// See how far operations on many dead letters have come, pause and cancel them
    #[command(subcommand)]
    Operations(OperationsCommand),
    /// See how the handlers fare, pause, resume and restart them
    Handlers(HandlersArgs),
    /// Show the tree of actors, live
    Actors(ActorsArgs),
    /// List the nodes that work on the ledger
    Nodes(NodesArgs),
    /// See what operators were alerted of, and test the way there
    Alerts(AlertsArgs),
    /// See who did what, and why
    Audit(AuditArgs),
    /// Count the events by status
    Stats(StatsArgs),
    /// Print a script that completes this command line in a shell
    Completions(CompletionsArgs),
    /// Print a page of docs/ that is made from the code
    #[command(hide = true)]
    Docs(DocsArgs),
}

/// How a command ended, if it could be carried out at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done: status 0.
    Done,
    /// Carried out, and the answer is bad, such as an invalid event: status 1.
    Failed,
    /// Nothing was done, because the command line does not say enough: status 2.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            Exit::Usage => Self::from(2),
        }
    }
}

/// Reads the arguments, runs the command and says how it ended: 0 done, 1 failed, 2 usage.
#[must_use]
pub fn main() -> ExitCode {
    // One crypto provider for everything that speaks TLS. An error means that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Whoever closed the pipe does not want to read it.
            let _ = usage.print();
            return if usage.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    // Not locked: an engine that runs in this process logs from other threads.
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut answers = io::BufReader::new(io::stdin());
    let mut screen = Screen::new(&mut out, &mut err, Clock::default()).with_bars();
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        screen = screen.with_answers(&mut answers);
    }
    match run(cli.command, &mut screen) {
        Ok(exit) => exit.into(),
        Err(error) => {
            screen.note(format_args!("error: {}", told(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, each told once: texts for people often hold their cause already.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn run(command: Command, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    match command {
        Command::Dev(args) => local::dev(&args, screen),
        Command::Serve(args) => local::serve(&args, screen),
        Command::Check(args) => local::check(&args, screen),
        Command::Migrate(args) => local::migrate(&args, screen),
        Command::Bench(args) => bench::bench(&args, screen),
        Command::Config(args) => config::run(&args, screen),
        Command::Completions(args) => completions::run(&args, screen),
        Command::Docs(args) => docs::run(&args, screen),
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(ask(command, screen, &Pace::default()))
        }
    }
}

/// The commands that talk to a running node.
async fn ask(command: Command, screen: &mut Screen<'_>, pace: &Pace) -> anyhow::Result<Exit> {
    match command {
        Command::Send(args) => send::run(args, screen, pace).await,
        Command::Events(command) => events::run(command, screen, pace).await,
        Command::Dlq(command) => dlq::run(command, screen, pace).await,
        Command::Operations(command) => operations::run(command, screen).await,
        Command::Audit(args) => audit::run(&args, screen).await,
        Command::Alerts(args) => alerts::run(&args, screen).await,
        Command::Handlers(args) => handlers::run(&args, screen).await,
        Command::Actors(args) => actors::run(&args, screen).await,
        Command::Nodes(args) => nodes::run(&args, screen).await,
        Command::Stats(args) => stats::run(&args, screen).await,
        local => anyhow::bail!("{local:?} does not talk to a running node"),
    }
}

#[cfg(test)]
mod tests;
