//! The handler API: what user code sees of the engine.
//!
//! A handler is an actix actor that handles [`Deliver<T>`]; it is made by a factory, lives on a thread of its own and
//! is rebuilt when it dies. User code runs nowhere else.

mod bind;
mod config;
mod emit;
mod error;
mod host;
mod register;
mod resident;

pub use bind::{Bind, BindError, Routes};
pub use config::Config;
pub use emit::{Emit, EmitError, Emitter};
pub use error::{HandlerError, Kind};
pub(crate) use host::{Ended, Host, HostState, Invocation, Start};
pub use register::Registration;
pub use resident::Response;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::event::{Event, Payload};

/// An event on its way to its handler; the handler answers with success or a [`HandlerError`].
#[derive(Clone, Debug)]
pub struct Deliver<T> {
    /// The event with its data as a `T`.
    pub event: Event<T>,
    /// Which try this is.
    pub attempt: Attempt,
}

impl<T: 'static> actix::Message for Deliver<T> {
    type Result = Result<(), HandlerError>;
}

/// One numbered try of one handler on one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The fencing token: differs from attempt to attempt, so that effects can be told apart.
    pub id: Uuid,
    /// The event's record in the ledger: the same in all attempts, so that effects can be made idempotent.
    pub record_id: Uuid,
    /// Counted from 1; goes on through redrives.
    pub number: u32,
    /// The handler's name.
    pub handler: Arc<str>,
    /// When the attempt is given up; its future is dropped then.
    pub deadline: Timestamp,
}

/// What a handler may ask for as its data: anything that serde can read, or the [`Payload`] as it was received.
pub trait FromPayload: Sized + Send + 'static {
    /// Reads the data.
    ///
    /// # Errors
    /// What is wrong with it; the event is `INVALID` then.
    fn from_payload(payload: &Payload) -> Result<Self, serde_json::Error>;
}

impl<T: DeserializeOwned + Send + 'static> FromPayload for T {
    fn from_payload(payload: &Payload) -> Result<Self, serde_json::Error> {
        payload.decode()
    }
}

impl FromPayload for Payload {
    fn from_payload(payload: &Payload) -> Result<Self, serde_json::Error> {
        Ok(payload.clone())
    }
}
