//! One integration binary: the engine as a library, over HTTP, and as a process.

mod harness;
mod isolation;
mod outage;
mod path;
