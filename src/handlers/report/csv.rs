//! CSV as RFC 4180 has it: a line of names, lines that end with CR LF, quotes where they are needed; UTF-8.

use std::fs::File;
use std::io;

use csv::{ErrorKind, Terminator, Writer, WriterBuilder};

use super::cell::Cell;
use super::sheet::{Heading, Sheet, Totals};

/// How much is collected before it is written, in bytes.
const BUFFER: usize = 64 * 1_024;

/// A CSV file that is being written.
pub(super) struct CsvSheet(Writer<File>);

impl CsvSheet {
    /// Writes the line of names.
    pub fn begin(file: File, heading: &Heading) -> io::Result<Self> {
        let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).buffer_capacity(BUFFER).from_writer(file);
        if !heading.columns.is_empty() {
            // A name that was sent is as little to be trusted as a value.
            let names = heading.columns.iter().map(|name| Cell::Text(name.clone()));
            writer.write_record(names.map(|name| name.for_spreadsheets().into_owned())).map_err(into_io)?;
        }
        Ok(Self(writer))
    }
}

impl Sheet for CsvSheet {
    fn write(&mut self, rows: &[Vec<Cell>]) -> io::Result<()> {
        for row in rows {
            let values = row.iter().map(Cell::for_spreadsheets);
            self.0.write_record(values.map(|value| value.into_owned())).map_err(into_io)?;
        }
        Ok(())
    }

    /// A table for programs has no totals: they would be one more row.
    fn close(self: Box<Self>, _: &Totals) -> io::Result<File> {
        self.0.into_inner().map_err(|error| error.into_error())
    }
}

/// What the system said, whose kind decides what the operator is told.
fn into_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
