//! The bounded inbox of a channel's task.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{CallFor, Caller, CastFor, Channel, Context, Flow, InfoFor, Reason, Step, role};
use crate::{
    Broadcast, Error,
    socket::Share,
    wire::{Message, Term},
};

/// What a channel's task is told.
pub(super) enum Letter<C: Channel> {
    /// A client's message.
    Push(Message, Share),
    /// The client leaves; the ref of its message.
    Leave(Term),
    /// An intercepted broadcast.
    Broadcast(Broadcast),
    /// A message from the server's own code.
    Errand(Box<dyn Errand<C>>),
    /// The connection is gone.
    Closed,
}

/// A message of a type that the channel knows: info, cast or call.
pub(crate) trait Errand<C: Channel>: Send {
    fn run<'a>(self: Box<Self>, channel: &'a mut C, cx: &'a Contexts<'a, C>) -> Step<'a, Flow>;
}

/// The contexts of the roles an [`Errand`] may have.
pub(crate) struct Contexts<'a, C: Channel> {
    pub(crate) info: Context<'a, C, role::handle_info>,
    pub(super) cast: Context<'a, C, role::handle_cast>,
    pub(super) call: Context<'a, C, role::handle_call>,
}

pub(super) struct Info<M>(pub(super) M);
pub(super) struct Cast<M>(pub(super) M);
pub(super) struct Call<M, T>(pub(super) M, pub(super) oneshot::Sender<T>);

impl<C: Channel, M: InfoFor<C>> Errand<C> for Info<M> {
    fn run<'a>(self: Box<Self>, channel: &'a mut C, cx: &'a Contexts<'a, C>) -> Step<'a, Flow> {
        self.0.handle(channel, &cx.info)
    }
}

impl<C: Channel, M: CastFor<C>> Errand<C> for Cast<M> {
    fn run<'a>(self: Box<Self>, channel: &'a mut C, cx: &'a Contexts<'a, C>) -> Step<'a, Flow> {
        self.0.handle(channel, &cx.cast)
    }
}

impl<C: Channel, M: CallFor<C>> Errand<C> for Call<M, M::Reply> {
    fn run<'a>(self: Box<Self>, channel: &'a mut C, cx: &'a Contexts<'a, C>) -> Step<'a, Flow> {
        self.0.handle(channel, &cx.call, Caller(self.1))
    }
}

/// How a channel that is replaced by a new join has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The client has been told: `phx_close` or `phx_error` is on its way.
    Announced,
    /// Nobody has told the client.
    Silent,
}

/// The messages a channel has yet to take, at most `capacity` from clients and broadcasts; what
/// ends the channel always finds room.
pub(crate) struct Inbox<C: Channel> {
    state: Mutex<State<C>>,
    capacity: usize,
}

struct State<C: Channel> {
    letters: VecDeque<Letter<C>>,
    /// Ends the channel before any letter that still waits.
    stop: Option<Reason>,
    /// Set when the channel must end within its shutdown time.
    doomed: bool,
    open: bool,
    ended: Option<Ended>,
    task: Option<Waker>,
    successor: Option<Waker>,
}

/// Why a letter was not taken.
pub(crate) enum Refused<T> {
    /// The inbox is full.
    Full(T),
    /// The channel has ended.
    Ended(T),
}

impl<T> From<Refused<T>> for Error {
    fn from(refused: Refused<T>) -> Self {
        match refused {
            Refused::Full(_) => Error::InboxFull,
            Refused::Ended(_) => Error::ChannelEnded,
        }
    }
}

/// What the task does next.
pub(super) enum Next<C: Channel> {
    Letter(Letter<C>),
    Stop(Reason),
}

impl<C: Channel> Inbox<C> {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        let state = State {
            letters: VecDeque::new(),
            stop: None,
            doomed: false,
            open: true,
            ended: None,
            task: None,
            successor: None,
        };
        Arc::new(Inbox {
            state: Mutex::new(state),
            capacity,
        })
    }

    /// Queues a letter that may be refused.
    pub(super) fn offer<T>(
        &self,
        content: T,
        letter: impl FnOnce(T) -> Letter<C>,
    ) -> Result<(), Refused<T>> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(Refused::Ended(content));
        }
        if state.letters.len() >= self.capacity {
            return Err(Refused::Full(content));
        }
        state.letters.push_back(letter(content));
        state.wake();
        Ok(())
    }

    /// Queues a letter that ends the channel; gives it back when that has happened already.
    pub(super) fn insist(&self, letter: Letter<C>) -> Result<(), Letter<C>> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(letter);
        }
        state.doomed |= matches!(letter, Letter::Closed);
        state.letters.push_back(letter);
        state.wake();
        Ok(())
    }

    /// Ends the channel before the letters that wait, within its shutdown time.
    pub(super) fn stop(&self, reason: Reason) {
        let mut state = self.state.lock();
        state.stop.get_or_insert(reason);
        state.doomed = true;
        state.wake();
    }

    /// Fire and forget, as Erlang's `send`: dropped with a warning when the inbox is full.
    pub(super) fn send(&self, errand: Box<dyn Errand<C>>) {
        if let Err(Refused::Full(_)) = self.offer(errand, Letter::Errand) {
            metrics::counter!("channel_messages_dropped_total", "channel" => C::NAME).increment(1);
            tracing::warn!(
                channel = C::NAME,
                "an inbox is full; a message to the channel is dropped"
            );
        }
    }

    pub(super) fn poll_next(&self, cx: &mut TaskContext<'_>) -> Poll<Next<C>> {
        let mut state = self.state.lock();
        if let Some(reason) = state.stop.take() {
            return Poll::Ready(Next::Stop(reason));
        }
        if let Some(letter) = state.letters.pop_front() {
            return Poll::Ready(Next::Letter(letter));
        }
        state.register(cx);
        Poll::Pending
    }

    /// Ready once the channel has to end within its shutdown time.
    pub(super) fn poll_doomed(&self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.doomed {
            return Poll::Ready(());
        }
        state.register(cx);
        Poll::Pending
    }

    /// Takes no more letters and gives back those that wait.
    pub(super) fn close(&self) -> VecDeque<Letter<C>> {
        let mut state = self.state.lock();
        state.open = false;
        std::mem::take(&mut state.letters)
    }

    /// Says that the channel is over, to whoever waits to take its place.
    pub(super) fn end(&self, how: Ended) {
        let mut state = self.state.lock();
        state.ended = Some(how);
        if let Some(successor) = state.successor.take() {
            successor.wake();
        }
    }

    pub(super) fn poll_ended(&self, cx: &mut TaskContext<'_>) -> Poll<Ended> {
        let mut state = self.state.lock();
        match state.ended {
            Some(how) => Poll::Ready(how),
            None => {
                state.successor = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Gives back the memory of a burst that is over.
    pub(super) fn shrink(&self) {
        self.state.lock().letters.shrink_to_fit();
    }

    /// Whether there is memory to give back.
    pub(super) fn is_spacious(&self) -> bool {
        self.state.lock().letters.capacity() > 0
    }
}

impl<C: Channel> State<C> {
    /// The inbox has one reader, the channel's task, so its waker is kept from one wait to the
    /// next: a task that waits elsewhere, inside a handler, still hears that it is doomed.
    fn register(&mut self, cx: &TaskContext<'_>) {
        if !self
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()))
        {
            self.task = Some(cx.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}
