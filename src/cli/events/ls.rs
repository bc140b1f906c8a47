//! `events ls`: a page of events, newest first.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::super::client::{Client, ClientArgs};
use super::super::filter::FilterArgs;
use super::super::listing::{List, PageArgs};
use super::super::{Exit, Screen};
use crate::lifecycle::{FinalStatus, Status};

const HELP: &str = "\
Examples:
  evenkeel events ls --since 15m
  evenkeel events ls --final-status DEAD_LETTER --handler billing
  evenkeel events ls --type order.paid --since 2026-01-05T08:00:00Z --until 1h
  evenkeel events ls --status RETRY_SCHEDULED --output json | jq -r '.items[].id'";

/// Arguments of `events ls`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct LsArgs {
    /// Only events that stand here
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(Status::ALL.iter().map(|status| status.as_str())))]
    pub status: Option<String>,
    /// Only events that ended like this
    #[arg(long, ignore_case = true,
          value_parser = PossibleValuesParser::new(FinalStatus::ALL.iter().map(|status| status.as_str())))]
    pub final_status: Option<String>,
    /// Which events.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Which part of the list.
    #[command(flatten)]
    pub page: PageArgs,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

pub(super) async fn run(args: &LsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let upper = |word: &Option<String>| word.as_ref().map(|word| word.to_ascii_uppercase());
    let statuses = [("status", upper(&args.status)), ("final_status", upper(&args.final_status))];
    let mut filter: Vec<_> = statuses.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    filter.extend(args.filter.pairs(screen.now()));
    let client = Client::new(&args.client)?;
    let list = List { path: &["events"], what: "events", filter };
    list.show(&client, &args.page, args.client.output, screen).await
}
