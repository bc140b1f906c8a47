//! Keeps where each chemical compound stands, and how it came there, from the changes that a registry sends.
//!
//! Changes are handled several at once, come late, and come again after a crash. None of that is looked after here:
//! what is kept does not depend on the order, see `persist`. Only what a change says is judged here.

mod cas;
mod change;

#[cfg(test)]
mod tests;

use std::future::ready;
use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::Clock;
use crate::event::Payload;
use crate::handle::{Bind, Deliver, HandlerError, Registration};
use crate::handlers::Means;
use crate::persist::{self, ChemicalChange, Persist};

/// Keeps the status of chemical compounds and its history.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The words that the registry has for a status; any other is a mistake.
    pub statuses: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let statuses = ["REGISTERED", "UNDER_REVIEW", "APPROVED", "RESTRICTED", "WITHDRAWN"];
        Self { statuses: statuses.map(ToOwned::to_owned).to_vec() }
    }
}

/// The handler of kind `chemical_status`.
#[derive(Clone, Debug)]
pub struct ChemicalStatus {
    options: Arc<Options>,
    clock: Clock,
    persist: Persist,
}

impl ChemicalStatus {
    /// A handler that keeps its tables in the engine's ledger.
    #[must_use]
    pub fn new(options: Options, means: &Means) -> Self {
        Self { options: Arc::new(options), clock: means.clock.clone(), persist: means.persist.clone() }
    }

    /// The handler, bound.
    #[must_use]
    pub fn registration(bind: Bind, options: Options, means: &Means) -> Registration {
        let handler = Self::new(options, means);
        Registration::actor(bind, "chemical_status", move || handler.clone())
    }
}

impl Actor for ChemicalStatus {
    type Context = Context<Self>;
}

impl Handler<Deliver<Payload>> for ChemicalStatus {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<Payload>, _: &mut Context<Self>) -> Self::Result {
        match change::read(&delivery, &self.options, self.clock.now()) {
            Ok(change) => Box::pin(keep(self.persist.clone(), change)),
            Err(wrong) => Box::pin(ready(Err(HandlerError::invalid(wrong)))),
        }
    }
}

async fn keep(persist: Persist, change: ChemicalChange) -> Result<(), HandlerError> {
    persist.keep(change).await.map_err(|error| match error {
        // What the database does not take now it will not take later.
        persist::Error::Refused(_) => HandlerError::permanent(error),
        passing => HandlerError::retry(passing),
    })
}
