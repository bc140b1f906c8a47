//! The log: to standard error, as text for people or JSON for programs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use super::{Config, LogFormat};

/// Libraries that tell of every step, or call an error what is none here: a queue that is not there yet, a connection that
/// is built again. A filter that names them hears them all the same.
const QUIET: &str = "actix_server=warn,lapin=off,sea_orm_migration=warn,sqlx=warn";

/// Sets the process's log up. A log that is set up already stays as it is.
///
/// # Errors
/// A filter that cannot be understood.
pub fn init(config: &Config) -> Result<(), tracing_subscriber::filter::ParseError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(format!("{QUIET},{}", config.log_level))?)
        .with_writer(std::io::stderr);
    let set_up = if config.log_format == LogFormat::Json {
        builder.json().flatten_event(true).finish().try_init()
    } else {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder.with_ansi(colour).finish().try_init()
    };
    // An application that embeds the engine has a log of its own.
    drop(set_up);
    Ok(())
}
