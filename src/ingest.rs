//! The way in: decoding, checking, accepting.
//!
//! Nothing is acknowledged here before Persistence has said that it is in the ledger.

mod config;
pub mod decode;
mod intake;
mod schema;

pub use config::Config;
pub use intake::{Accepted, Intake, Rejected, SubmitError};
pub use schema::{Breach, Config as SchemaConfig, Schema, SchemaError, Schemas, Unusable};
