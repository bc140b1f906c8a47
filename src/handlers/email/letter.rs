//! The mail itself: from an event to a message that is ready to be sent. Pure; nothing is sent here.

use std::path::Path;
use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart, SinglePart};
use serde_json::Value;

use super::address::{self, has_control, mailbox};
use super::templates::{Recipient, Rendered, Templates, Unrendered};
use super::{Options, attachments, templates};
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
        let event: Value = serde_json::from_slice(&to_structured(&delivery.event)).map_err(Unwritten::Data)?;
        let rendered = self.templates.render(&event)?;
        let attachments = attachments::read(event.get("data"))?;
        let message = self.headers(&rendered, &delivery.attempt, now)?;
        let message = match body(rendered) {
            Content::Parts(parts) if attachments.is_empty() => message.multipart(parts),
            Content::Part(part) if attachments.is_empty() => message.singlepart(part),
            content => {
                let mixed = match content {
                    Content::Parts(parts) => MultiPart::mixed().multipart(parts),
                    Content::Part(part) => MultiPart::mixed().singlepart(part),
                };
                message.multipart(attachments.into_iter().fold(mixed, MultiPart::singlepart))
            }
        };
        message.map_err(Unwritten::Build)
    }

    fn headers(&self, rendered: &Rendered, attempt: &Attempt, now: Timestamp) -> Result<MessageBuilder, Unwritten> {
        if has_control(&rendered.subject) {
            return Err(Unwritten::Subject);
        }
        if [&rendered.to, &rendered.cc, &rendered.bcc].iter().all(|recipients| recipients.is_empty()) {
            return Err(Unwritten::Nobody);
        }
        // The same for every attempt, so that whoever gets the mail twice can tell.
        let message_id = format!("<{}@{}>", attempt.record_id, self.from.email.domain());
        let mut message = Message::builder()
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
        message = addressed(message, &rendered.to, MessageBuilder::to)?;
        message = addressed(message, &rendered.cc, MessageBuilder::cc)?;
        // lettre takes the recipients from these headers, and sends this one to nobody.
        addressed(message, &rendered.bcc, MessageBuilder::bcc)
    }
}

fn header(name: &'static str, value: impl ToString) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_string())
}

fn system_time(now: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(now.0).unwrap_or(0))
}

fn addressed(
    message: MessageBuilder,
    recipients: &[Recipient],
    add: fn(MessageBuilder, Mailbox) -> MessageBuilder,
) -> Result<MessageBuilder, Unwritten> {
    recipients.iter().try_fold(message, |message, Recipient { entry, text }| {
        let mailbox = mailbox(text).map_err(|why| Unwritten::Recipient { entry: entry.clone(), why })?;
        Ok(add(message, mailbox))
    })
}

enum Content {
    Part(SinglePart),
    Parts(MultiPart),
}

fn body(rendered: Rendered) -> Content {
    match (rendered.text, rendered.html) {
        (Some(text), Some(html)) => Content::Parts(MultiPart::alternative_plain_html(lines(&text), lines(&html))),
        (text, Some(html)) if text.is_none() => Content::Part(SinglePart::html(lines(&html))),
        (text, _) => Content::Part(SinglePart::plain(lines(&text.unwrap_or_default()))),
    }
}

/// The text with plain line breaks, of which lettre makes those of mails. It would pass on a carriage return that
/// stands alone, and some servers take that for the end of a line.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::handle::Kind;
    use crate::handlers::webhook::sample;

    fn letter(options: &Options) -> Letter {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mail.txt"), "{{ data.text }}").unwrap();
        Letter::new(options, folder.path()).unwrap()
    }

    fn options() -> Options {
        Options {
            from: "Shop <shop@example.org>".into(),
            to: vec!["{{ data.name }} <{{ data.email }}>".into()],
            subject: "{{ data.subject }}".into(),
            text: Some("mail.txt".into()),
            ..Options::default()
        }
    }

    /// A change of one member of data that is fine.
    fn write(member: &str, value: Value) -> Result<String, HandlerError> {
        let mut data = json!({ "name": "Ada", "email": "ada@example.net", "subject": "Hello", "text": "x" });
        data[member] = value;
        let delivery = sample::delivery(Payload::json(data.to_string()));
        let message = letter(&options()).write(&delivery, sample::NOW).map_err(Unwritten::verdict)?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_letter_has_its_headers() {
        insta::assert_snapshot!(write("text", "Grüße\n.".into()).unwrap().replace("\r\n", "\n"), @r#"
        From: Shop <shop@example.org>
        Subject: Hello
        Message-ID: <019b8d3c-0000-7000-8000-000000000001@example.org>
        Date: Mon, 05 Jan 2026 08:02:20 +0000
        Auto-Submitted: auto-generated
        Evenkeel-Attempt: 3
        To: Ada <ada@example.net>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: base64

        R3LDvMOfZQ0KLg==
        "#);
    }

    #[test]
    fn a_header_cannot_be_injected() {
        for (member, value) in [
            ("subject", "Hello\r\nBcc: eve@example.net".into()),
            ("subject", "Hello\nX-Evil: 1".into()),
            ("name", "Ada\r\nBcc: eve@example.net".into()),
            ("email", "ada@example.net>\r\nRCPT TO:<eve@example.net".into()),
            ("attachments", json!([{ "filename": "a\r\nX-Evil: 1", "content": "x" }])),
        ] {
            let error = write(member, value).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{member}: {error}");
            assert!(error.to_string().contains("line break"), "{error}");
        }
    }

    #[test]
    fn a_wrong_value_makes_the_event_invalid_and_says_where() {
        for (member, value, expected) in [
            ("email", json!("nobody"), "`to[0]` is no mail address: Missing domain or user"),
            ("email", json!("a@b.example, c@d.example"), "`to[0]` is no mail address: Invalid email user"),
            ("attachments", json!(1), "`data.attachments` is no list"),
        ] {
            let error = write(member, value).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Invalid, expected));
        }
    }

    #[test]
    fn what_a_template_misses_is_a_dead_letter() {
        let delivery = sample::delivery(Payload::json("{}"));
        let error = letter(&options()).write(&delivery, sample::NOW).unwrap_err().verdict();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (Kind::Permanent, "undefined value: `data.name` is undefined (in to[0]:1)")
        );
    }

    #[test]
    fn a_letter_to_nobody_is_invalid() {
        let options = Options { to: vec!["{% if data.email %}{{ data.email }}{% endif %}".into()], ..options() };
        let delivery = sample::delivery(Payload::json(r#"{"subject":"a","text":"b"}"#));
        let error = letter(&options).write(&delivery, sample::NOW).unwrap_err().verdict();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Invalid, "the mail has no recipient"));
    }

    #[test]
    fn a_carriage_return_that_stands_alone_becomes_a_line_break() {
        let written = write("text", "a\r.\rb\r\nc".into()).unwrap();
        assert!(written.ends_with("\r\n\r\na\r\n.\r\nb\r\nc\r\n"), "{written:?}");
    }

    #[test]
    fn options_that_make_no_letter_are_refused() {
        let refused = |options: Options| {
            let error = anyhow::Error::from(Letter::new(&options, Path::new("/nowhere")).unwrap_err());
            error.to_string()
        };
        assert_eq!(
            refused(Options { from: "shop".into(), ..options() }),
            "`from` is no mail address: Missing domain or user"
        );
        let reply_to = "`reply_to` holds a line break or another control character";
        assert_eq!(refused(Options { reply_to: Some("a@b\n".into()), ..options() }), reply_to);
        assert_eq!(refused(Options { text: None, ..options() }), "one of `text` and `html` is needed");
        assert_eq!(refused(Options { to: vec![], ..options() }), "one of `to`, `cc` and `bcc` is needed");
    }
}
