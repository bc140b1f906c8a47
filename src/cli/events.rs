//! `events`: what happened to events.

mod get;
mod ls;

use clap::Subcommand;

pub use get::GetArgs;
pub use ls::LsArgs;

use super::{Exit, Screen};

const HELP: &str = "\
Examples:
  evenkeel events ls --since 15m
  evenkeel events get order-4711";

/// The commands over recorded events.
#[derive(Debug, Subcommand)]
#[command(after_help = HELP)]
pub enum EventsCommand {
    /// List events, newest first
    Ls(Box<LsArgs>),
    /// Show one event with its data and all its attempts
    Get(GetArgs),
}

pub(super) async fn run(command: EventsCommand, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    match command {
        EventsCommand::Ls(args) => ls::run(&args, screen).await,
        EventsCommand::Get(args) => get::run(&args, screen).await,
    }
}
