//! The mail itself: from an event to a message that is ready to be sent. Pure; nothing is sent here.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{Cc, HeaderName, HeaderValue, To};
use lettre::message::{Mailbox, Mailboxes, MessageBuilder, MultiPart, SinglePart};
use serde_json::Value;

use super::address::{self, has_control, mailbox};
use super::rendering::Unrendered;
use super::templates::{Recipient, Rendered, Templates};
use super::{Options, attachments, templates, values};
use crate::clock::Timestamp;
use crate::event::{Payload, to_structured};
use crate::handle::{Attempt, Deliver, HandlerError};

/// Why no letter can be written with some options.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A sender that is none.
    #[error("`{key}` {why}")]
    Sender {
        /// `from` or `reply_to`.
        key: &'static str,
        /// What is wrong with it.
        why: address::Error,
    },
    /// It would say nothing.
    #[error("one of `text` and `html` is needed")]
    NoBody,
    /// It would go to nobody.
    #[error("one of `to`, `cc` and `bcc` is needed")]
    NoRecipient,
    /// The templates.
    #[error(transparent)]
    Templates(#[from] templates::Error),
}

/// Why no letter could be written about an event.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// Its data is no JSON that can be read.
    #[error("the data cannot be read")]
    Data(#[source] serde_json::Error),
    /// A template did not get what it asked for.
    #[error(transparent)]
    Template(#[from] Unrendered),
    /// An entry gave something else than an address.
    #[error("`{entry}` {why}")]
    Recipient {
        /// Which entry.
        entry: String,
        /// What is wrong with it.
        why: address::Error,
    },
    /// No entry gave an address.
    #[error("the mail has no recipient")]
    Nobody,
    /// The subject is more than a line.
    #[error("`subject` holds a line break or another control character")]
    Subject,
    /// The attachments.
    #[error(transparent)]
    Attachments(#[from] attachments::Error),
    /// What was not foreseen.
    #[error("the mail cannot be put together")]
    Build(#[source] lettre::error::Error),
}

impl Unwritten {
    /// What follows. A wrong value is the event's fault. What a template misses may be the template's, so that is a
    /// dead letter: it can be redriven when the template has been mended.
    pub fn verdict(self) -> HandlerError {
        match self {
            Self::Template(_) | Self::Build(_) => HandlerError::permanent(self),
            _ => HandlerError::invalid(self),
        }
    }
}

/// How letters are written: a handler's checked options.
#[derive(Debug)]
pub struct Letter {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    templates: Templates,
}

impl Letter {
    /// Checks the options and reads the templates; their files are relative to `base_dir`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(options: &Options, base_dir: &Path) -> Result<Self, Error> {
        let sender = |key, text: &str| mailbox(text).map_err(|why| Error::Sender { key, why });
        let from = sender("from", &options.from)?;
        let reply_to = options.reply_to.as_deref().map(|text| sender("reply_to", text)).transpose()?;
        if options.text.is_none() && options.html.is_none() {
            return Err(Error::NoBody);
        }
        if options.to.is_empty() && options.cc.is_empty() && options.bcc.is_empty() {
            return Err(Error::NoRecipient);
        }
        Ok(Self { from, reply_to, templates: Templates::load(options, base_dir)? })
    }

    /// Writes the letter about an event.
    ///
    /// # Errors
    /// [`Unwritten`], which names the entry or the template.
    pub fn write(&self, delivery: &Deliver<Payload>, now: Timestamp) -> Result<Message, Unwritten> {
        // Templates see the event as it looks in structured JSON, so that there is one form to remember.
        let json = to_structured(&delivery.event);
        // This reading has a limit to the depth, on which the other one relies.
        let event: Value = serde_json::from_slice(&json).map_err(Unwritten::Data)?;
        let seen = serde_json::from_slice(&json).and_then(values::value).map_err(Unwritten::Data)?;
        let rendered = self.templates.render(&seen)?;
        let attachments = attachments::read(event.get("data"))?;
        let message = self.headers(&rendered, &delivery.attempt, now)?;
        let bare = attachments.is_empty();
        let attached = |parts: MultiPart| attachments.into_iter().fold(parts, MultiPart::singlepart);
        let message = match body(rendered) {
            Content::Part(part) if bare => message.singlepart(part),
            Content::Parts(parts) if bare => message.multipart(parts),
            Content::Part(part) => message.multipart(attached(MultiPart::mixed().singlepart(part))),
            Content::Parts(parts) => message.multipart(attached(MultiPart::mixed().multipart(parts))),
        };
        message.map_err(Unwritten::Build)
    }

    fn headers(&self, rendered: &Rendered, attempt: &Attempt, now: Timestamp) -> Result<MessageBuilder, Unwritten> {
        if has_control(&rendered.subject) {
            return Err(Unwritten::Subject);
        }
        let [to, cc, bcc] = [mailboxes(&rendered.to)?, mailboxes(&rendered.cc)?, mailboxes(&rendered.bcc)?];
        let recipients: Vec<_> = to.iter().chain(&cc).chain(&bcc).map(|mailbox| mailbox.email.clone()).collect();
        if recipients.is_empty() {
            return Err(Unwritten::Nobody);
        }
        // Left to itself, lettre would read the recipients back from the headers, and drop without a word what it
        // cannot read.
        let envelope = Envelope::new(Some(self.from.email.clone()), recipients).map_err(Unwritten::Build)?;
        // The same for every attempt, so that whoever gets the mail twice can tell.
        let message_id = format!("<{}@{}>", attempt.record_id, self.from.email.domain());
        let mut message = Message::builder()
            .envelope(envelope)
            .from(self.from.clone())
            .subject(&rendered.subject)
            .message_id(Some(message_id))
            // Not the event's time, nor that of its acceptance: a mail that was ordered for later is written later.
            .date(system_time(now))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("Evenkeel-Attempt", attempt.number));
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(reply_to.clone());
        }
        // Each header at once: to add to one, lettre would read it first, likewise.
        if !to.is_empty() {
            message = message.header(To::from(Mailboxes::from(to)));
        }
        if !cc.is_empty() {
            message = message.header(Cc::from(Mailboxes::from(cc)));
        }
        Ok(message)
    }
}

fn header(name: &'static str, value: impl ToString) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_string())
}

fn system_time(now: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(now.0).unwrap_or(0))
}

fn mailboxes(recipients: &[Recipient]) -> Result<Vec<Mailbox>, Unwritten> {
    let read = |Recipient { entry, text }: &Recipient| {
        mailbox(text).map_err(|why| Unwritten::Recipient { entry: entry.clone(), why })
    };
    recipients.iter().map(read).collect()
}

/// One text, or two of which the reader's program chooses one.
enum Content {
    Part(SinglePart),
    Parts(MultiPart),
}

fn body(rendered: Rendered) -> Content {
    match (rendered.text, rendered.html) {
        (Some(text), Some(html)) => Content::Parts(MultiPart::alternative_plain_html(lines(&text), lines(&html))),
        (None, Some(html)) => Content::Part(SinglePart::html(lines(&html))),
        (text, None) => Content::Part(SinglePart::plain(lines(&text.unwrap_or_default()))),
    }
}

/// The text with plain line breaks, of which lettre makes those of mails. It would pass on a carriage return that
/// stands alone, which some servers take for the end of a line, and a NUL, which no mail may have.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}")
}
