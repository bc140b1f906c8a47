//! What a letter becomes of an event, and what no event can put into one.

use mail_parser::MessageParser;
use proptest::prelude::*;
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
        (
            "email",
            json!("ops@[192.0.2.1]"),
            "`to[0]` has a half in quotation marks or square brackets, which not everything that reads mails understands",
        ),
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

/// The names of the headers before the first empty line.
fn header_names(written: &str) -> Vec<&str> {
    let head = written.split_once("\r\n\r\n").unwrap().0;
    let lines = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    lines.map(|line| line.split_once(':').unwrap().0).collect()
}

/// What headers, addresses and lines are made of; with control characters it would mostly be refused.
const TRICKY: &str = r#"[a-zü€ .:;,<>@"()\[\]=?_-]{0,40}"#;
const BROKEN: &str = "[a-z.: \r\n\0]{0,10}";

fn tricky() -> impl Strategy<Value = String> {
    prop_oneof![9 => TRICKY, 1 => BROKEN]
}

proptest! {
    #[test]
    fn no_event_can_add_a_header_a_recipient_or_a_line_that_is_none(
        name in tricky(), subject in tricky(), text in BROKEN, file in tricky(),
    ) {
        let attachments = json!([{ "filename": file, "content": text }]);
        let data = json!({
            "name": name, "email": "ada@example.net", "subject": subject, "text": text, "attachments": attachments,
        });
        let delivery = sample::delivery(Payload::json(data.to_string()));
        let message = match letter(&options()).write(&delivery, sample::NOW) {
            Ok(message) => message,
            Err(error) => {
                prop_assert_eq!(error.verdict().kind(), Kind::Invalid);
                return Ok(());
            }
        };
        prop_assert_eq!(message.envelope().to(), ["ada@example.net".parse().unwrap()]);
        let written = String::from_utf8(message.formatted()).unwrap();
        prop_assert!(written.is_ascii());
        prop_assert!(!written.replace("\r\n", "").contains(['\r', '\n', '\0']), "{}", written);
        let expected = [
            "From", "Subject", "Message-ID", "Date", "Auto-Submitted", "Evenkeel-Attempt", "To", "MIME-Version",
            "Content-Type",
        ];
        prop_assert_eq!(header_names(&written), expected);
        let parsed = MessageParser::default().parse(&written).unwrap();
        prop_assert_eq!(parsed.to().unwrap().iter().count(), 1);
    }
}

/// Addresses of all kinds that might be taken, and some that are none.
fn entry() -> impl Strategy<Value = String> {
    let user = prop_oneof![3 => "[a-zA-Z0-9.+_'=-]{1,20}", 1 => r#""?[a-z @.,;<>\\]{0,10}"?"#];
    let domain = prop_oneof![
        3 => "[a-z0-9-]{1,10}(\\.[a-zA-Z0-9ü-]{1,10}){0,3}",
        1 => r#"\[?(IPv6:)?[0-9a-f.:<>,]{1,12}\]?"#,
    ];
    let address = (user, domain).prop_map(|(user, domain)| format!("{user}@{domain}"));
    (TRICKY, address, any::<bool>()).prop_map(
        |(name, address, named)| {
            if named { format!("{name} <{address}>") } else { address }
        },
    )
}

fn addresses(address: Option<&mail_parser::Address<'_>>) -> Vec<String> {
    address.into_iter().flat_map(|address| address.iter()).map(|one| one.address().unwrap().to_owned()).collect()
}

proptest! {
    #[test]
    fn every_address_that_is_taken_is_in_the_envelope_and_in_its_header(
        from in prop::collection::vec(entry(), 0..3),
        to in prop::collection::vec(entry(), 0..4),
        cc in prop::collection::vec(entry(), 0..4),
    ) {
        // One that is taken for certain, and of the others those that are.
        let taken = |entries: Vec<String>| -> Vec<String> {
            let entries = entries.into_iter().filter(|entry| mailbox(entry).is_ok());
            entries.chain(["ada@example.net".to_owned()]).collect()
        };
        let (from, to, cc) = (taken(from), taken(to), taken(cc));
        let options = Options { from: from[0].clone(), to: to.clone(), cc: cc.clone(), ..options() };
        let delivery = sample::delivery(Payload::json(r#"{"subject":"a","text":"b"}"#));
        let message = letter(&options).write(&delivery, sample::NOW).unwrap();

        let emails = |entries: &[String]| -> Vec<String> {
            entries.iter().map(|entry| mailbox(entry).unwrap().email.to_string()).collect()
        };
        let envelope: Vec<String> = message.envelope().to().iter().map(ToString::to_string).collect();
        prop_assert_eq!(envelope, [emails(&to), emails(&cc)].concat());
        prop_assert_eq!(message.envelope().from().unwrap().to_string(), emails(&from[..1])[0].clone());
        let written = message.formatted();
        let parsed = MessageParser::default().parse(&written).unwrap();
        prop_assert_eq!(addresses(parsed.from()), emails(&from[..1]));
        prop_assert_eq!(addresses(parsed.to()), emails(&to));
        prop_assert_eq!(addresses(parsed.cc()), emails(&cc));
    }
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
    let unusual = "`reply_to` has a half in quotation marks or square brackets, which not everything that reads mails \
                   understands";
    assert_eq!(refused(Options { reply_to: Some("ops@[192.0.2.1]".into()), ..options() }), unusual);
    assert_eq!(refused(Options { text: None, ..options() }), "one of `text` and `html` is needed");
    assert_eq!(refused(Options { to: vec![], ..options() }), "one of `to`, `cc` and `bcc` is needed");
}

#[test]
fn a_number_arrives_as_it_was_written() {
    for number in ["12345678901234567890123", "1.10", "1e2", "-0", "7"] {
        let data = format!(r#"{{"name":"Ada","email":"ada@example.net","subject":{number},"text":{number}}}"#);
        let message = letter(&options()).write(&sample::delivery(Payload::json(data)), sample::NOW).unwrap();
        let written = String::from_utf8(message.formatted()).unwrap();
        assert!(written.contains(&format!("\r\nSubject: {number}\r\n")), "{written}");
        assert!(written.ends_with(&format!("\r\n\r\n{number}\r\n")), "{written:?}");
    }
}

#[test]
fn what_a_template_may_not_take_is_a_dead_letter() {
    let options = Options { subject: "{{ data.s | indent(data.n) }}".into(), ..options() };
    let data = r#"{"name":"Ada","email":"ada@example.net","text":"x","s":"a\nb","n":3000000000}"#;
    let error = letter(&options).write(&sample::delivery(Payload::json(data)), sample::NOW).unwrap_err().verdict();
    let expected = "the template takes more steps or memory than it may: engine ran out of fuel (in subject:1)";
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Permanent, expected));
}
