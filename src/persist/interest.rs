//! Whether somebody still waits for the answer to a command, and whether its writing has begun.
//!
//! An accept may be dropped because its caller has gone, but only while nothing of it can have been written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const GONE: u8 = 1;
const WRITING: u8 = 2;

/// The caller's end: when it is dropped before the writing began, the command is dropped too.
#[derive(Debug)]
pub struct Interest(Arc<AtomicU8>);

/// Persistence's end.
#[derive(Clone, Debug)]
pub struct Wanted(Arc<AtomicU8>);

impl Interest {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, Wanted) {
        let state = Arc::new(AtomicU8::new(WAITING));
        (Self(Arc::clone(&state)), Wanted(state))
    }

    /// Gives up waiting. True if nothing of the command has been or will be written.
    #[must_use]
    pub fn give_up(&self) -> bool {
        self.0
            .compare_exchange(WAITING, GONE, Ordering::AcqRel, Ordering::Acquire)
            .map_or_else(|state| state == GONE, |_| true)
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let _ = self.give_up();
    }
}

impl Wanted {
    /// Begins the writing; false if nobody waits any more.
    pub(super) fn begin(&self) -> bool {
        self.0
            .compare_exchange(WAITING, WRITING, Ordering::AcqRel, Ordering::Acquire)
            .map_or_else(|state| state == WRITING, |_| true)
    }

    /// Whether somebody waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Acquire) != GONE
    }

    /// Says that nothing was written after all.
    pub(super) fn rewind(&self) {
        // A failure means that the caller has gone before; that stays.
        let _ = self.0.compare_exchange(WRITING, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_goes_before_the_writing_takes_its_command_along() {
        let (interest, wanted) = Interest::new();
        assert!(interest.give_up());
        assert!(!wanted.begin());
    }

    #[test]
    fn a_caller_that_goes_during_the_writing_cannot_know() {
        let (interest, wanted) = Interest::new();
        assert!(wanted.begin());
        assert!(!interest.give_up());
    }

    #[test]
    fn what_was_rolled_back_may_be_given_up_again() {
        let (interest, wanted) = Interest::new();
        assert!(wanted.begin());
        wanted.rewind();
        assert!(interest.give_up());
    }
}
