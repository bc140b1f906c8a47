//! Retries: the policy, and the timers that say when to look.
//!
//! The timers are a cache of the ledger: a process that dies loses none of its retries.

mod policy;
mod scheduler;

pub use policy::{RetryOverride, RetryPolicy};
pub(crate) use scheduler::{LaneDue, RetryScheduler, Schedule, Timers};
