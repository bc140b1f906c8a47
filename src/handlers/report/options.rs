//! What a report handler is told by the configuration, checked before anything starts. Nothing is created here: the
//! directory is made for the first report.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FINISHED;
use crate::handle::{self, Routes};

/// Writes reports into a directory, of the ledger in a period or of the rows in the event's data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where the reports are put; relative to the working directory, like the database.
    pub directory: PathBuf,
    /// What a report is written as unless its event says otherwise.
    #[serde(default = "all")]
    pub formats: Vec<Format>,
}

/// What a report can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values, for programs and spreadsheets.
    Csv,
    /// A page, for people.
    Html,
}

fn all() -> Vec<Format> {
    vec![Format::Csv, Format::Html]
}

impl Format {
    /// The end of the file's name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Html => "html",
        }
    }
}

/// Why options cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no place for the reports.
    #[error("`directory` is empty; name a folder for the reports, `.` for the working directory")]
    Directory,
    /// A report would be no file at all, or one file twice.
    #[error("`formats` must name `csv`, `html` or both, each once")]
    Formats,
    /// Each report would ask for another one.
    #[error(
        "`types` takes `{}`, which this handler sends itself when a report is finished; bind that to another handler, \
         or name the types one by one",
        FINISHED
    )]
    FeedsItself,
}

impl Options {
    /// Checks the options of the handler with this name, one of all these.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn check(&self, name: &str, all: &[handle::Config]) -> Result<(), Error> {
        if self.directory.as_os_str().is_empty() {
            return Err(Error::Directory);
        }
        if !are_formats(&self.formats) {
            return Err(Error::Formats);
        }
        if hears_of_reports(name, all) { Err(Error::FeedsItself) } else { Ok(()) }
    }
}

/// Whether finished reports are told to this handler, and not to one with a more specific pattern.
fn hears_of_reports(name: &str, all: &[handle::Config]) -> bool {
    let mut routes = Routes::default();
    for handler in all {
        // A pattern that is wrong or there twice is told when the handlers are bound.
        drop(routes.add(&Arc::from(handler.name.as_str()), &handler.types));
    }
    routes.resolve(FINISHED).is_some_and(|taker| **taker == *name)
}

/// Whether these are formats that a report can have at the same time.
pub(super) fn are_formats(formats: &[Format]) -> bool {
    !formats.is_empty() && formats.iter().enumerate().all(|(index, format)| !formats[..index].contains(format))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Options {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn only_the_directory_is_required() {
        let options = options("directory = 'reports'");
        assert_eq!(options.formats, [Format::Csv, Format::Html]);
        assert_eq!(options.check("reports", &[]), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(options("directory = ''").check("reports", &[]), Err(Error::Directory));
        for formats in ["[]", "['csv', 'csv']"] {
            let options = options(&format!("directory = 'a'\nformats = {formats}"));
            assert_eq!(options.check("reports", &[]), Err(Error::Formats));
        }
        let unknown = toml::from_str::<Options>("directory = 'a'\nformats = ['pdf']").unwrap_err();
        assert!(unknown.to_string().contains("expected `csv` or `html`"), "{unknown}");
        assert!(toml::from_str::<Options>("directory = 'a'\nfolder = 'b'").is_err());
    }

    #[test]
    fn finished_reports_may_go_to_any_handler_but_a_handler_of_reports() {
        let handler = |name: &str, pattern: &str| handle::Config {
            name: name.to_owned(),
            types: vec![pattern.to_owned()],
            ..handle::Config::default()
        };
        let check = |all: &[handle::Config]| options("directory = 'a'").check("reports", all);
        for pattern in ["*", "report.*", "report.finished"] {
            assert_eq!(check(&[handler("reports", pattern), handler("log", "order.*")]), Err(Error::FeedsItself));
        }
        for (reports, log) in [("report.daily", "*"), ("report.*", "report.finished"), ("*", "report.*")] {
            assert_eq!(check(&[handler("reports", reports), handler("log", log)]), Ok(()));
        }
    }
}
