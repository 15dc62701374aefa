//! A channel's bounded inbox, where the channel itself rests while nothing happens to it.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    runtime::Handle as Runtime,
    task::AbortHandle,
    time::{Instant, Sleep, sleep},
};

use super::{
    Channel, Reason, hibernate,
    letter::{Errand, Letter},
    server::{Joining, Server},
    timer::Timers,
    turn::Awake,
};
use crate::{
    connection::{Claim, Heard, Outlet, Share, send_on},
    error::Error,
    protocol::{Broadcast, Message, Topic},
    pubsub::{Encodings, Subscriber, SubscriberId},
};

/// How a channel that is replaced by a new join has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The client has been told: `phx_close` or `phx_error` is on its way.
    Announced,
    /// Nobody has told the client.
    Silent,
}

/// A channel as others reach it: what it has yet to take. Of what the server's own code sends, at
/// most `capacity` messages; of its client's messages as many as the connection's
/// [`Budget`](crate::connection::Budget) has bytes for, of broadcasts as many as its outbox has; and
/// what ends the channel always finds room.
///
/// While nothing happens to a channel it has no task and lies in here. Whoever brings a message
/// takes it out and has it run: its own connection in place, others in a task of its own.
pub(crate) struct Inbox<C: Channel> {
    pub(super) id: SubscriberId,
    pub(super) topic: Topic,
    pub(super) outlet: Outlet,
    pub(super) timers: Timers,
    /// Where the channel's tasks run, whoever wakes it.
    pub(super) runtime: Runtime,
    capacity: usize,
    state: Mutex<State<C>>,
}

/// Up to so many places an inbox keeps while it is in use.
const PLACES: usize = 64;

struct State<C: Channel> {
    letters: VecDeque<Letter<C>>,
    /// How many of them count against the capacity.
    counted: usize,
    /// Of the client's budget, what the message takes whose handler waits.
    held: Option<Share>,
    /// The channel, while it rests.
    resting: Option<Box<Server<C>>>,
    /// Ends the channel before any letter that still waits.
    stop: Option<Reason>,
    /// Set when the channel must end within its shutdown time.
    doomed: bool,
    /// Set when it has had that time, and more.
    aborted: bool,
    open: bool,
    /// The messages that the client has no answer to, where their number is limited.
    unanswered: usize,
    ended: Option<Ended>,
    /// The task that runs the channel, to hear that it is doomed.
    task: Option<Waker>,
    successor: Option<Waker>,
    /// Since when the channel rests, while a timer waits to give its memory back.
    rested: Option<Instant>,
    /// That timer.
    watch: Option<AbortHandle>,
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

/// What the channel does next.
pub(super) enum Next<C: Channel> {
    Join(Box<Joining>),
    Letter(Letter<C>),
    Stop(Reason),
}

impl<C: Channel> Inbox<C> {
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub(super) fn new(
        id: SubscriberId,
        topic: Topic,
        outlet: Outlet,
        capacity: usize,
    ) -> Arc<Self> {
        let state = State {
            letters: VecDeque::new(),
            counted: 0,
            held: None,
            resting: None,
            stop: None,
            doomed: false,
            aborted: false,
            open: true,
            unanswered: 0,
            ended: None,
            task: None,
            successor: None,
            rested: None,
            watch: None,
        };
        Arc::new(Inbox {
            id,
            topic,
            outlet,
            timers: Timers::default(),
            runtime: Runtime::current(),
            capacity,
            state: Mutex::new(state),
        })
    }

    /// Queues a broadcast or an errand, which may be refused.
    pub(super) fn offer<T>(
        &self,
        content: T,
        letter: impl FnOnce(T) -> Letter<C>,
    ) -> Result<(), Refused<T>> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(Refused::Ended(content));
        }
        if state.counted >= self.capacity {
            return Err(Refused::Full(content));
        }
        state.counted += 1;
        state.letters.push_back(letter(content));
        self.rouse(state);
        Ok(())
    }

    /// Queues a client's message, with what it takes of its connection's budget; gives it back when
    /// the channel has ended.
    pub(super) fn deliver(&self, message: Message, claim: Claim<'_>) -> Result<(), Message> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(message);
        }
        state
            .letters
            .push_back(Letter::Push(message, Some(claim.take())));
        self.rouse(state);
        Ok(())
    }

    /// Queues a broadcast, or does what the policy says when there is no room.
    pub(super) fn hear(
        &self,
        broadcast: &Broadcast,
        letter: impl FnOnce(Broadcast, Heard) -> Letter<C>,
    ) {
        let Some(heard) = self.outlet.intercept(broadcast.payload().len()) else {
            return self.outlet.overflow(C::NAME);
        };
        let letter = letter(broadcast.clone(), heard);
        let mut state = self.state.lock();
        if state.open {
            state.letters.push_back(letter);
            self.rouse(state);
        }
    }

    /// Whether one more message of the client may come, of those that it has no answer to.
    pub(super) fn admit(&self) -> bool {
        let Some(most) = C::OPTIONS.pushes else {
            return true;
        };
        let mut state = self.state.lock();
        let admitted = state.unanswered < most;
        state.unanswered += usize::from(admitted);
        admitted
    }

    /// The client is about to have the answer to a message.
    pub(super) fn answered(&self) {
        if C::OPTIONS.pushes.is_some() {
            let mut state = self.state.lock();
            state.unanswered = state.unanswered.saturating_sub(1);
        }
    }

    /// Queues a letter that ends the channel; gives it back when that has happened already.
    pub(super) fn insist(&self, letter: Letter<C>) -> Result<(), Letter<C>> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(letter);
        }
        state.counted += usize::from(letter.is_counted());
        if matches!(letter, Letter::Closed) {
            state.doom();
        }
        state.letters.push_back(letter);
        self.rouse(state);
        Ok(())
    }

    /// Ends the channel before the letters that wait, within its shutdown time.
    pub(super) fn stop(&self, reason: Reason) {
        let mut state = self.state.lock();
        state.stop.get_or_insert(reason);
        state.doom();
        self.rouse(state);
    }

    /// Drops what the channel is doing.
    pub(super) fn abort(&self) {
        let mut state = self.state.lock();
        state.aborted = true;
        state.doom();
    }

    /// Keeps what a message takes of the client's budget until the channel is done with it.
    pub(super) fn hold(&self, share: Share) {
        self.state.lock().held = Some(share);
    }

    /// Has the channel run in a task, where it rests.
    fn rouse(&self, mut state: MutexGuard<'_, State<C>>) {
        let resting = state.resting.take();
        drop(state);
        if let Some(server) = resting {
            self.runtime.spawn(Awake::new(server).run());
        }
    }

    /// The channel, where it rests and nothing is ahead of what its own connection has for it.
    pub(super) fn take_resting(&self) -> Option<Box<Server<C>>> {
        let mut state = self.state.lock();
        if state.stop.is_some() || !state.letters.is_empty() {
            return None;
        }
        state.resting.take()
    }

    /// Lays the channel to rest, unless something waits for it: then it is given back.
    pub(super) fn rest(self: &Arc<Self>, server: Box<Server<C>>) -> Option<Box<Server<C>>> {
        let mut state = self.state.lock();
        state.held = None;
        if state.stop.is_some() || !state.letters.is_empty() {
            return Some(server);
        }
        state.resting = Some(server);
        state.task = None;
        let watched = state.rested.is_some();
        if let Some(after) = C::OPTIONS.hibernate_after
            && (watched || state.letters.capacity() > 0)
        {
            state.rested = Some(Instant::now());
            if !watched {
                let watch = hibernate::watch(Arc::downgrade(self), after);
                state.watch = Some(self.runtime.spawn(watch).abort_handle());
            }
        }
        None
    }

    /// Takes back a channel whose task was dropped before it began, as by a runtime that ends.
    pub(super) fn take_back(&self, server: Box<Server<C>>) {
        let mut state = self.state.lock();
        if state.doomed {
            drop(state);
            drop(server);
        } else {
            state.resting = Some(server);
        }
    }

    /// Fire and forget, as Erlang's `send`: dropped with a warning when the inbox is full.
    pub(super) fn send(&self, errand: Box<dyn Errand<C>>) {
        if let Err(Refused::Full(_)) = self.offer(errand, Letter::errand) {
            metrics::counter!("channel_messages_dropped_total", "channel" => C::NAME).increment(1);
            tracing::warn!(
                channel = C::NAME,
                "an inbox is full; a message to the channel is dropped"
            );
        }
    }

    /// What waits for the channel.
    pub(super) fn next(&self) -> Option<Next<C>> {
        let mut state = self.state.lock();
        state.held = None;
        if let Some(reason) = state.stop.take() {
            return Some(Next::Stop(reason));
        }
        let letter = state.letters.pop_front()?;
        state.counted -= usize::from(letter.is_counted());
        // A burst's places are given back while it is worked off: its bytes count no longer.
        let (waiting, places) = (state.letters.len(), state.letters.capacity());
        if places > PLACES && waiting < places / 4 {
            state.letters.shrink_to(places / 2);
        }
        Some(Next::Letter(letter))
    }

    /// Ready when the channel had to end and has not for as long as it may take; `late` is for
    /// its timer.
    pub(super) fn poll_overdue(
        &self,
        late: &mut Option<Pin<Box<Sleep>>>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let mut state = self.state.lock();
        if state.aborted {
            return Poll::Ready(());
        }
        state.register(cx);
        if !state.doomed {
            return Poll::Pending;
        }
        drop(state);
        let late = late.get_or_insert_with(|| Box::pin(sleep(C::OPTIONS.shutdown)));
        late.as_mut().poll(cx).map(|()| {
            tracing::warn!("a channel did not end within its shutdown time and is dropped");
        })
    }

    /// Takes no more letters and gives back those that wait.
    pub(super) fn close(&self) -> VecDeque<Letter<C>> {
        let mut state = self.state.lock();
        state.open = false;
        state.held = None;
        std::mem::take(&mut state.letters)
    }

    /// Says that the channel is over, to whoever waits to take its place.
    pub(super) fn end(&self, how: Ended) {
        let mut state = self.state.lock();
        state.ended = Some(how);
        if let Some(watch) = state.watch.take() {
            watch.abort();
        }
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

    /// Gives the memory of a burst back when the channel has rested for long enough; how long it
    /// has to go on resting otherwise.
    pub(super) fn hibernate(&self, after: Duration) -> Option<Duration> {
        let mut state = self.state.lock();
        let rested = match (&state.resting, state.rested) {
            (Some(_), Some(since)) => since.elapsed(),
            _ => Duration::ZERO,
        };
        if state.open && rested < after {
            return Some(after - rested);
        }
        state.letters.shrink_to_fit();
        state.rested = None;
        state.watch = None;
        None
    }
}

/// A channel's subscription to its own topic: broadcasts go straight to the connection, past the
/// channel, unless it intercepts them.
impl<C: Channel> Subscriber for Inbox<C> {
    fn deliver(&self, broadcast: &Broadcast, encodings: &mut Encodings) {
        if !C::INTERCEPTS.contains(&broadcast.event()) {
            return send_on(&self.outlet, broadcast, encodings);
        }
        self.hear(broadcast, Letter::Broadcast);
    }
}

impl<C: Channel> State<C> {
    fn doom(&mut self) {
        self.doomed = true;
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    fn register(&mut self, cx: &TaskContext<'_>) {
        if !self
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()))
        {
            self.task = Some(cx.waker().clone());
        }
    }
}
