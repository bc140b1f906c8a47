//! `config`: the configuration that holds, and its schema. Local: no node is asked, and nothing is created.

use clap::{Args, Subcommand};

use super::commands::ConfigArgs;
use super::{Exit, Output, Screen};
use crate::config::json_schema;
use crate::{Config, handlers};

const HELP: &str = "\
Examples:
  evenkeel config --config config.toml
  evenkeel config --output json | jq '.origins | with_entries(select(.value != \"default\"))'
  evenkeel config schema > evenkeel.schema.json

Every key is shown with its value and where that was said; secrets are redacted. It says what holds,
and `evenkeel check` whether that is good.";

const SCHEMA_HELP: &str = "\
Examples:
  evenkeel config schema > evenkeel.schema.json

With `#:schema ./evenkeel.schema.json` as the first line of config.toml, editors complete and check it
(taplo, and Even Better TOML, which is built on it).";

/// Arguments of `config`.
#[derive(Debug, Args)]
#[command(after_help = HELP, args_conflicts_with_subcommands = true)]
pub struct ConfigCommandArgs {
    /// What to show in its place.
    #[command(subcommand)]
    pub command: Option<ConfigCommand>,
    /// Which configuration to use.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How to print the result: text, or json for one JSON document
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true, default_value_t = Output::Text)]
    pub output: Output,
}

/// What there is about configurations in general.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the JSON Schema of config.toml, for editors
    #[command(after_help = SCHEMA_HELP)]
    Schema,
}

pub(super) fn run(args: &ConfigCommandArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    if let Some(ConfigCommand::Schema) = args.command {
        screen.json(&json_schema(handlers::OPTIONS))?;
        return Ok(Exit::Done);
    }
    let loaded = Config::load(args.config.file().as_deref())?;
    let effective = loaded.effective(handlers::OPTIONS)?;
    match args.output {
        Output::Json => screen.json(&effective.to_json())?,
        Output::Text => screen.line(effective.to_string().trim_end())?,
    }
    Ok(Exit::Done)
}
