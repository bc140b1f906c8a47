//! The log: to standard error, as text for people or JSON for programs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets the process's log up: `format` is `text` or `json`, `level` a filter such as `info` or `evenkeel=debug`.
/// A log that is set up already stays as it is.
///
/// # Errors
/// A filter that cannot be understood.
pub fn init(json: bool, level: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(level)?).with_writer(std::io::stderr);
    let set_up = if json {
        builder.json().flatten_event(true).finish().try_init()
    } else {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder.with_ansi(colour).finish().try_init()
    };
    // An application that embeds the engine has a log of its own.
    drop(set_up);
    Ok(())
}
