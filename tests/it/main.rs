//! One integration binary: the engine as a library, over HTTP, and as a process.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails there")]

mod examples;
mod harness;
mod isolation;
mod outage;
mod path;
