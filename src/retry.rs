//! Retries: the policy and the timers.

mod policy;

pub use policy::{RetryOverride, RetryPolicy};
