//! How values stand in columns, and how they are read back.

use std::str::FromStr;

use sea_orm::DbErr;

use crate::lifecycle::{Status, UnknownWord};

/// What an event that waits is called in a query: these words must stand in it as they stand in the index.
pub(super) const WAITING: &str = "status IN ('PENDING', 'RETRY_SCHEDULED', 'SCHEDULED')";

/// What an event that ended otherwise than well is called in a query, as it stands in the index.
pub(super) const ENDED: &str = "final_status IN ('FAILED', 'SKIPPED', 'NO_HANDLER', 'DEAD_LETTER', 'DISCARDED')";

/// What an event with an error is called in a query, as it stands in the index.
pub(super) const FAILED: &str = "error IS NOT NULL";

/// The longest error text that is kept, in bytes.
const MAX_TEXT: usize = 16 * 1_024;

/// A text as a database takes it: without NUL, and not endless.
pub(super) fn clean(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "\u{fffd}")
}

/// The final status word of a status, as a column.
pub(super) fn final_word(status: Status) -> Option<String> {
    status.final_status().map(|end| end.as_str().to_owned())
}

/// A word of the database as what it says.
pub(super) fn word<W: FromStr<Err = UnknownWord>>(text: &str) -> Result<W, DbErr> {
    text.parse().map_err(|error: UnknownWord| DbErr::Type(error.to_string()))
}

pub(super) fn unsigned(n: i32) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

pub(super) fn signed(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
