//! Why something that arrived is no event.
//!
//! Texts for the sender, who can mend it: what is wrong, where, and what to send instead. Nothing of a server's
//! insides may show up here.

use crate::event::{MAX_DEPTH, Violation};

/// The most violations that are listed for one event. A hostile body could have one every six bytes.
const MAX_VIOLATIONS: usize = 32;

/// What was sent is no event, or no batch of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DecodeError {
    /// What is wrong, for programs; it never changes its meaning: `malformed_json`, `not_an_object`, `not_an_array`,
    /// `invalid_event`, `unknown_member`, `duplicate_member`, `unsupported_content_type`, `too_deep`, `empty_batch`,
    /// `batch_too_large`, `malformed_header`.
    pub code: &'static str,
    /// What is wrong and what to do about it, for people.
    pub detail: String,
    /// The members that are wrong, where it is about members; at most 32.
    pub violations: Vec<Violation>,
}

/// The kinds of answer that a [`DecodeError`] has over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: it is no event.
    Malformed,
    /// 415: its content type is none that we read.
    Unsupported,
    /// 413: it has too many events.
    TooLarge,
}

impl DecodeError {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), violations: Vec::new() }
    }

    /// An error about members; the violations' own texts become its detail.
    pub(super) fn of_members(code: &'static str, mut violations: Vec<Violation>) -> Self {
        let more = violations.len().saturating_sub(MAX_VIOLATIONS);
        violations.truncate(MAX_VIOLATIONS);
        let details: Vec<&str> = violations.iter().map(|violation| violation.detail.as_str()).collect();
        let mut detail = details.join("; ");
        if more > 0 {
            detail.push_str(&format!("; and {more} more"));
        }
        Self { code, detail, violations }
    }

    /// An error about an event whose members are wrong.
    pub(super) fn invalid(violations: Vec<Violation>) -> Self {
        let only_unknown = violations.iter().all(|violation| violation.code == "unknown_member");
        Self::of_members(if only_unknown { "unknown_member" } else { "invalid_event" }, violations)
    }

    pub(super) fn too_deep() -> Self {
        let detail = format!("the data is nested deeper than {MAX_DEPTH} levels; send it flatter, or as a string");
        Self::new("too_deep", detail)
    }

    pub(super) fn malformed_json(error: &serde_json::Error) -> Self {
        // serde_json's text says what was expected, the line and the column.
        Self::new("malformed_json", format!("this is not well-formed JSON: {error}"))
    }

    /// How to answer it over HTTP.
    #[must_use]
    pub fn status(&self) -> Refusal {
        match self.code {
            "unsupported_content_type" => Refusal::Unsupported,
            "batch_too_large" => Refusal::TooLarge,
            _ => Refusal::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(code: &'static str) -> Violation {
        Violation::new("a", code, "`a` is wrong")
    }

    #[test]
    fn an_event_whose_only_fault_is_unknown_members_says_so() {
        assert_eq!(DecodeError::invalid(vec![violation("unknown_member")]).code, "unknown_member");
        let both = DecodeError::invalid(vec![violation("unknown_member"), violation("missing")]);
        assert_eq!((both.code, both.to_string().as_str()), ("invalid_event", "`a` is wrong; `a` is wrong"));
    }

    #[test]
    fn a_body_of_nothing_but_faults_has_a_short_answer() {
        let error = DecodeError::invalid(vec![violation("missing"); 1_000]);
        assert_eq!(error.violations.len(), MAX_VIOLATIONS);
        assert!(error.detail.ends_with("; and 968 more"));
    }

    #[test]
    fn content_types_and_batch_sizes_have_answers_of_their_own() {
        assert_eq!(DecodeError::new("unsupported_content_type", "").status(), Refusal::Unsupported);
        assert_eq!(DecodeError::new("batch_too_large", "").status(), Refusal::TooLarge);
        assert_eq!(DecodeError::too_deep().status(), Refusal::Malformed);
    }
}
