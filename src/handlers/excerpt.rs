//! What another program said, as an attempt may keep it.

/// The text without what could do harm. Control characters become spaces: a NUL cannot be kept in PostgreSQL, and a
/// line break could forge a line in a log.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace(char::is_control, " ");
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_broken_text_are_made_harmless() {
        assert_eq!(printable(b"\r\n a\0b\xff \n"), "a b\u{fffd}");
    }
}
