//! The actor of a channel: its join, its messages one after the other, its end.
//!
//! An idle channel has no task: it rests in its [`Mailbox`]. Its own connection runs it in place as
//! far as no handler waits; everything else wakes it in a task of its own.

#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{self, Poll, Waker},
    time::Instant,
};

use futures_util::FutureExt;
use tokio::{
    runtime::Handle as Runtime,
    task::{coop, yield_now},
};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{Instrument, Span};

use super::{
    Answer, Channel, ChannelExtension, ChannelOf, ChannelRef, Context, Gate, HandlerFuture, Joined,
    Mailbox, Reason, SharedPart, Socket, SocketView,
    answer::{ERROR, OK},
    call::Contexts,
    handle::{ChannelHandle, Predecessor},
    mailbox::{Command, Ended, Next},
    rate_limit, telemetry,
};
use crate::{
    connection::{BudgetPermit, ChannelId, ClientSender, ConnectInfo, Urgency, corked},
    endpoint::Endpoint,
    protocol::{Message, Payload, Push, Refusal, Term, Topic, reserved},
    telemetry::shown,
};

/// The parts from which a channel is started.
pub(crate) struct Start {
    pub(crate) id: ChannelId,
    pub(crate) topic: Topic,
    pub(crate) message: Message,
    pub(crate) predecessor: Option<Predecessor>,
    pub(crate) client: ClientSender,
    pub(crate) info: Arc<ConnectInfo>,
    pub(crate) endpoint: Endpoint,
    pub(crate) mailbox_capacity: usize,
    /// The part of the client's budget for the join's own payload.
    pub(crate) share: BudgetPermit,
}

/// The rest of the client's join, and the channel that it replaces.
pub(super) struct Joining {
    pub(super) predecessor: Option<Predecessor>,
    pub(super) reference: Term,
    pub(super) payload: Payload,
    pub(super) share: BudgetPermit,
}

/// Starts a channel: its join runs in place, as far as it does not wait.
pub(crate) fn start<S: SocketView, C: ChannelOf<S>>(start: Start, user: &S::Held) -> ChannelHandle {
    let id = start.endpoint.pubsub().new_id();
    let capacity = C::OPTIONS.mailbox.unwrap_or(start.mailbox_capacity);
    let Message {
        join_ref,
        reference,
        payload,
        ..
    } = start.message;
    let mailbox = Mailbox::<C>::new(id, start.topic, start.client, join_ref, capacity);
    let span = tracing::info_span!("channel", channel = C::NAME, topic = %shown(&mailbox.topic));
    let alive = start.endpoint.tasks().token();
    let me = ChannelRef::new(mailbox.clone());
    let server = Server {
        id: start.id,
        socket: Socket::new(me, C::held(user), start.info, start.endpoint),
        channel: None,
        span,
        ended: Ended::Silent,
        finished: false,
        counted: None,
        _alive: alive,
    };
    let join = Joining {
        predecessor: start.predecessor,
        reference,
        payload,
        share: start.share,
    };
    // A join holds its share of the budget itself.
    let next = Next::Join(Box::new(join));
    begin(Box::new(server), next, &mailbox.runtime, || {});
    mailbox
}

/// The number of commands in one turn. The output is written when the turn is over, and a client
/// may have sent any number of them at once.
const MOST: u32 = 64;

/// The end of a turn of a channel, or of the channel.
pub(super) enum End {
    /// Nothing waits for the channel.
    Idle,
    /// The join was refused, or no pattern took the topic.
    NotJoined,
    /// The channel ends for this reason.
    Because(Reason),
    Panicked,
    /// It took longer than its shutdown time.
    Overdue,
}

/// A channel with all of its own state. Only its owner can run it.
pub(super) struct Server<C: Channel> {
    id: ChannelId,
    socket: Socket<C>,
    /// `None` until the client has joined.
    channel: Option<C>,
    span: Span,
    ended: Ended,
    finished: bool,
    /// Set while the client is joined.
    counted: Option<telemetry::Joined<C>>,
    /// Makes a drain wait for all channels, including those that rest.
    _alive: TaskTrackerToken,
}

impl<C: Channel> Server<C> {
    pub(super) fn mailbox(&self) -> &Arc<Mailbox<C>> {
        self.socket.mailbox()
    }

    /// Returns the span of the channel's log lines.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Runs the next task, or the commands of the mailbox, up to the limit of one turn.
    pub(super) async fn work(&mut self, next: &mut Option<Next<C>>) -> End {
        let Server {
            socket,
            channel,
            counted,
            ..
        } = self;
        let mut left = if next.is_some() { 1 } else { MOST };
        loop {
            if next.is_none() {
                *next = socket.mailbox().next();
            }
            let stop = match (&mut *next, channel.as_mut()) {
                (None, _) => return End::Idle,
                (Some(Next::Join(_)), _) => {
                    if let Some(Next::Join(join)) = next.take() {
                        // Code that runs once is boxed, so that other turns need no room for it.
                        *channel = Box::pin(socket.enter(join)).await;
                    }
                    if channel.is_some() {
                        *counted = Some(telemetry::Joined::new());
                        C::Extension::joined(socket);
                    }
                    return match channel {
                        Some(_) => End::Idle,
                        None => End::NotJoined,
                    };
                }
                (Some(Next::Command(command)), Some(channel)) => {
                    socket.take(channel, command).await
                }
                (Some(Next::Command(_)), None) => None,
                (Some(Next::Stop(reason)), _) => Some(reason.clone()),
            };
            *next = None;
            if let Some(reason) = stop {
                if let Some(channel) = channel.take() {
                    let cx = Context::new(socket);
                    let terminate = async { channel.terminate(&cx, reason.clone()).run().await };
                    Box::pin(terminate).await;
                }
                return End::Because(reason);
            }
            left -= 1;
            if left == 0 {
                return End::Idle;
            }
        }
    }

    /// Drops the channel, tells the client, and answers the messages that it can no longer handle.
    /// Nothing in here waits, so it runs to its end even if the task is dropped.
    pub(super) fn finish(&mut self, end: &End) {
        self.let_go();
        self.counted = None;
        self.socket.release();
        let reason = match end {
            End::Because(reason) => Some(reason),
            _ => None,
        };
        self.mailbox().requests.ended(reason);
        let gone = matches!(end, End::Because(Reason::Closed) | End::Overdue);
        self.socket.detach(gone);
        self.socket
            .client()
            .outbox()
            .ended(self.socket.topic().clone(), self.id);
        let event = match end {
            End::Because(Reason::Left | Reason::Normal | Reason::Shutdown(_)) => {
                Some((reserved::CLOSE, Payload::empty()))
            }
            End::Because(Reason::Error(why)) => {
                tracing::error!(channel = C::NAME, topic = %shown(self.socket.topic()), reason = %shown(why), "a channel has failed");
                Some((reserved::ERROR, Refusal::new("channel_crash").payload()))
            }
            End::Panicked => Some((reserved::ERROR, Refusal::new("channel_crash").payload())),
            End::NotJoined | End::Idle => None,
            // The successor tells the client, or the connection is going away.
            End::Because(_) | End::Overdue => None,
        };
        if let Some((event, payload)) = &event {
            let join_ref = self.socket.join_ref();
            self.socket.say_end(join_ref, event, payload);
        }
        if event.is_some() || matches!(end, End::NotJoined) {
            self.ended = Ended::Announced;
        }
        // Closed only now: once it is closed, the connection answers messages itself, and the
        // client must get the channel's end before that.
        let left = self.mailbox().close();
        let late = |command| self.socket.answer_late(command);
        left.into_iter().for_each(late);
        self.finished = true;
    }

    /// Drops a channel that was not terminated.
    fn let_go(&mut self) {
        let channel = self.channel.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(channel))) {
            telemetry::channel_panicked::<C>("a drop", &*panic);
        }
    }
}

impl<C: Channel> Drop for Server<C> {
    fn drop(&mut self) {
        if !self.finished {
            // Its task was dropped.
            self.finish(&End::Overdue);
        }
        self.mailbox().end(self.ended);
    }
}

/// Returns true if a connection's task may run one of its channels itself. Takes a part of Tokio's
/// budget for a task's turn, so that a flood of messages does not keep its thread.
pub(super) fn may_run_in_place() -> bool {
    match coop::poll_proceed(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(taken) => {
            taken.made_progress();
            true
        }
        Poll::Pending => false,
    }
}

/// Runs a channel in place, as long as it does not wait, and in a task of its own from then on,
/// after `waits`: an answer that a handler gives at once is written in the turn of the connection's
/// own task.
pub(super) fn begin<C: Channel>(
    server: Box<Server<C>>,
    next: Next<C>,
    runtime: &Runtime,
    waits: impl FnOnce(),
) {
    let mut turn = Box::pin(run(server, Some(next)));
    // The task polls it again, so its future then gets the task's waker.
    let mut cx = task::Context::from_waker(Waker::noop());
    if turn.as_mut().poll(&mut cx).is_pending() {
        waits();
        runtime.spawn(turn);
    }
}

/// A channel on its way from its rest to a task. It returns to its rest if the task never begins.
pub(super) struct WakeGuard<C: Channel>(Option<Box<Server<C>>>);

impl<C: Channel> WakeGuard<C> {
    pub(super) fn new(server: Box<Server<C>>) -> Self {
        WakeGuard(Some(server))
    }

    pub(super) async fn run(mut self) {
        if let Some(server) = self.0.take() {
            run(server, None).await;
        }
    }
}

impl<C: Channel> Drop for WakeGuard<C> {
    fn drop(&mut self) {
        if let Some(server) = self.0.take() {
            server.mailbox().clone().restore(server);
        }
    }
}

/// Runs a channel until it can rest or is over.
///
/// State that lives while a handler waits is kept here once: no large value moves from one future
/// to another.
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
            let mailbox = server.mailbox().clone();
            let span = server.span().clone();
            let mut late = None;
            let end = {
                let mut work = pin!(server.work(&mut next));
                poll_fn(|cx| {
                    let _in_span = span.enter();
                    let polled = corked(mailbox.client.outbox(), || {
                        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)))
                    });
                    match polled {
                        Ok(Poll::Ready(end)) => Poll::Ready(end),
                        Ok(Poll::Pending) => {
                            mailbox.poll_overdue(&mut late, cx).map(|()| End::Overdue)
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
                End::Idle => match mailbox.rest(server) {
                    Some(busy) => server = busy,
                    None => return,
                },
                end => return corked(mailbox.client.outbox(), || server.finish(&end)),
            }
            // Yields to other tasks: a channel whose handlers send to itself must not hold the
            // connection in whose task it runs.
            yield_now().await;
        }
    }
}

impl<C: Channel> Socket<C> {
    /// Waits until the topic is free, and joins.
    pub(super) async fn enter(&self, mut join: Box<Joining>) -> Option<C> {
        let former = join.predecessor.take();
        let replaced = match &former {
            Some(former) => former.wait().await.then_some(&former.join_ref),
            None => None,
        };
        let joined = self.join(*join).await;
        if let Some(join_ref) = replaced {
            self.say_end(join_ref, reserved::CLOSE, &Payload::empty());
        }
        joined
    }

    /// Runs the join, answers it and, if it is accepted, subscribes the client to the topic.
    async fn join(&self, message: Joining) -> Option<C> {
        let Joining {
            reference,
            payload,
            share,
            ..
        } = message;
        let started = Instant::now();
        let params = payload.clone();
        let (gate, cx) = (Context::new(self), Context::new(self));
        let join = AssertUnwindSafe(async {
            if let Gate(Some(refusal)) = C::before_join(&gate).run().await {
                return Joined::Refused(refusal);
            }
            if let Err(refusal) = self.shared().enter(self).await {
                return Joined::Refused(refusal);
            }
            match C::join(&cx, payload) {
                Ok(join) => join.run().await,
                Err(refusal) => Joined::Refused(refusal),
            }
        });
        let joined = join
            .catch_unwind()
            .instrument(telemetry::join_span::<C>())
            .await
            .unwrap_or_else(|panic| {
                telemetry::channel_panicked::<C>("a join", &*panic);
                Joined::Refused(Refusal::new("join crashed"))
            });
        drop(share);
        let (join_ref, topic) = (self.join_ref(), Term::from(self.topic()));
        let client = self.client();
        let reply = |join_ref: &Term, status: &str, payload: &Payload| {
            client.reply(
                join_ref,
                &reference,
                &topic,
                status,
                payload,
                Urgency::MustSend,
            )
        };
        let outcome = match &joined {
            Joined::Accepted(..) => "ok",
            Joined::Refused(_) => "error",
            Joined::Unmatched => "unmatched",
        };
        let refusal = match &joined {
            Joined::Refused(refusal) => Some(refusal),
            _ => None,
        };
        telemetry::joined::<C>(
            self.topic(),
            outcome,
            refusal,
            started.elapsed(),
            &params,
            self.endpoint().filter(),
        );
        match joined {
            Joined::Accepted(channel, response) => {
                let mut answered = false;
                let topic = self.topic().clone();
                let pubsub = self.endpoint().pubsub();
                let prepared = pubsub.prepare(&topic).await;
                let subscription = pubsub.subscribe_then(
                    prepared,
                    topic,
                    self.channel_ref().id(),
                    self.mailbox().clone(),
                    || answered = reply(join_ref, &OK, &response),
                );
                if answered {
                    self.mailbox().requests.open();
                    self.keep(subscription);
                }
                answered.then_some(channel)
            }
            Joined::Refused(refusal) => {
                reply(join_ref, &ERROR, &refusal.payload());
                None
            }
            Joined::Unmatched => {
                reply(
                    &Term::Null,
                    &ERROR,
                    &Refusal::new("unmatched topic").payload(),
                );
                None
            }
        }
    }

    /// Passes a command to its handler. Returns the reason if the channel must end.
    pub(super) async fn take(&self, channel: &mut C, command: &mut Command<C>) -> Option<Reason> {
        match command {
            Command::Push(message, _) => self.handle_in(channel, message).await,
            Command::Broadcast(broadcast, _) => {
                let cx = Context::for_event(self, broadcast.event(), &Term::Null);
                match channel.handle_out(&cx, broadcast) {
                    Ok(handled) => handled.run().await.stop,
                    Err(error) => {
                        telemetry::undecodable::<C>(broadcast, &error);
                        None
                    }
                }
            }
            Command::Server(message, _) => {
                let contexts = Contexts {
                    info: Context::new(self),
                    cast: Context::new(self),
                    call: Context::new(self),
                };
                let message = message.take()?;
                message.run(channel, &contexts).run().await.stop
            }
            Command::Leave(reference) => {
                self.answer_leave(reference);
                Some(Reason::Left)
            }
            Command::Closed => Some(Reason::Closed),
        }
    }

    async fn handle_in(&self, channel: &mut C, message: &mut Message) -> Option<Reason> {
        let (reference, payload) = (&message.reference, std::mem::take(&mut message.payload));
        let event = match message.event.as_str() {
            Some(event) if !event.starts_with(reserved::PREFIX) => event,
            _ => {
                self.answer(reference, Answer::unknown_event());
                return None;
            }
        };
        let cx = Context::for_event(self, event, reference);
        let probe = telemetry::HandleIn::<C>::begin(self.topic(), event, &payload);
        let span = probe.span();
        let answer = match self.pass(channel, event, &span).await {
            Some(refusal) => Answer::refuse(refusal),
            // A handler that is not async runs at once, so the call itself is inside the span.
            None => match span.in_scope(|| channel.handle_in(&cx, payload)) {
                Ok(HandlerFuture::Ready(answer)) => answer,
                Ok(HandlerFuture::Pending(answer)) => answer.instrument(span).await,
                Err(refusal) => Answer::refuse(refusal),
            },
        };
        probe.finish(&answer, self.endpoint().filter());
        let stop = answer.stop.clone();
        self.answer(reference, answer);
        stop
    }

    /// Checks the limits and gates of a message. Returns the refusal of the first one that fails.
    async fn pass(&self, channel: &mut C, event: &str, span: &Span) -> Option<Refusal> {
        if !C::RATE_LIMITS.is_empty() {
            let client = &self.connect_info().client;
            let counted = rate_limit::check::<C>(self.endpoint(), client, event);
            if let Err(refusal) = counted {
                return Some(refusal);
            }
        }
        let cx = Context::for_event(self, event, &Term::Null);
        let gate = match span.in_scope(|| channel.before_handle_in(&cx)) {
            HandlerFuture::Ready(gate) => gate,
            HandlerFuture::Pending(gate) => gate.instrument(span.clone()).await,
        };
        gate.0
    }

    fn answer(&self, reference: &Term, answer: Answer) {
        self.mailbox().answered();
        let (join_ref, topic) = (self.join_ref(), self.topic());
        answer.send(self.client(), join_ref, reference, topic);
    }

    fn answer_leave(&self, reference: &Term) {
        let (join_ref, topic) = (self.join_ref(), Term::from(self.topic()));
        let empty = Payload::empty();
        self.client()
            .reply(join_ref, reference, &topic, &OK, &empty, Urgency::MustSend);
    }

    /// Sends `phx_close` or `phx_error`, with the join_ref as ref too.
    pub(super) fn say_end(&self, join_ref: &Term, event: &str, payload: &Payload) {
        let client = self.client();
        let push = Push {
            join_ref,
            reference: join_ref,
            topic: self.topic(),
            event,
            payload,
        };
        if let Ok(frame) = client.serializer().push(push) {
            client.send(frame, Urgency::Final);
        }
    }

    /// Answers a message that came too late.
    pub(super) fn answer_late(&self, command: Command<C>) {
        match command {
            Command::Leave(reference) => self.answer_leave(&reference),
            Command::Push(
                Message {
                    reference, event, ..
                },
                _,
            ) if event.as_str() == Some(reserved::LEAVE) => {
                self.answer_leave(&reference);
            }
            Command::Push(Message { reference, .. }, _) => {
                let topic = Term::from(self.topic());
                let payload = Refusal::new("unmatched topic").payload();
                self.client().reply(
                    &Term::Null,
                    &reference,
                    &topic,
                    &ERROR,
                    &payload,
                    Urgency::MustSend,
                );
            }
            Command::Broadcast(..) | Command::Server(..) | Command::Closed => {}
        }
    }
}
