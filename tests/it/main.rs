//! One integration binary: the engine as a library, over HTTP, and as a process.

mod bad_input;
mod bad_start;
mod bounded;
mod crash;
mod drain;
mod harness;
mod isolation;
mod outage;
mod path;
mod poison;
mod process;
mod recovery;
mod send;
mod target;
