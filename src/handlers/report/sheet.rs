//! A report as one file: what its rows are written to, whatever the format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use super::cell::Cell;
use super::csv::CsvSheet;
use super::html::HtmlSheet;
use super::options::Format;
use crate::clock::Timestamp;
use crate::lifecycle::Status;
use crate::persist::Record;

/// What stands above the rows.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    /// What the report is called for people.
    pub title: String,
    /// What was asked, if it was asked of the ledger.
    pub about: Option<String>,
    /// When its making began.
    pub made_at: Timestamp,
    /// The names of the columns.
    pub columns: Vec<String>,
}

/// How much a report holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// All rows.
    pub rows: u64,
    /// The records that it shows, by their status.
    pub by_status: BTreeMap<Status, u64>,
}

impl Totals {
    /// Counts rows that came with the request.
    pub fn count(&mut self, rows: usize) {
        self.rows += rows as u64;
    }

    /// Counts rows of the ledger.
    pub fn count_records(&mut self, records: &[Record]) {
        self.count(records.len());
        for record in records {
            *self.by_status.entry(record.status).or_default() += 1;
        }
    }
}

/// A file that is being written.
pub(super) trait Sheet: Send {
    /// Writes some more rows.
    fn write(&mut self, rows: &[Vec<Cell>]) -> io::Result<()>;

    /// Writes what is left, and gives the file back for it to be put on disk.
    fn close(self: Box<Self>, totals: &Totals) -> io::Result<File>;
}

/// A file with what stands above the rows.
pub(super) fn begin(format: Format, file: File, heading: &Heading) -> io::Result<Box<dyn Sheet>> {
    Ok(match format {
        Format::Csv => Box::new(CsvSheet::begin(file, heading)?),
        Format::Html => Box::new(HtmlSheet::begin(file, heading)?),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heading(about: Option<&str>) -> Heading {
        Heading {
            title: "<b>Tom & \"Jerry\"</b>".to_owned(),
            about: about.map(str::to_owned),
            made_at: Timestamp(1_767_600_140_000_000),
            columns: ["name", "=cents"].map(str::to_owned).to_vec(),
        }
    }

    fn written(format: Format, heading: &Heading, totals: &Totals) -> String {
        let rows = [
            json!(["<script>alert(1)</script>", -5]),
            json!(["=HYPERLINK(\"http://x\",\"a\")", null]),
            json!(["two\nlines, and more", true]),
        ];
        let rows = rows.map(|row| serde_json::from_value::<Vec<Cell>>(row).unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut sheet = begin(format, file.reopen().unwrap(), heading).unwrap();
        for page in rows.chunks(2) {
            sheet.write(page).unwrap();
        }
        sheet.close(totals).unwrap();
        std::fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn csv_is_quoted_where_it_must_be_and_no_formula_is_left() {
        let text = written(Format::Csv, &heading(None), &Totals::default());
        let lines = [
            "name,'=cents",
            "<script>alert(1)</script>,-5",
            "\"'=HYPERLINK(\"\"http://x\"\",\"\"a\"\")\",",
            "\"two\nlines, and more\",true",
        ];
        assert_eq!(text, lines.map(|line| format!("{line}\r\n")).concat());
    }

    #[test]
    fn a_page_escapes_every_text_and_has_its_totals_on_top() {
        let mut totals = Totals { rows: 3, by_status: BTreeMap::from([(Status::Success, 2), (Status::Poison, 1)]) };
        let page = written(Format::Html, &heading(Some("Events of <today>.")), &totals);
        let (head, body) = page.split_once("<body>").unwrap();
        assert!(head.contains("<title>&#60;b&#62;Tom &#38; &#34;Jerry&#34;&#60;/b&#62;</title>"), "{head}");
        // Nothing is left of the room that was kept for the totals but blanks at the end of a line.
        let body: Vec<&str> = body.lines().map(str::trim).collect();
        insta::assert_snapshot!(body.join("\n"));
        totals.rows = 1;
        assert!(written(Format::Html, &heading(None), &totals).contains("<b>1</b> row<"));
    }

    #[test]
    fn a_page_loads_nothing_and_runs_nothing() {
        let page = written(Format::Html, &heading(None), &Totals::default());
        for foreign in ["<script", "src=", "href=", "url(", "@import", "onload"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn the_largest_totals_find_room() {
        let totals =
            Totals { rows: u64::MAX, by_status: Status::ALL.iter().map(|status| (*status, u64::MAX)).collect() };
        let page = written(Format::Html, &heading(None), &totals);
        let rows = page.split_once("</ul>").unwrap().1;
        assert!(rows.trim_start().starts_with("<div"), "{rows}");
        assert_eq!(page.matches(&u64::MAX.to_string()).count(), 1 + Status::ALL.len());
    }

    #[test]
    fn a_full_disk_is_known_by_its_kind() {
        for (format, rows) in [(Format::Csv, 0), (Format::Csv, 100), (Format::Html, 0), (Format::Html, 100)] {
            // The kernel's own ENOSPC.
            let full = File::options().write(true).open("/dev/full").unwrap();
            let written = begin(format, full, &heading(None)).and_then(|mut sheet| {
                sheet.write(&vec![vec![Cell::Text("x".repeat(1_000)), Cell::Empty]; rows])?;
                sheet.close(&Totals::default())
            });
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull, "{rows} rows of {format:?}");
        }
    }
}
