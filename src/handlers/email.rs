//! Sends a mail for each event: from templates, over SMTP.
//!
//! What was wrong decides what follows: a value of the event is `INVALID`, a template that misses something and a 5xx
//! of the server are dead letters, all else is tried again. There is no timeout here but for connecting: the engine
//! drops the future at the attempt's deadline, which closes the connection. The mail may have been taken by then, so
//! every attempt's mail has the same `Message-ID`.

mod address;
mod attachments;
mod failure;
mod letter;
mod options;
mod rendering;
mod server;
mod templates;
mod values;

pub use options::{Options, Tls};

use std::path::Path;
use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture};

use self::failure::Failure;
use self::letter::{Letter, Unwritten};
use self::server::Server;
use crate::clock::{Clock, Timestamp};
use crate::event::Payload;
use crate::handle::{Bind, Deliver, HandlerError, Registration};
use crate::handlers::Means;

/// Why options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// How mails are written.
    #[error(transparent)]
    Letter(#[from] letter::Error),
    /// Who takes them.
    #[error(transparent)]
    Server(#[from] server::Error),
}

/// A handler's checked options: what its actor is made of, as often as it has to be made.
#[derive(Debug)]
pub struct Mailer {
    letter: Letter,
    server: Server,
}

impl Mailer {
    /// Checks the options, and reads the files that they name, relative to `base_dir`.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn new(options: &Options, base_dir: &Path) -> Result<Self, Error> {
        Ok(Self { letter: Letter::new(options, base_dir)?, server: Server::new(options, base_dir)? })
    }
}

/// The handler of kind `email`.
#[derive(Debug)]
pub struct Email {
    mailer: Arc<Mailer>,
    clock: Clock,
}

impl Email {
    /// A handler that sends with this mailer; the dates of its mails come from `clock`.
    #[must_use]
    pub const fn new(mailer: Arc<Mailer>, clock: Clock) -> Self {
        Self { mailer, clock }
    }

    /// The handler, bound.
    #[must_use]
    pub fn registration(bind: Bind, mailer: Mailer, means: &Means) -> Registration {
        let (mailer, clock) = (Arc::new(mailer), means.clock.clone());
        Registration::actor(bind, "email", move || Self::new(Arc::clone(&mailer), clock.clone()))
    }
}

impl Actor for Email {
    type Context = Context<Self>;
}

impl Handler<Deliver<Payload>> for Email {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<Payload>, _: &mut Context<Self>) -> Self::Result {
        Box::pin(deliver(Arc::clone(&self.mailer), self.clock.now(), delivery))
    }
}

async fn deliver(mailer: Arc<Mailer>, now: Timestamp, delivery: Deliver<Payload>) -> Result<(), HandlerError> {
    let message = mailer.letter.write(&delivery, now).map_err(Unwritten::verdict)?;
    mailer.server.send(&message).await.map_err(Failure::verdict)
}
