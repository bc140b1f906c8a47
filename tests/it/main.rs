//! One integration binary: the engine as a library, over HTTP, and as a process.

mod harness;
mod path;
