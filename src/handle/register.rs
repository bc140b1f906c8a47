//! A handler before it is started: its binding and what makes its actors.

use std::future::Future;
use std::sync::Arc;

use actix::dev::MessageResponse;
use actix::{Actor, Context, ResponseFuture};

use super::host::{Host, Resident};
use super::resident::{Response, residents};
use super::{Bind, Deliver, FromPayload, HandlerError};
use crate::event::Event;
use crate::telemetry::Metrics;

/// A handler that is to be run.
pub struct Registration {
    pub(crate) bind: Bind,
    pub(crate) kind: String,
    residents: Box<dyn Fn() -> Resident + Send + Sync>,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").field("bind", &self.bind).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Registration {
    /// A handler actor, made by a factory whenever one is needed.
    pub fn actor<A, T, F>(bind: impl Into<Bind>, kind: &str, factory: F) -> Self
    where
        A: Actor<Context = Context<A>> + actix::Handler<Deliver<T>>,
        <A as actix::Handler<Deliver<T>>>::Result: Response + MessageResponse<A, Deliver<T>>,
        T: FromPayload,
        F: Fn() -> A + Send + Sync + 'static,
    {
        Self { bind: bind.into(), kind: kind.to_owned(), residents: residents::<A, T, F>(factory) }
    }

    /// A function as a handler.
    pub fn function<T, F, R>(bind: impl Into<Bind>, kind: &str, function: F) -> Self
    where
        T: FromPayload,
        F: Fn(Event<T>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), HandlerError>> + 'static,
    {
        let function = Arc::new(function);
        Self::actor::<_, T, _>(bind, kind, move || FunctionActor(Arc::clone(&function)))
    }

    pub(crate) fn host(self, name: &str, capacity: usize, metrics: Metrics) -> Host {
        Host::new(name, capacity, self.residents, metrics)
    }
}

/// The actor around a function.
struct FunctionActor<F>(Arc<F>);

impl<F: 'static> Actor for FunctionActor<F> {
    type Context = Context<Self>;
}

impl<T, F, R> actix::Handler<Deliver<T>> for FunctionActor<F>
where
    T: FromPayload,
    F: Fn(Event<T>) -> R + 'static,
    R: Future<Output = Result<(), HandlerError>> + 'static,
{
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<T>, _: &mut Self::Context) -> Self::Result {
        Box::pin((self.0)(delivery.event))
    }
}
