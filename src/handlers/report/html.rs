//! A page that stands for itself: nothing is loaded, nothing runs, and every text is escaped.
//!
//! The totals stand above the rows and are known after them, so room is kept for them, and they are written last.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use askama::Template;

use super::cell::Cell;
use super::sheet::{Heading, Sheet, Totals};
use crate::lifecycle::Status;

/// How much is collected before it is written, in bytes.
const BUFFER: usize = 64 * 1_024;

#[derive(Template)]
#[template(path = "report.html", block = "head")]
struct Head<'a> {
    heading: &'a Heading,
}

#[derive(Template)]
#[template(path = "report.html", block = "totals")]
struct Summary<'a> {
    totals: &'a Totals,
}

#[derive(Template)]
#[template(path = "report.html", block = "columns")]
struct Columns<'a> {
    heading: &'a Heading,
}

#[derive(Template)]
#[template(path = "report.html", block = "rows")]
struct Rows<'a> {
    rows: &'a [Vec<Cell>],
}

#[derive(Template)]
#[template(path = "report.html", block = "foot")]
struct Foot;

/// An HTML file that is being written.
pub(super) struct HtmlSheet {
    file: BufWriter<File>,
    /// Where the room for the totals begins.
    room: u64,
}

impl HtmlSheet {
    /// Writes the page up to its first row.
    pub fn begin(file: File, heading: &Heading) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER, file);
        Head { heading }.write_into(&mut file)?;
        let room = file.stream_position()?;
        let longest = rendered(&longest())?;
        file.write_all(" ".repeat(longest.len()).as_bytes())?;
        Columns { heading }.write_into(&mut file)?;
        Ok(Self { file, room })
    }
}

impl Sheet for HtmlSheet {
    fn write(&mut self, rows: &[Vec<Cell>]) -> io::Result<()> {
        Rows { rows }.write_into(&mut self.file)
    }

    fn close(mut self: Box<Self>, totals: &Totals) -> io::Result<File> {
        Foot.write_into(&mut self.file)?;
        self.file.seek(SeekFrom::Start(self.room))?;
        self.file.write_all(rendered(totals)?.as_bytes())?;
        self.file.into_inner().map_err(|error| error.into_error())
    }
}

fn rendered(totals: &Totals) -> io::Result<String> {
    Summary { totals }.render().map_err(io::Error::other)
}

/// Totals that no others are longer than.
fn longest() -> Totals {
    Totals { rows: u64::MAX, by_status: Status::ALL.iter().map(|status| (*status, u64::MAX)).collect() }
}
