//! The way in: decoding, checking, accepting.
//!
//! Nothing is acknowledged here before Persistence has said that it is in the ledger.

mod config;
pub mod decode;
mod intake;

pub use config::Config;
pub use intake::{Accepted, Intake, Rejected, SubmitError};
