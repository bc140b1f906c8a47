//! How deep JSON is nested, counted before anything parses it.
//!
//! `serde_json`'s `RawValue` checks no depth and its `Value` gives up at 128 with an error about its own recursion.
//! So the brackets are counted here in one pass. Nothing here may recurse or allocate, and nothing here judges
//! whether the JSON is well formed: that is the parser's part.

/// Whether arrays and objects are nested deeper than `max` levels anywhere in this text.
pub(super) fn is_deeper_than(max: usize, json: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    false
}

/// Goes on to behind the string's closing quote.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_objects_count_alike() {
        let json = r#"{"a":[{"b":[]}]}"#;
        assert!(!is_deeper_than(4, json));
        assert!(is_deeper_than(3, json));
    }

    #[test]
    fn neighbours_do_not_add_up() {
        assert!(!is_deeper_than(2, &format!("[{}[]]", "[],".repeat(500))));
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        for json in [r#""[[[""#, r#""\"[[[""#, r#"["\\\"[[["]"#, r#"{"[[[":"\\"}"#] {
            assert!(!is_deeper_than(1, json), "{json}");
        }
        assert!(is_deeper_than(1, r#"["\\",[]]"#));
    }

    #[test]
    fn broken_json_is_counted_without_trouble() {
        for json in ["", "]]]]", "\"", "\"\\", "[\"", "}{"] {
            assert!(!is_deeper_than(1, json), "{json}");
        }
        assert!(is_deeper_than(100, &"[".repeat(1_000_000)));
    }
}
