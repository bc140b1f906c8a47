//! tmp
use crate::clock::Clock;
use crate::config::Loaded;
use crate::handle::{self, Registration};
/// tmp
pub const KINDS: &[&str] = &["log", "webhook"];
/// tmp
#[derive(Debug, thiserror::Error)]
#[error("tmp")]
pub struct Error;
/// tmp
pub fn registration(_: &Loaded, _: &handle::Config, _: &Clock) -> Result<Registration, Error> {
    Err(Error)
}
/// tmp
pub mod demo {
    use super::Registration;
    /// tmp
    pub fn registrations() -> Vec<Registration> {
        Vec::new()
    }
}
