//! `dlq ls`: a page of dead letters, newest first.

use clap::Args;

use super::super::client::{Client, ClientArgs};
use super::super::listing::{List, PageArgs};
use super::super::{Exit, Screen};
use super::WhichArgs;

const HELP: &str = "\
Examples:
  evenkeel dlq ls
  evenkeel dlq ls --handler billing --since 1h
  evenkeel dlq ls --status poison
  evenkeel dlq ls --no-handler --output json | jq -r '.items[].type' | sort | uniq -c";

/// Arguments of `dlq ls`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct LsArgs {
    /// Which dead letters.
    #[command(flatten)]
    pub which: WhichArgs,
    /// Which part of the list.
    #[command(flatten)]
    pub page: PageArgs,
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
}

pub(super) async fn run(args: &LsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let what = if args.which.no_handler { "events without a handler" } else { "dead letters" };
    let list = List { path: &["dead-letters"], what, filter: args.which.pairs(screen.now()) };
    list.show(&client, &args.page, args.client.output, screen).await
}
