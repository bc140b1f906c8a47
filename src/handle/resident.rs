//! What runs on a handler's thread: the user's actor, driven from its own context.
//!
//! The driver lives inside the actor's context, so it can call the actor; the futures that the actor returns are owned
//! here, outside of it, each with its timeout and its panic fence. They end by themselves when the actor dies.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use actix::dev::MessageResponse;
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, Arbiter, AsyncContext, Context, ResponseFuture};
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use super::host::{Ended, Invocation, Resident, Vitals};
use super::{Deliver, FromPayload, HandlerError};

/// What a handler's `handle` may return.
pub trait Response {
    /// The answer, now or later.
    fn into_future(self) -> ResponseFuture<Result<(), HandlerError>>;
}

impl Response for ResponseFuture<Result<(), HandlerError>> {
    fn into_future(self) -> ResponseFuture<Result<(), HandlerError>> {
        self
    }
}

impl Response for Result<(), HandlerError> {
    fn into_future(self) -> ResponseFuture<Self> {
        Box::pin(std::future::ready(self))
    }
}

/// A factory of residents: each makes its actors on the thread that it is sent to.
pub(super) fn residents<A, T, F>(factory: F) -> Box<dyn Fn() -> Resident + Send + Sync>
where
    A: Actor<Context = Context<A>> + actix::Handler<Deliver<T>>,
    <A as actix::Handler<Deliver<T>>>::Result: Response + MessageResponse<A, Deliver<T>>,
    T: FromPayload,
    F: Fn() -> A + Send + Sync + 'static,
{
    let factory = Arc::new(factory);
    Box::new(move || {
        let factory = Arc::clone(&factory);
        Box::new(move |inbox, vitals| {
            actix::spawn(reside::<A, T, F>(factory, inbox, vitals));
        })
    })
}

/// Keeps one actor alive after the other, until nobody can send deliveries any more.
async fn reside<A, T, F>(factory: Arc<F>, inbox: mpsc::Receiver<Invocation>, vitals: Arc<Vitals>)
where
    A: Actor<Context = Context<A>> + actix::Handler<Deliver<T>>,
    <A as actix::Handler<Deliver<T>>>::Result: Response + MessageResponse<A, Deliver<T>>,
    T: FromPayload,
    F: Fn() -> A + Send + Sync + 'static,
{
    let inbox = Rc::new(RefCell::new(inbox));
    loop {
        let (end, ended) = oneshot::channel();
        let driver = Driver {
            inbox: Rc::clone(&inbox),
            vitals: Arc::clone(&vitals),
            renewal: Box::pin(vitals.renewal()),
            end: Some(end),
            of: Default::default(),
        };
        let born = catch_unwind(AssertUnwindSafe(|| {
            A::create(|ctx| {
                ctx.spawn(driver);
                factory()
            })
        }));
        let end = match born {
            // The address is kept, or the actor would stop for want of one.
            Ok(_address) => {
                vitals.born();
                ended.await.unwrap_or_else(|_| End::Died("the actor stopped".to_owned()))
            }
            Err(panic) => End::Died(format!("the factory panicked: {}", text_of(&*panic))),
        };
        match end {
            End::Closed => {
                Arbiter::current().stop();
                return;
            }
            End::Died(why) => {
                let renewal = vitals.renewal();
                let wait = vitals.died(&why);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = renewal => vitals.renewed(),
                }
            }
            End::Renewed => vitals.renewed(),
        }
    }
}

/// Why an actor's driver ended.
enum End {
    /// The inbox has no sender any more.
    Closed,
    /// The actor panicked or stopped.
    Died(String),
    /// An operator wants another.
    Renewed,
}

/// Takes deliveries out of the inbox and hands them to the actor in whose context it runs.
struct Driver<A, T> {
    inbox: Rc<RefCell<mpsc::Receiver<Invocation>>>,
    vitals: Arc<Vitals>,
    renewal: Pin<Box<dyn Future<Output = ()>>>,
    end: Option<oneshot::Sender<End>>,
    of: std::marker::PhantomData<fn(A) -> T>,
}

impl<A, T> Driver<A, T>
where
    A: Actor<Context = Context<A>> + actix::Handler<Deliver<T>>,
    <A as actix::Handler<Deliver<T>>>::Result: Response + MessageResponse<A, Deliver<T>>,
    T: FromPayload,
{
    /// Starts one delivery; an error is the panic that killed the actor.
    fn deliver(&self, invocation: Invocation, actor: &mut A, ctx: &mut Context<A>) -> Result<(), String> {
        let Invocation { event, attempt, timeout, start, mut reply } = invocation;
        if !start.begin() {
            return Ok(());
        }
        let data = match catch_unwind(|| T::from_payload(&event.data)) {
            Ok(Ok(data)) => data,
            Ok(Err(error)) => {
                return {
                    let _: () = drop(reply.send(Ended::Undecodable(error.to_string())));
                    Ok(())
                };
            }
            Err(panic) => {
                return {
                    let _: () = drop(reply.send(Ended::Panicked(text_of(&*panic))));
                    Ok(())
                };
            }
        };
        let delivery = Deliver { event: event.with(data), attempt };
        let answer = match catch_unwind(AssertUnwindSafe(|| actor.handle(delivery, ctx))) {
            Ok(answer) => answer.into_future(),
            Err(panic) => {
                let text = text_of(&*panic);
                drop(reply.send(Ended::Panicked(text.clone())));
                return Err(text);
            }
        };
        let vitals = Arc::clone(&self.vitals);
        actix::spawn(async move {
            let fenced = AssertUnwindSafe(answer).catch_unwind();
            let ended = tokio::select! {
                biased;
                ended = tokio::time::timeout(timeout, fenced) => ended,
                // Nobody waits for it any more: its future ends here.
                () = reply.closed() => return,
            };
            let ended = match ended {
                Ok(Ok(answer)) => {
                    vitals.thrives();
                    Ended::Answered(answer)
                }
                Ok(Err(panic)) => Ended::Panicked(text_of(&*panic)),
                Err(_) => Ended::TimedOut,
            };
            drop(reply.send(ended));
        });
        Ok(())
    }

    fn finish(&mut self, end: End, ctx: &mut Context<A>) -> Poll<()> {
        if let Some(sender) = self.end.take() {
            drop(sender.send(end));
        }
        ctx.terminate();
        Poll::Ready(())
    }
}

impl<A, T> ActorFuture<A> for Driver<A, T>
where
    A: Actor<Context = Context<A>> + actix::Handler<Deliver<T>>,
    <A as actix::Handler<Deliver<T>>>::Result: Response + MessageResponse<A, Deliver<T>>,
    T: FromPayload,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, ctx: &mut Context<A>, task: &mut std::task::Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.renewal.as_mut().poll(task).is_ready() {
            return this.finish(End::Renewed, ctx);
        }
        loop {
            let next = this.inbox.borrow_mut().poll_recv(task);
            match next {
                Poll::Ready(Some(invocation)) => {
                    if let Err(panic) = this.deliver(invocation, actor, ctx) {
                        return this.finish(End::Died(panic), ctx);
                    }
                }
                Poll::Ready(None) => return this.finish(End::Closed, ctx),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The text of a panic.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".to_owned())
}
