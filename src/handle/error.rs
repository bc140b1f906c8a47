//! A handler's way to say what went wrong and what should follow.

use std::error::Error;
use std::fmt;
use std::time::Duration;

type Source = Box<dyn Error + Send + Sync>;

/// Why a handler could not do its work. Any error turns into a retry with `?`; the constructors say otherwise.
///
/// Like `anyhow::Error` it is no `std::error::Error` itself, or `?` could not take all of them.
pub struct HandlerError {
    kind: Kind,
    source: Source,
}

/// What should follow from a [`HandlerError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Try again by the retry policy.
    Retry,
    /// Try again, not before this much time has passed.
    RetryAfter(Duration),
    /// Trying again is useless: a dead letter.
    Permanent,
    /// The event itself is wrong: `INVALID`.
    Invalid,
}

impl HandlerError {
    /// Something that may work next time.
    pub fn retry(why: impl Into<Source>) -> Self {
        Self { kind: Kind::Retry, source: why.into() }
    }

    /// Something that may work after this much time.
    pub fn retry_after(delay: Duration, why: impl Into<Source>) -> Self {
        Self { kind: Kind::RetryAfter(delay), source: why.into() }
    }

    /// Something that will never work.
    pub fn permanent(why: impl Into<Source>) -> Self {
        Self { kind: Kind::Permanent, source: why.into() }
    }

    /// An event that no handler could handle.
    pub fn invalid(why: impl Into<Source>) -> Self {
        Self { kind: Kind::Invalid, source: why.into() }
    }

    /// What should follow.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}

impl fmt::Display for HandlerError {
    /// The error and all its sources, as the attempt keeps them: `outer: middle: root`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let mut next = self.source.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError").field("kind", &self.kind).field("source", &self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("could not charge")]
    struct Outer(#[source] std::num::ParseIntError);

    fn charge() -> Result<(), HandlerError> {
        Err(Outer("x".parse::<u8>().unwrap_err()))?;
        Ok(())
    }

    #[test]
    fn any_error_turns_into_a_retry_and_keeps_its_chain() {
        let error = charge().unwrap_err();
        assert_eq!(error.kind(), Kind::Retry);
        assert_eq!(error.to_string(), "could not charge: invalid digit found in string");
    }

    #[test]
    fn a_text_is_enough_for_an_error() {
        assert_eq!(HandlerError::permanent("no such customer").to_string(), "no such customer");
    }
}
