//! The way in: decoding, checking, accepting.
//!
//! Nothing is acknowledged here before Persistence has said that it is in the ledger.

mod arrival;
mod config;
pub mod decode;
mod intake;
mod listener;
mod schema;

pub use config::Config;
pub use intake::{Accepted, Intake, Rejected, SubmitError};
pub(crate) use listener::{Listeners, Reception};
pub use schema::{Breach, Config as SchemaConfig, Schema, SchemaError, Schemas, Unusable};
