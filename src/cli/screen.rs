//! Where the commands write: results on stdout, everything else on stderr.
//!
//! A reader that has gone away (`evenkeel events ls | head -1`) is no error: what it does not want to read is
//! dropped, and the command's own result decides the exit status.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, BufRead, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock::{Clock, Timestamp};

/// The two streams of a command, and the time it shows.
pub struct Screen<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    clock: Clock,
    bars: bool,
    answers: Option<&'a mut dyn BufRead>,
}

impl<'a> Screen<'a> {
    /// A screen over these streams, without progress bars.
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, clock: Clock) -> Self {
        Self { out, err, clock, bars: false, answers: None }
    }

    /// The same screen with progress bars, if stderr is a terminal.
    #[must_use]
    pub fn with_bars(mut self) -> Self {
        self.bars = true;
        self
    }

    /// The same screen with somebody before it, who answers here.
    #[must_use]
    pub fn with_answers(mut self, answers: &'a mut dyn BufRead) -> Self {
        self.answers = Some(answers);
        self
    }

    /// Asks for a yes on stderr; none if nobody is there.
    ///
    /// # Errors
    /// The stream's of the answers.
    pub fn confirm(&mut self, question: impl Display) -> io::Result<Option<bool>> {
        let Some(answers) = self.answers.as_deref_mut() else { return Ok(None) };
        let question = question.to_string();
        // A question that cannot be read is answered by no.
        let _ = write!(self.err, "{} [y/N] ", harmless(&question, &[])).and_then(|()| self.err.flush());
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
    }

    /// The clock that relative times are told by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes a line of the result to stdout.
    ///
    /// # Errors
    /// The stream's, but for a reader that has gone.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        let text = text.to_string();
        put(self.out, &harmless(&text, &['\n', '\t']))
    }

    /// Writes a JSON document to stdout.
    ///
    /// # Errors
    /// The stream's, but for a reader that has gone.
    pub fn json(&mut self, document: &impl Serialize) -> io::Result<()> {
        put(self.out, &serde_json::to_string_pretty(document)?)
    }

    /// Writes a JSON document to stdout as it came, with its order and its digits.
    ///
    /// # Errors
    /// The stream's, but for a reader that has gone.
    pub fn raw_json(&mut self, document: &RawValue) -> io::Result<()> {
        put(self.out, document.get())
    }

    /// Writes a note to stderr. There is nowhere to say that it could not be written.
    pub fn note(&mut self, text: impl Display) {
        let text = text.to_string();
        let _ = put(self.err, &harmless(&text, &['\n', '\t']));
    }

    /// A progress bar on stderr; on anything but a terminal it is not drawn. The templates have no colours.
    #[must_use]
    pub fn bar(&self, length: Option<u64>, template: &str) -> ProgressBar {
        if !self.bars {
            return ProgressBar::hidden();
        }
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

fn put(stream: &mut dyn Write, text: &str) -> io::Result<()> {
    match writeln!(stream, "{text}").and_then(|()| stream.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// What turns the direction of the text around it, so that it reads as something else (Unicode UAX #9, explicit
/// formatting characters and marks).
const TURNS: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

/// The text with its control characters spelled out but for these: an event's subject must not drive a terminal.
pub(super) fn harmless<'a>(text: &'a str, but: &[char]) -> Cow<'a, str> {
    let harms = |letter: char| (letter.is_control() || TURNS.contains(&letter)) && !but.contains(&letter);
    if !text.contains(harms) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if harms(letter) {
            // Writing to a String cannot fail.
            let _ = write!(spelled, "{}", letter.escape_default());
        } else {
            spelled.push(letter);
        }
    }
    Cow::Owned(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let (mut out, mut err) = (Gone, Gone);
        let mut screen = Screen::new(&mut out, &mut err, Clock::default());
        screen.line("a result").unwrap();
        screen.json(&[1, 2]).unwrap();
        screen.note("a note");
    }

    #[test]
    fn only_a_yes_confirms() {
        let confirm = |answer: &str| {
            let (mut out, mut err, mut answers) = (Vec::new(), Vec::new(), answer.as_bytes());
            let mut screen = Screen::new(&mut out, &mut err, Clock::default()).with_answers(&mut answers);
            let confirmed = screen.confirm("Discard it?").unwrap();
            assert_eq!((out, err), (Vec::new(), b"Discard it? [y/N] ".to_vec()));
            confirmed
        };
        assert_eq!(["y\n", "Yes\n"].map(confirm), [Some(true); 2]);
        assert_eq!(["\n", "n\n", "yesterday\n", ""].map(confirm), [Some(false); 4]);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(Screen::new(&mut out, &mut err, Clock::default()).confirm("Discard it?").unwrap(), None);
    }

    #[test]
    fn control_characters_are_spelled_out_but_for_line_ends() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc", &['\n']), "a\\u{1b}[2Jb\nc");
        assert_eq!(harmless("a\nb", &[]), "a\\nb");
        assert_eq!(harmless("a\u{202e}b\u{e4}", &[]), "a\\u{202e}b\u{e4}");
    }
}
