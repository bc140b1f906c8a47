//! What a report handler is told by the configuration, checked before anything starts. Nothing is created here: the
//! directory is made for the first report.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The options of a handler of kind `report`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where the reports are put; relative to the working directory, like the database.
    pub directory: PathBuf,
    /// What a report is written as unless its event says otherwise; CSV and HTML unless told.
    #[serde(default = "all")]
    pub formats: Vec<Format>,
}

/// What a report can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        super::FINISHED
    )]
    FeedsItself,
}

impl Options {
    /// Checks the options.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn check(&self) -> Result<(), Error> {
        if self.directory.as_os_str().is_empty() {
            return Err(Error::Directory);
        }
        if are_formats(&self.formats) { Ok(()) } else { Err(Error::Formats) }
    }
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
        assert_eq!(options.check(), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(options("directory = ''").check(), Err(Error::Directory));
        for formats in ["[]", "['csv', 'csv']"] {
            assert_eq!(options(&format!("directory = 'a'\nformats = {formats}")).check(), Err(Error::Formats));
        }
        let unknown = toml::from_str::<Options>("directory = 'a'\nformats = ['pdf']").unwrap_err();
        assert!(unknown.to_string().contains("expected `csv` or `html`"), "{unknown}");
        assert!(toml::from_str::<Options>("directory = 'a'\nfolder = 'b'").is_err());
    }
}
