//! Reads a file of events line by line, on a thread of its own: reading ahead while a request is on its way.
//!
//! A line is passed on as it is, but for the id that it gets if it has none; whether it is a good event is for the
//! node to say.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::super::problem::Problem;
use super::super::screen::Screen;

/// Lines that are read and not yet sent.
const READ_AHEAD: usize = 1_000;

/// Longer than any node accepts: what has no line ends at all is not read into memory.
const LONGEST_LINE: u64 = 64 << 20;

const TEMPLATE: &str = "{spinner} {percent}% [{bar:30}] {bytes}/{total_bytes}  {msg}";
const ENDLESS: &str = "{spinner} {bytes}  {msg}";

/// A line on its way out.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// Counted from 1, blank lines included.
    pub number: u64,
    /// What there is to send.
    pub event: Result<Outgoing, Problem>,
}

/// An event with an id, as it is sent.
#[derive(Debug, PartialEq)]
pub(super) struct Outgoing {
    pub json: Vec<u8>,
    /// Whether it is a CloudEvents structured event; else it has our plain form.
    pub structured: bool,
}

/// The lines of a file and how far it has been read.
pub(super) struct Lines {
    pub lines: mpsc::Receiver<anyhow::Result<Line>>,
    pub bar: ProgressBar,
}

/// Opens a file and starts reading; `-` is stdin. Gzip is told by its first bytes, whatever the name.
pub(super) fn open(path: &Path, screen: &Screen<'_>) -> anyhow::Result<Lines> {
    let (input, bar): (Box<dyn Read + Send>, _) = if path == Path::new("-") {
        (Box::new(io::stdin()), screen.bar(None, ENDLESS))
    } else {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.with_context(|| format!("cannot open {}", path.display()))?;
        anyhow::ensure!(!metadata.is_dir(), "{} is a folder; name a file of events", path.display());
        let length = metadata.is_file().then_some(metadata.len());
        (Box::new(file), screen.bar(length, if length.is_some() { TEMPLATE } else { ENDLESS }))
    };
    let (sender, lines) = mpsc::channel(READ_AHEAD);
    let input = bar.wrap_read(input);
    let path = path.to_owned();
    // Not one of the runtime's threads: it waits for those at its end, and this one may wait for a terminal.
    std::thread::Builder::new().name("lines".into()).spawn(move || {
        let read = read(input, &mut |line| sender.blocking_send(Ok(line)).is_ok());
        if let Err(error) = read {
            let _ = sender.blocking_send(Err(error).with_context(|| format!("cannot read {}", path.display())));
        }
    })?;
    Ok(Lines { lines, bar })
}

/// Reads until the end or until `take` wants no more.
fn read(input: impl Read, take: &mut dyn FnMut(Line) -> bool) -> io::Result<()> {
    let mut raw = BufReader::with_capacity(1 << 16, input);
    let gzip = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let mut input: Box<dyn BufRead> =
        if gzip { Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(raw))) } else { Box::new(raw) };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() as u64 == LONGEST_LINE {
            let what = format!("line {number} is longer than 64 MiB; the file must hold one JSON event a line");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let mut text = line.as_slice();
        if number == 1 {
            text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        }
        let text = text.trim_ascii();
        if !text.is_empty() && !take(Line { number, event: outgoing(number, text) }) {
            return Ok(());
        }
    }
    Ok(())
}

fn outgoing(number: u64, text: &[u8]) -> Result<Outgoing, Problem> {
    let no_event = |error: serde_json::Error| {
        if error.is_data() {
            let detail = r#"expected an object such as {"type":"demo.hello"}"#;
            return Problem::new("Not a JSON object", "not_an_object", detail);
        }
        // The parser has seen one line only, and its number says nothing.
        Problem::new("Not JSON", "not_json", error.to_string().replace(" at line 1 column ", " at column "))
    };
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(text).map_err(no_event)?;
    let structured = members.contains_key("specversion");
    if members.get("id").is_some_and(|id| id.get() != "null") {
        return Ok(Outgoing { json: text.to_vec(), structured });
    }
    let id = to_raw_value(&derived_id(number, text)).map_err(no_event)?;
    members.insert("id".to_owned(), id);
    Ok(Outgoing { json: serde_json::to_vec(&members).map_err(no_event)?, structured })
}

/// The same line at the same place has the same id on every run; equal lines of one file have different ones.
fn derived_id(number: u64, text: &[u8]) -> String {
    let hash = Sha256::new().chain_update(number.to_le_bytes()).chain_update(text).finalize();
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(input: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        read(input, &mut |line| {
            lines.push(line);
            true
        })
        .unwrap();
        lines
    }

    fn sent(line: &Line) -> &str {
        std::str::from_utf8(&line.event.as_ref().unwrap().json).unwrap()
    }

    #[test]
    fn a_derived_id_is_the_same_on_every_run_and_differs_between_equal_lines() {
        let file = b"{\"type\":\"a\"}\n{\"type\":\"a\"}\n";
        let (first, second) = (lines(file), lines(file));
        assert_eq!(first, second);
        assert_eq!(sent(&first[0]), r#"{"id":"de9d39b8c25d53692de63611ee4e4c30","type":"a"}"#);
        assert_ne!(sent(&first[0]), sent(&first[1]));
    }

    #[test]
    fn a_line_with_an_id_is_sent_as_it_is() {
        let line = r#"{ "specversion":"1.0", "id":"x", "type":"a", "data":1.00 }"#;
        let read = lines(line.as_bytes());
        assert_eq!(sent(&read[0]), line);
        assert!(read[0].event.as_ref().unwrap().structured);
    }

    #[test]
    fn data_keeps_its_digits_when_an_id_is_added() {
        let read = lines(br#"{"id":null,"type":"a","data":{"n":12345678901234567890.00}}"#);
        assert!(sent(&read[0]).contains(r#""data":{"n":12345678901234567890.00}"#));
    }

    #[test]
    fn blank_lines_count_but_are_not_sent_and_a_mark_and_carriage_returns_are_dropped() {
        let read = lines("\u{feff}{\"type\":\"a\"}\r\n\r\n  \n[1]\nnope\n{\"type\":\"b\"}".as_bytes());
        let numbers: Vec<(u64, bool)> = read.iter().map(|line| (line.number, line.event.is_ok())).collect();
        assert_eq!(numbers, [(1, true), (4, false), (5, false), (6, true)]);
        let problems: Vec<String> =
            read.iter().filter_map(|line| line.event.as_ref().err()).map(ToString::to_string).collect();
        assert!(problems[0].starts_with("Not a JSON object"), "{problems:?}");
        assert!(problems[1].starts_with("Not JSON"), "{problems:?}");
    }

    #[test]
    fn gzip_is_read_whatever_the_name() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"{\"type\":\"a\"}\n{\"type\":\"b\"}\n").unwrap();
        assert_eq!(lines(&encoder.finish().unwrap()).len(), 2);
    }

    #[test]
    fn a_cut_off_gzip_file_is_an_error_after_its_lines() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"{\"type\":\"a\"}\n").unwrap();
        let mut bytes = encoder.finish().unwrap();
        bytes.truncate(bytes.len() - 4);
        assert!(read(bytes.as_slice(), &mut |_| true).is_err());
    }
}
