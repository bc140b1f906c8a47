//! The arguments of the commands that run or look after a node, and the texts at the end of their `--help`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::Output;

pub(super) const MAIN_HELP: &str = "\
Examples:
  evenkeel dev                                        an engine on http://127.0.0.1:8080
  evenkeel send demo.hello '{\"name\":\"Ada\"}' --wait    send an event and see how it ends
  evenkeel dlq ls                                     what could not be handled
  evenkeel serve --config config.toml                 the engine as a service

Exit status:
  0  done
  1  failed (for send: an event was invalid, or did not end well; duplicates are fine)
  2  the command line was wrong, or nobody was there to confirm it; nothing was done

Errors go to stderr, and NO_COLOR is respected.";

const DEV_HELP: &str = "\
Examples:
  evenkeel dev
  evenkeel dev --port 9000 --data-dir /tmp/evenkeel
  evenkeel send demo.flaky '{\"failures\":2}' --wait      from another terminal

It listens on 127.0.0.1 only and handles demo.hello, demo.flaky, demo.slow, demo.fail, demo.panic,
com.github.* and chemical.*. Ctrl-C stops it; nothing is lost.";

const SERVE_HELP: &str = "\
Examples:
  evenkeel serve                                      ./config.toml, or the embedded defaults
  evenkeel serve --config /etc/evenkeel/config.toml
  EVENKEEL__SERVER__BIND=[::1]:8080 evenkeel serve    one key from the environment

SIGTERM and Ctrl-C drain: no new events, what runs is finished, the rest waits in the ledger.
A second signal, at least a second later, ends at once.";

const CHECK_HELP: &str = "\
Examples:
  evenkeel check --config config.toml

Exit status 1 if something is wrong; each finding names its key and its place.";

const MIGRATE_HELP: &str = "\
Examples:
  evenkeel migrate --config config.toml

Running it again does no harm. Stop older nodes first.";

const BENCH_HELP: &str = "\
Examples:
  evenkeel bench
  evenkeel bench --events 1000000 --output json
  evenkeel bench pages                                how long pages take over 1,000,000 records";

const BENCH_PAGES_HELP: &str = "\
Examples:
  evenkeel bench pages
  evenkeel bench pages --database postgres://evenkeel:secret@127.0.0.1/bench
  evenkeel bench pages --records 100000 --for 30s --output json

It fills an empty ledger, lets events come in at the rate, and asks for every page and every list in
turn: each at its own moment, whether or not those before it have been answered, and timed from that
moment to its last byte. Exit status 1 if the 95th percentile of any of them is above the bound, if one
was not answered, or if an event was refused. The PostgreSQL database has to be there, and empty; it is
left as it is then.";

/// Arguments of `dev`.
#[derive(Clone, Debug, Args)]
#[command(after_help = DEV_HELP)]
pub struct DevArgs {
    /// The port on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Where the ledger is kept; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "./evenkeel-data")]
    pub data_dir: PathBuf,
}

/// Which configuration to use.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// The configuration [default: ./config.toml if there is one, else the embedded defaults]
    #[arg(long, value_name = "FILE", env = "EVENKEEL_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The file to read; `None` stands for the embedded defaults.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        // An empty variable counts as unset, as it does in a shell's `${EVENKEEL_CONFIG:-…}`.
        let given = self.config.clone().filter(|path| !path.as_os_str().is_empty());
        given.or_else(|| Some(Path::new("config.toml")).filter(|path| path.exists()).map(Path::to_path_buf))
    }
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub struct ServeArgs {
    /// Which configuration to use.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
#[command(after_help = CHECK_HELP)]
pub struct CheckArgs {
    /// Which configuration to use.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `migrate`.
#[derive(Clone, Debug, Args)]
#[command(after_help = MIGRATE_HELP)]
pub struct MigrateArgs {
    /// Which configuration to use.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `bench`.
#[derive(Clone, Debug, Args)]
#[command(after_help = BENCH_HELP, args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// Something else than the rate of events.
    #[command(subcommand)]
    pub of: Option<BenchCommand>,
    /// How many events to process
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub events: u64,
    /// How to print the result: text, or json for one JSON document
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true, default_value_t = Output::Text)]
    pub output: Output,
}

/// What else is measured.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure how long pages and lists take over a large ledger while events come in
    Pages(BenchPagesArgs),
}

/// Arguments of `bench pages`.
#[derive(Clone, Debug, Args)]
#[command(after_help = BENCH_PAGES_HELP)]
pub struct BenchPagesArgs {
    /// How many records the ledger has before it begins
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    pub records: u64,
    /// How many events come in each second
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// How many pages and lists are asked for each second
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub visits: u32,
    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub span: Duration,
    /// What the 95th percentile of each page may be
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = humantime::parse_duration)]
    pub bound: Duration,
    /// An empty database on PostgreSQL [default: a SQLite file in a folder under the working directory]
    #[arg(long, value_name = "URL", env = "EVENKEEL_BENCH_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// How to print the result: text, or json for one JSON document
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true, default_value_t = Output::Text)]
    pub output: Output,
}
