//! The attachments of a mail: what the event brings in `data.attachments`. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, SinglePart};
use serde::Deserialize;
use serde_json::Value;

use super::address::has_control;

/// The most bytes that the attachments of one mail may have together.
pub const MOST_BYTES: usize = 10 << 20;

/// Why an event's attachments cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `data.attachments` is something else.
    #[error("`data.attachments` is no list")]
    NoList,
    /// One of them.
    #[error("`data.attachments[{index}]` {what}")]
    One {
        /// Which one.
        index: usize,
        /// What is wrong with it.
        what: String,
    },
    /// All of them.
    #[error("`data.attachments` has more than {MOST_BYTES} bytes")]
    TooLarge,
}

/// An attachment as the event has it: `content` is text, `content_base64` is anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    filename: &'a str,
    content_type: Option<&'a str>,
    content: Option<&'a str>,
    content_base64: Option<&'a str>,
}

/// Reads the attachments of an event's data; data without any has none.
///
/// # Errors
/// The first thing that is wrong with them.
pub fn read(data: Option<&Value>) -> Result<Vec<SinglePart>, Error> {
    let items = match data.and_then(|data| data.get("attachments")) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Error::NoList),
    };
    let mut room = MOST_BYTES;
    let mut parts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let wrong = |what: String| Error::One { index, what };
        let written = Written::deserialize(item).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let bytes = bytes(&written).map_err(wrong)?;
        room = room.checked_sub(bytes.len()).ok_or(Error::TooLarge)?;
        parts.push(part(&written, bytes).map_err(|what| wrong(what.to_owned()))?);
    }
    Ok(parts)
}

fn bytes(written: &Written<'_>) -> Result<Vec<u8>, String> {
    match (written.content, written.content_base64) {
        (Some(text), None) => Ok(text.as_bytes().to_vec()),
        (None, Some(text)) => STANDARD.decode(text).map_err(|error| format!("has no base64: {error}")),
        _ => Err("needs either `content` or `content_base64`".to_owned()),
    }
}

fn part(written: &Written<'_>, bytes: Vec<u8>) -> Result<SinglePart, &'static str> {
    let name = written.filename;
    if name.is_empty() || has_control(name) || name.contains(['/', '\\']) {
        return Err("has a `filename` that is empty, a path, or holds a line break or another control character");
    }
    let content_type = match written.content_type {
        Some(text) if has_control(text) => return Err("has a `content_type` that holds a line break"),
        Some(text) => ContentType::parse(text).map_err(|_| "has a `content_type` that is none")?,
        None if written.content.is_some() => ContentType::TEXT_PLAIN,
        None => ContentType::parse("application/octet-stream").map_err(|_| "has no `content_type`")?,
    };
    // Left to itself, lettre would send short ASCII lines as they are, with whatever line breaks they have.
    let body = Body::new_with_encoding(bytes, ContentTransferEncoding::Base64).map_err(|_| "cannot be encoded")?;
    Ok(lettre::message::Attachment::new(name.to_owned()).body(body, content_type))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(attachments: Value) -> String {
        read(Some(&json!({ "attachments": attachments }))).unwrap_err().to_string()
    }

    #[test]
    fn data_without_attachments_has_none() {
        for data in [None, Some(json!({})), Some(json!({ "attachments": null })), Some(json!([1])), Some(json!("a"))] {
            assert!(read(data.as_ref()).unwrap().is_empty(), "{data:?}");
        }
    }

    #[test]
    fn text_and_bytes_are_attached_with_their_type() {
        let data = json!({ "attachments": [
            { "filename": "a.csv", "content_type": "text/csv", "content": "x\ny" },
            { "filename": "b.txt", "content": "x" },
            { "filename": "c", "content_base64": "AP8=" },
        ]});
        let parts = read(Some(&data)).unwrap();
        let parts: Vec<String> = parts.iter().map(|part| String::from_utf8(part.formatted()).unwrap()).collect();
        for (part, (name, kind, body)) in parts.iter().zip([
            ("a.csv", "text/csv", "eAp5"),
            ("b.txt", "text/plain; charset=utf-8", "eA=="),
            ("c", "application/octet-stream", "AP8="),
        ]) {
            assert!(part.contains(&format!("filename=\"{name}\"\r\nContent-Type: {kind}\r\n")), "{part}");
            assert!(part.ends_with(&format!("Content-Transfer-Encoding: base64\r\n\r\n{body}\r\n")), "{part}");
        }
    }

    #[test]
    fn what_is_wrong_names_the_attachment() {
        let fine = json!({ "filename": "a", "content": "x" });
        insta::assert_snapshot!(
            [
                json!({}),
                json!([fine, { "content": "x" }]),
                json!([{ "filename": "a", "content": "x", "url": "file:///etc/passwd" }]),
                json!([fine, fine, { "filename": "a" }]),
                json!([{ "filename": "a", "content": "x", "content_base64": "eA==" }]),
                json!([{ "filename": "a", "content_base64": "!" }]),
                json!([{ "filename": "a", "content": "x", "content_type": "no type" }]),
            ]
            .map(wrong)
            .join("\n"),
            @r#"
            `data.attachments` is no list
            `data.attachments[1]` cannot be read: missing field `filename`
            `data.attachments[0]` cannot be read: unknown field `url`, expected one of `filename`, `content_type`, `content`, `content_base64`
            `data.attachments[2]` needs either `content` or `content_base64`
            `data.attachments[0]` needs either `content` or `content_base64`
            `data.attachments[0]` has no base64: Invalid symbol 33, offset 0.
            `data.attachments[0]` has a `content_type` that is none
            "#
        );
    }

    #[test]
    fn a_name_or_a_type_can_neither_be_a_path_nor_bring_a_header() {
        for name in ["", "../../etc/passwd", "c:\\a", "a\r\nX-Evil: 1", "a\0"] {
            assert!(wrong(json!([{ "filename": name, "content": "x" }])).contains("`filename`"), "{name:?}");
        }
        let error = wrong(json!([{ "filename": "a", "content": "x", "content_type": "text/plain\r\nX-Evil: 1" }]));
        assert_eq!(error, "`data.attachments[0]` has a `content_type` that holds a line break");
    }

    #[test]
    fn together_they_have_a_limit() {
        let half = "x".repeat(MOST_BYTES / 2);
        let one = json!({ "filename": "a", "content": half });
        assert_eq!(read(Some(&json!({ "attachments": [one, one] }))).unwrap().len(), 2);
        let more = wrong(json!([one, one, { "filename": "b", "content": "x" }]));
        assert_eq!(more, "`data.attachments` has more than 10485760 bytes");
    }
}
