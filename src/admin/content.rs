//! The data of an event as a page shows it: JSON as a tree that opens, text as it is, other bytes in hex.
//!
//! All of it is bounded, whatever the data is, and numbers keep their digits: JSON is taken apart, never read into values.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::{Payload, PayloadKind};

/// The largest data that is shown as a tree: each level of it is looked at again.
const LARGEST_TREE: usize = 256 * 1_024;

/// The most lines of a tree.
const MOST_NODES: usize = 2_000;

/// How many levels stand open at first.
const OPEN_LEVELS: usize = 2;

/// The longest text that is shown as it is, in bytes, and the most bytes in hex.
const LONGEST_RAW: usize = 64 * 1_024;
const LONGEST_HEX: usize = 1_024;

/// A line of a tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// An object or an array begins: its name, if it has one, and what it is.
    Open { name: Option<String>, kind: String, is_open: bool },
    /// A plain value, as it was sent.
    Leaf { name: Option<String>, value: String },
    /// The object or array that began last ends.
    Close,
}

/// What a page shows of data.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub nodes: Vec<Node>,
    pub raw: Option<String>,
    /// What `raw` is.
    pub what: &'static str,
    /// What is not shown.
    pub note: Option<&'static str>,
}

impl Content {
    /// What is shown of this data.
    pub fn of(payload: &Payload) -> Self {
        let Some(bytes) = payload.bytes.as_deref() else { return Self::default() };
        let text = if payload.kind() == PayloadKind::Binary { None } else { std::str::from_utf8(bytes).ok() };
        let Some(text) = text else {
            let note = (bytes.len() > LONGEST_HEX).then_some("Only its first bytes are shown.");
            let raw = Some(hex(&bytes[..bytes.len().min(LONGEST_HEX)]));
            return Self { raw, what: "Bytes", note, nodes: Vec::new() };
        };
        let mut end = text.len().min(LONGEST_RAW);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut content = Self { raw: Some(text[..end].to_owned()), what: "As it was sent", ..Self::default() };
        let mut whole = end == text.len();
        if payload.kind() == PayloadKind::Json
            && bytes.len() <= LARGEST_TREE
            && let Ok(json) = serde_json::from_str::<&RawValue>(text)
        {
            whole &= grow(&mut content.nodes, None, json, 0);
        }
        content.note = (!whole).then_some("Not all of it is shown.");
        content
    }
}

/// Adds a value and all that is in it; false if there is no room for it.
fn grow(nodes: &mut Vec<Node>, name: Option<String>, json: &RawValue, level: usize) -> bool {
    if nodes.len() >= MOST_NODES {
        return false;
    }
    let inner: Vec<(Option<String>, &RawValue)> = match json.get().as_bytes().first() {
        Some(b'{') => members(json).into_iter().map(|(name, value)| (Some(name), value)).collect(),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json.get()).unwrap_or_default();
            items.into_iter().map(|item| (None, item)).collect()
        }
        _ => {
            nodes.push(Node::Leaf { name, value: json.get().to_owned() });
            return true;
        }
    };
    let kind = if json.get().starts_with('{') { "object" } else { "array" };
    nodes.push(Node::Open { name, kind: format!("{kind} of {}", inner.len()), is_open: level < OPEN_LEVELS });
    let whole = inner.into_iter().all(|(name, value)| grow(nodes, name, value, level + 1));
    // What is open has to be closed, room or not.
    nodes.push(Node::Close);
    whole
}

/// The members of an object in their order; none of them is read. What is no object has none.
pub(super) fn members(json: &RawValue) -> Vec<(String, &RawValue)> {
    serde_json::from_str::<Pairs<'_>>(json.get()).map(|pairs| pairs.0).unwrap_or_default()
}

struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry::<String, &RawValue>()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Sixteen bytes a line: where they stand, what they are, and as text as far as they are.
fn hex(bytes: &[u8]) -> String {
    let line = |(n, row): (usize, &[u8])| {
        let codes: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String =
            row.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        format!("{:06x}  {:<47}  {text}\n", n * 16, codes.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(name: Option<&str>, value: &str) -> Node {
        Node::Leaf { name: name.map(ToOwned::to_owned), value: value.to_owned() }
    }

    #[test]
    fn a_tree_keeps_the_order_and_every_digit() {
        let content = Content::of(&Payload::json(r#"{"z": 12345678901234567890123, "a": [1.10, "<b>"], "a": null}"#));
        let open = |name: Option<&str>, kind: &str| Node::Open {
            name: name.map(ToOwned::to_owned),
            kind: kind.to_owned(),
            is_open: true,
        };
        let expected = [
            open(None, "object of 3"),
            leaf(Some("z"), "12345678901234567890123"),
            open(Some("a"), "array of 2"),
            leaf(None, "1.10"),
            leaf(None, "\"<b>\""),
            Node::Close,
            leaf(Some("a"), "null"),
            Node::Close,
        ];
        assert_eq!((content.nodes.as_slice(), content.note), (&expected[..], None));
    }

    #[test]
    fn a_tree_is_bounded_and_says_so() {
        let wide = Content::of(&Payload::json(format!("[{}0]", "0,".repeat(10_000))));
        assert_eq!((wide.nodes.len(), wide.nodes.last()), (MOST_NODES + 1, Some(&Node::Close)));
        assert!(wide.note.is_some());
        let deep = Content::of(&Payload::json([vec![b'['; 100], vec![b']'; 100]].concat()));
        assert_eq!((deep.nodes.len(), deep.note), (200, None));
        let large = Content::of(&Payload::json(format!("\"{}\"", "é".repeat(LARGEST_TREE))));
        assert!(large.nodes.is_empty() && large.note.is_some() && large.raw.unwrap().len() <= LONGEST_RAW);
    }

    #[test]
    fn what_is_no_text_is_shown_in_hex() {
        let payload =
            |bytes: &'static [u8]| Payload { content_type: Some("image/png".into()), bytes: Some(bytes.into()) };
        let shown = Content::of(&payload(b"\x89PNG\r\n\x1a\n<script>alert(1)")).raw.unwrap();
        assert!(shown.starts_with("000000  89 50 4e 47 0d 0a 1a 0a"), "{shown}");
        assert!(shown.ends_with("ert(1)\n"), "{shown}");
        assert!(Content::of(&Payload::json(&b"\xff"[..])).raw.unwrap().contains("ff"));
        assert_eq!(Content::of(&Payload::default()), Content::default());
    }
}
