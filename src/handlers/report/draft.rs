//! All files of one report, from the first byte to their names. Everything here blocks its thread.
//!
//! Three steps, each a value that the next one takes: dropped between two of them, nothing is left.

use std::fs::File;
use std::path::PathBuf;

use super::cell::Cell;
use super::name::Name;
use super::options::Format;
use super::sheet::{Heading, Sheet, Totals, begin};
use super::temporary::{Owner, Temporary, Unwritten, make_folder, sweep, sync_folder};

/// What a draft begins with.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Where the report is put.
    pub folder: PathBuf,
    /// What it is called.
    pub name: Name,
    /// What it is written as.
    pub formats: Vec<Format>,
    /// Whose it is.
    pub owner: Owner,
    /// Whether there were attempts before, which may have left something.
    pub again: bool,
    /// What stands above the rows.
    pub heading: Heading,
}

/// A report that is being written.
pub(super) struct Draft {
    folder: PathBuf,
    // A file is removed before its writer is dropped, which would write the rest of its buffer.
    sheets: Vec<(Temporary, Box<dyn Sheet>)>,
}

impl Draft {
    /// Makes the files and writes what stands above the rows.
    pub fn begin(plan: &Plan) -> Result<Self, Unwritten> {
        let Plan { folder, name, formats, owner, again, heading } = plan;
        make_folder(folder)?;
        if *again {
            sweep(folder, name, owner.record)?;
        }
        let mut sheets = Vec::with_capacity(formats.len());
        for format in formats {
            let (temporary, file) = Temporary::create(folder, name, *format, owner)?;
            let sheet = begin(*format, file, heading).map_err(Unwritten::at(temporary.target()))?;
            sheets.push((temporary, sheet));
        }
        Ok(Self { folder: folder.clone(), sheets })
    }

    /// Writes some more rows.
    pub fn write(mut self, rows: &[Vec<Cell>]) -> Result<Self, Unwritten> {
        for (temporary, sheet) in &mut self.sheets {
            sheet.write(rows).map_err(Unwritten::at(temporary.target()))?;
        }
        Ok(self)
    }

    /// Writes what is left, and brings it to disk.
    pub fn close(self, totals: &Totals) -> Result<Closed, Unwritten> {
        let mut files = Vec::with_capacity(self.sheets.len());
        for (temporary, sheet) in self.sheets {
            let on_disk = |file: File| file.sync_all();
            sheet.close(totals).and_then(on_disk).map_err(Unwritten::at(temporary.target()))?;
            files.push(temporary);
        }
        Ok(Closed { folder: self.folder, files })
    }
}

/// A report that is on disk, and has no name yet.
pub(super) struct Closed {
    folder: PathBuf,
    files: Vec<Temporary>,
}

impl Closed {
    /// Gives the files their names, if all of them can have theirs. There is no way back once the first one has: what
    /// it replaced is gone, and another request may have replaced it in turn.
    pub fn publish(self) -> Result<(), Unwritten> {
        self.files.iter().try_for_each(Temporary::look)?;
        self.files.into_iter().try_for_each(Temporary::publish)?;
        sync_folder(&self.folder)
    }
}
