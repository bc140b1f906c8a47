//! `events`: what happened to events.

mod get;
mod ls;
mod tail;

use clap::Subcommand;

pub use get::GetArgs;
pub use ls::LsArgs;
pub use tail::TailArgs;

use super::pace::Pace;
use super::{Exit, Screen};

const HELP: &str = "\
Examples:
  evenkeel events ls --since 15m
  evenkeel events get order-4711
  evenkeel events tail --type order.paid";

/// The commands over recorded events.
#[derive(Debug, Subcommand)]
#[command(after_help = HELP)]
pub enum EventsCommand {
    /// List events, newest first
    Ls(Box<LsArgs>),
    /// Show one event with its data and all its attempts
    Get(GetArgs),
    /// Print events as they come
    Tail(Box<TailArgs>),
}

pub(super) async fn run(command: EventsCommand, screen: &mut Screen<'_>, pace: &Pace) -> anyhow::Result<Exit> {
    match command {
        EventsCommand::Ls(args) => ls::run(&args, screen).await,
        EventsCommand::Get(args) => get::run(&args, screen).await,
        EventsCommand::Tail(args) => tail::run(&args, screen, pace).await,
    }
}
