//! Cursors: where a page ended. Opaque to clients, so that what is inside may change.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The cursor of a page that ended with this record.
pub(crate) fn encode(last: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(last.as_bytes())
}

/// The last record of the page before; nothing if the cursor is none of ours.
pub(crate) fn decode(cursor: &str) -> Option<Uuid> {
    let last = Uuid::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    (last.get_version_num() == 7 && last.get_variant() == uuid::Variant::RFC4122).then_some(last)
}

/// What a cursor over texts begins with, so that one over records is not taken for it.
const OF_TEXTS: &[u8] = b"=";

/// The cursor of a page that ended with this text.
pub(crate) fn encode_text(last: &str) -> String {
    URL_SAFE_NO_PAD.encode([OF_TEXTS, last.as_bytes()].concat())
}

/// The last text of the page before; nothing if the cursor is none of ours.
pub(crate) fn decode_text(cursor: &str) -> Option<String> {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(decoded.strip_prefix(OF_TEXTS)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_cursor_reads_back_and_foreign_ones_do_not() {
        let id = Clock::default().new_id();
        assert_eq!(decode(&encode(id)), Some(id));
        for foreign in ["x", "abc", "AAAAAAAAAAAAAAAAAAAAAA", &format!("{}A", encode(id)), &id.to_string()] {
            assert_eq!(decode(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_cursor_over_texts_reads_back_and_foreign_ones_do_not() {
        assert_eq!(decode_text(&encode_text("58-08-2")).as_deref(), Some("58-08-2"));
        for foreign in ["x", "NTgtMDgtMg", "Pf8", &encode(Clock::default().new_id())] {
            assert_eq!(decode_text(foreign), None, "{foreign}");
        }
        assert_eq!(decode(&encode_text("fifteen letters")), None);
    }
}
