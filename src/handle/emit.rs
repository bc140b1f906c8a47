//! Events that handlers send themselves: what one handler has done may be the next one's event.
//!
//! The Intake takes them in, and this room may not know it: it declares the message, and holds a `Recipient` that is
//! told once, when the engine starts.

use std::sync::{Arc, OnceLock};

use actix::{Message, Recipient};

use crate::event::NewEvent;

/// An event of a handler, on its way to the Intake. It is taken during a drain too: the attempt that sends it is one
/// that the drain waits for.
#[derive(Clone, Debug)]
pub struct Emit(pub NewEvent);

impl Message for Emit {
    type Result = Result<(), EmitError>;
}

/// Why an event of a handler was not taken. It is worth a retry with the same id, unless the event itself is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// There is no engine, or it has stopped.
    #[error("no engine takes events at present")]
    Away,
    /// The Intake's reason.
    #[error("the event was not taken: {0}")]
    Refused(String),
}

/// The way for a handler to send events; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Emitter(Arc<OnceLock<Recipient<Emit>>>);

impl Emitter {
    /// Says who takes the events.
    pub(crate) fn emit_to(&self, intake: Recipient<Emit>) {
        // Said once, at the start.
        drop(self.0.set(intake));
    }

    /// Sends an event; it is durable when this returns. A handler runs at least once, so the event wants an id that is
    /// the same in all attempts: made of [`Attempt::record_id`](super::Attempt::record_id), for instance. The same
    /// source, id and data again is a duplicate, and fine.
    ///
    /// # Errors
    /// [`EmitError`], when it is not known to be in the ledger.
    pub async fn emit(&self, event: NewEvent) -> Result<(), EmitError> {
        let intake = self.0.get().ok_or(EmitError::Away)?;
        intake.send(Emit(event)).await.map_err(|_| EmitError::Away)?
    }
}
