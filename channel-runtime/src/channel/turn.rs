//! A channel's turn: from its rest to its next one, or to its end.

#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
};

use tokio::{
    runtime::Handle as Runtime,
    task::{coop, yield_now},
};

use super::telemetry;
use super::{
    Channel,
    inbox::Next,
    server::{End, Server},
};
use crate::connection::corked;

/// Whether a connection's task has time left to run one of its channels itself; it takes of
/// Tokio's budget for a task's turn, so a flood of messages does not keep its thread.
pub(super) fn may_run_in_place() -> bool {
    match coop::poll_proceed(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(taken) => {
            taken.made_progress();
            true
        }
        Poll::Pending => false,
    }
}

/// Runs a channel in place, for as long as it does not wait, and in a task of its own from then
/// on, after `waits`: what a handler answers at once is written in the turn of the connection's
/// own task.
pub(super) fn begin<C: Channel>(
    server: Box<Server<C>>,
    next: Next<C>,
    runtime: &Runtime,
    waits: impl FnOnce(),
) {
    let mut turn = Box::pin(run(server, Some(next)));
    // The task polls it again, and so whatever it waits for learns of the task's waker.
    let mut cx = Context::from_waker(Waker::noop());
    if turn.as_mut().poll(&mut cx).is_pending() {
        waits();
        runtime.spawn(turn);
    }
}

/// A channel on its way from its rest to a task; it returns to its rest when the task never
/// begins.
pub(super) struct Awake<C: Channel>(Option<Box<Server<C>>>);

impl<C: Channel> Awake<C> {
    pub(super) fn new(server: Box<Server<C>>) -> Self {
        Awake(Some(server))
    }

    pub(super) async fn run(mut self) {
        if let Some(server) = self.0.take() {
            run(server, None).await;
        }
    }
}

impl<C: Channel> Drop for Awake<C> {
    fn drop(&mut self) {
        if let Some(server) = self.0.take() {
            server.inbox().clone().take_back(server);
        }
    }
}

/// Runs a channel until it can rest, or is over.
///
/// What is kept here while a handler waits is kept once: no large value is handed from one
/// future to another.
#[expect(
    clippy::manual_async_fn,
    reason = "an async function keeps its arguments twice"
)]
fn run<C: Channel>(
    mut server: Box<Server<C>>,
    mut next: Option<Next<C>>,
) -> impl Future<Output = ()> + Send {
    async move {
        loop {
            let inbox = server.inbox().clone();
            let span = server.span().clone();
            let mut late = None;
            let end = {
                let mut work = pin!(server.work(&mut next));
                poll_fn(|cx| {
                    let _in_span = span.enter();
                    let polled = corked(inbox.outlet.outbox(), || {
                        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)))
                    });
                    match polled {
                        Ok(Poll::Ready(end)) => Poll::Ready(end),
                        Ok(Poll::Pending) => {
                            inbox.poll_overdue(&mut late, cx).map(|()| End::Overdue)
                        }
                        Err(panic) => {
                            telemetry::channel_panicked::<C>("a handler", &*panic);
                            Poll::Ready(End::Panicked)
                        }
                    }
                })
                .await
            };
            match end {
                End::Idle => match inbox.rest(server) {
                    Some(busy) => server = busy,
                    None => return,
                },
                end => return corked(inbox.outlet.outbox(), || server.finish(&end)),
            }
            // Others have their turn: what a handler sends to its own channel must not keep the
            // connection in whose task it runs.
            yield_now().await;
        }
    }
}
