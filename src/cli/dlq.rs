//! `dlq`: what could not be handled, and what an operator does about it.

mod change;
mod groups;
mod ls;
mod many;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand};

pub use change::ChangeArgs;
pub use groups::GroupsArgs;
pub use ls::LsArgs;

use super::filter::FilterArgs;
use super::pace::Pace;
use super::{Exit, Screen, text};
use crate::clock::Timestamp;
use crate::lifecycle::{FinalStatus, Status};
use change::Verb;

const HELP: &str = "\
Examples:
  evenkeel dlq groups
  evenkeel dlq ls --handler billing
  evenkeel dlq redrive --handler billing --since 1h
  evenkeel dlq discard 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11 --reason 'paid by hand'";

const REDRIVE_HELP: &str = "\
Examples:
  evenkeel dlq redrive 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11
  evenkeel dlq redrive --handler billing --since 1h --reason 'the bank is back'
  evenkeel dlq redrive --group 9f86d081884c7d65 --rate 50
  evenkeel dlq redrive --no-handler --type order.paid --yes
  evenkeel dlq redrive --all --dry-run

What has ids is redriven at once. What is chosen by a filter is counted and asked about first;
without a terminal that takes --yes. The server does it in the background, however many there are:
Ctrl-C stops looking, and `evenkeel operations cancel` ends it.

Exit status 1 if something cannot be redriven (the others are), or if the answer is no; 2 if nobody
can be asked.";

const DISCARD_HELP: &str = "\
Examples:
  evenkeel dlq discard 0190f3a1-7c5e-7d10-9c2b-0d6f8a6b2f11
  evenkeel dlq discard order-4711 order-4712 --reason 'test orders' --yes
  evenkeel dlq discard --type order.test --until 30d --dry-run

Discarded records stay in the ledger with all their attempts, and are never handled again. It is
asked about first; without a terminal that takes --yes. What is chosen by a filter is done by the
server in the background: Ctrl-C stops looking, and `evenkeel operations cancel` ends it.

Exit status 1 if something cannot be discarded (the others are), or if the answer is no; 2 if nobody
can be asked.";

/// The commands over dead letters.
#[derive(Debug, Subcommand)]
#[command(after_help = HELP)]
pub enum DlqCommand {
    /// Show what dead letters have in common, and how many there are
    Groups(GroupsArgs),
    /// List dead letters, newest first
    Ls(Box<LsArgs>),
    /// Start a new round of attempts for dead letters
    #[command(after_help = REDRIVE_HELP)]
    Redrive(Box<ChangeArgs>),
    /// Lay dead letters to rest
    #[command(after_help = DISCARD_HELP)]
    Discard(Box<ChangeArgs>),
}

pub(super) async fn run(command: DlqCommand, screen: &mut Screen<'_>, pace: &Pace) -> anyhow::Result<Exit> {
    match command {
        DlqCommand::Groups(args) => groups::run(&args, screen).await,
        DlqCommand::Ls(args) => ls::run(&args, screen).await,
        DlqCommand::Redrive(args) => change::run(Verb::Redrive, &args, screen, pace).await,
        DlqCommand::Discard(args) => change::run(Verb::Discard, &args, screen, pace).await,
    }
}

/// Which dead letters.
#[derive(Clone, Debug, Default, Args)]
pub struct WhichArgs {
    /// Only dead letters of this kind
    #[arg(long, ignore_case = true, conflicts_with = "no_handler", value_parser = PossibleValuesParser::new(
          Status::ALL.iter().filter(|status| status.final_status() == Some(FinalStatus::DeadLetter)).map(|status| status.as_str())))]
    pub status: Option<String>,
    /// Events that no handler was bound to, in place of dead letters
    #[arg(long)]
    pub no_handler: bool,
    /// Only this group, as `dlq groups` names it
    #[arg(long, value_name = "GROUP", value_parser = NonEmptyStringValueParser::new())]
    pub group: Option<String>,
    /// Which events.
    #[command(flatten)]
    pub filter: FilterArgs,
}

impl WhichArgs {
    /// The filters that were given, with the names of the API.
    fn pairs(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let status = self.status.as_ref().map(|word| ("status", word.to_ascii_uppercase()));
        let no_handler = self.no_handler.then(|| ("final_status", FinalStatus::NoHandler.as_str().to_owned()));
        let group = self.group.as_ref().map(|group| ("group", group.clone()));
        status.into_iter().chain(no_handler).chain(group).chain(self.filter.pairs(now)).collect()
    }

    /// So many of them, in words.
    fn counted(&self, number: u64) -> String {
        if self.no_handler {
            format!("{} without a handler", text::plural(number, "event"))
        } else {
            text::plural(number, "dead letter")
        }
    }
}
