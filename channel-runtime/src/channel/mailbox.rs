//! A channel's bounded mailbox, which also holds the channel itself while it is idle.

use std::{
    any::Any,
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Weak},
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
    Channel, Reason,
    call::ServerMessage,
    push_stream::Streams,
    request::Requests,
    server::{Joining, Server, WakeGuard},
    timer::Timers,
};
use crate::{
    connection::{BudgetPermit, ClientSender, InterceptPermit, Reservation, Undelivered, send_on},
    error::Error,
    protocol::{Broadcast, Message, Term, Topic},
    pubsub::{Encodings, Subscriber, SubscriberId},
};

/// Returned to the join that replaces the channel: the way it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The client has been told: `phx_close` or `phx_error` is on its way.
    Announced,
    /// The client has not been told yet.
    Silent,
}

/// The messages that wait for a channel, and its address. It holds at most `capacity` messages of
/// the server's own code, as many of its client as the connection's
/// [`Budget`](crate::connection::Budget) has bytes for, and as many broadcasts as the outbox has. A
/// command that ends the channel always finds room.
///
/// An idle channel has no task: it rests in here. A message takes it out and runs it: in place if
/// its own connection brings the message, otherwise in a task of its own.
pub(crate) struct Mailbox<C: Channel> {
    pub(super) id: SubscriberId,
    pub(super) topic: Topic,
    pub(super) client: ClientSender,
    pub(super) join_ref: Term,
    pub(super) timers: Timers,
    pub(super) requests: Requests,
    pub(super) streams: Streams,
    /// Runs the channel's tasks, also if a thread outside of a runtime wakes it.
    pub(super) runtime: Runtime,
    capacity: usize,
    state: Mutex<State<C>>,
}

/// The number of places that a mailbox in use keeps.
const PLACES: usize = 64;

struct State<C: Channel> {
    commands: VecDeque<Command<C>>,
    /// The number of them that count against the capacity.
    counted: usize,
    /// The bytes that the message takes of the client's budget while its handler waits.
    held: Option<BudgetPermit>,
    /// The channel, while it rests.
    resting: Option<Box<Server<C>>>,
    /// Ends the channel before any command that still waits.
    stop: Option<Reason>,
    /// True once the channel must end within its shutdown time.
    shutting_down: bool,
    /// True once that time is over.
    aborted: bool,
    open: bool,
    /// The number of messages without an answer, if the channel limits it.
    unanswered: usize,
    ended: Option<Ended>,
    /// Wakes the task that runs the channel once `shutting_down` is set.
    task: Option<Waker>,
    successor: Option<Waker>,
    /// The start of its rest, while `watch` waits to give its memory back.
    rested: Option<Instant>,
    /// The task that gives its memory back.
    watch: Option<AbortHandle>,
}

/// An item of a mailbox.
pub(super) enum Command<C: Channel> {
    /// A client's message.
    Push(
        Message,
        #[expect(dead_code, reason = "gives its bytes back when it is dropped")]
        Option<BudgetPermit>,
    ),
    /// The client leaves; holds the ref of its message.
    Leave(Term),
    /// An intercepted broadcast.
    Broadcast(
        Broadcast,
        #[expect(dead_code, reason = "gives its bytes back when it is dropped")] InterceptPermit,
    ),
    /// A message of the server's own code, taken out when it is handled. One that a broadcast
    /// caused counts against the outbox.
    Server(Option<Box<dyn ServerMessage<C>>>, Option<InterceptPermit>),
    /// The connection is gone.
    Closed,
}

impl<C: Channel> Command<C> {
    /// Returns true if the mailbox limits how many of its kind wait.
    pub(super) fn is_counted(&self) -> bool {
        matches!(self, Command::Server(_, None))
    }

    pub(super) fn server(message: Box<dyn ServerMessage<C>>) -> Self {
        Command::Server(Some(message), None)
    }
}

impl From<Undelivered> for Error {
    fn from(undelivered: Undelivered) -> Self {
        match undelivered {
            Undelivered::Full => Error::MailboxFull,
            Undelivered::Ended => Error::ChannelEnded,
        }
    }
}

/// The next task of the channel.
pub(super) enum Next<C: Channel> {
    Join(Box<Joining>),
    Command(Command<C>),
    Stop(Reason),
}

impl<C: Channel> Mailbox<C> {
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    pub(super) fn new(
        id: SubscriberId,
        topic: Topic,
        client: ClientSender,
        join_ref: Term,
        capacity: usize,
    ) -> Arc<Self> {
        let state = State {
            commands: VecDeque::new(),
            counted: 0,
            held: None,
            resting: None,
            stop: None,
            shutting_down: false,
            aborted: false,
            open: true,
            unanswered: 0,
            ended: None,
            task: None,
            successor: None,
            rested: None,
            watch: None,
        };
        Arc::new(Mailbox {
            id,
            topic,
            client,
            join_ref,
            timers: Timers::default(),
            requests: Requests::default(),
            streams: Streams::default(),
            runtime: Runtime::current(),
            capacity,
            state: Mutex::new(state),
        })
    }

    /// Queues a message of the server's own code.
    pub(super) fn try_send(&self, message: Box<dyn ServerMessage<C>>) -> Result<(), Undelivered> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(Undelivered::Ended);
        }
        if state.counted >= self.capacity {
            return Err(Undelivered::Full);
        }
        state.counted += 1;
        state.commands.push_back(Command::server(message));
        self.wake(state);
        Ok(())
    }

    /// Queues a client's message, with its part of the connection's budget. Returns the message if
    /// the channel has ended.
    pub(super) fn deliver(&self, message: Message, claim: Reservation<'_>) -> Result<(), Message> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(message);
        }
        state
            .commands
            .push_back(Command::Push(message, Some(claim.take())));
        self.wake(state);
        Ok(())
    }

    /// Queues a broadcast, or applies the policy if there is no room.
    pub(super) fn try_broadcast(
        &self,
        broadcast: &Broadcast,
        command: impl FnOnce(Broadcast, InterceptPermit) -> Command<C>,
    ) {
        let Some(heard) = self.client.intercept(broadcast.payload().len()) else {
            return self.client.overflow(C::NAME);
        };
        let command = command(broadcast.clone(), heard);
        let mut state = self.state.lock();
        if state.open {
            state.commands.push_back(command);
            self.wake(state);
        }
    }

    /// Counts a message of the client. Returns false if too many have no answer yet.
    pub(super) fn admit(&self) -> bool {
        let Some(most) = C::OPTIONS.pushes else {
            return true;
        };
        let mut state = self.state.lock();
        let admitted = state.unanswered < most;
        state.unanswered += usize::from(admitted);
        admitted
    }

    /// Counts an answer that the client is about to get.
    pub(super) fn answered(&self) {
        if C::OPTIONS.pushes.is_some() {
            let mut state = self.state.lock();
            state.unanswered = state.unanswered.saturating_sub(1);
        }
    }

    /// Queues a command that ends the channel. Returns it if the channel has ended already.
    pub(super) fn push_final(&self, command: Command<C>) -> Result<(), Command<C>> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(command);
        }
        state.counted += usize::from(command.is_counted());
        if matches!(command, Command::Closed) {
            state.begin_shutdown();
        }
        state.commands.push_back(command);
        self.wake(state);
        Ok(())
    }

    /// Ends the channel before the commands that wait, within its shutdown time.
    pub(super) fn stop(&self, reason: Reason) {
        self.requests.ended(Some(&reason));
        let mut state = self.state.lock();
        state.stop.get_or_insert(reason);
        state.begin_shutdown();
        self.wake(state);
    }

    /// Drops the channel's current work.
    pub(super) fn abort(&self) {
        let mut state = self.state.lock();
        state.aborted = true;
        state.begin_shutdown();
    }

    /// Keeps a message's part of the client's budget until the channel is done with it.
    pub(super) fn hold(&self, share: BudgetPermit) {
        self.state.lock().held = Some(share);
    }

    /// Starts a task for the channel if it rests.
    fn wake(&self, mut state: MutexGuard<'_, State<C>>) {
        let resting = state.resting.take();
        drop(state);
        if let Some(server) = resting {
            self.runtime.spawn(WakeGuard::new(server).run());
        }
    }

    /// Takes the channel out for its own connection, if it rests and nothing else waits for it.
    pub(super) fn take_resting(&self) -> Option<Box<Server<C>>> {
        let mut state = self.state.lock();
        if state.stop.is_some() || !state.commands.is_empty() {
            return None;
        }
        state.resting.take()
    }

    /// Lays the channel to rest. Returns it if something waits for it.
    pub(super) fn rest(self: &Arc<Self>, server: Box<Server<C>>) -> Option<Box<Server<C>>> {
        let mut state = self.state.lock();
        state.held = None;
        if state.stop.is_some() || !state.commands.is_empty() {
            return Some(server);
        }
        state.resting = Some(server);
        state.task = None;
        let watched = state.rested.is_some();
        if let Some(after) = C::OPTIONS.hibernate_after
            && (watched || state.commands.capacity() > 0)
        {
            state.rested = Some(Instant::now());
            if !watched {
                let watch = watch(Arc::downgrade(self), after);
                state.watch = Some(self.runtime.spawn(watch).abort_handle());
            }
        }
        None
    }

    /// Takes back a channel whose task was dropped before it began, as by a runtime that ends.
    pub(super) fn restore(&self, server: Box<Server<C>>) {
        let mut state = self.state.lock();
        if state.shutting_down {
            drop(state);
            drop(server);
        } else {
            state.resting = Some(server);
        }
    }

    /// Does the same as [`Mailbox::try_send`]. A message that finds no room is dropped with a
    /// warning.
    pub(super) fn send(&self, message: Box<dyn ServerMessage<C>>) {
        if self.try_send(message) == Err(Undelivered::Full) {
            metrics::counter!("channel_messages_dropped_total", "channel" => C::NAME).increment(1);
            tracing::warn!(
                channel = C::NAME,
                "a mailbox is full; a message to the channel is dropped"
            );
        }
    }

    /// Takes the next command out.
    pub(super) fn next(&self) -> Option<Next<C>> {
        let mut state = self.state.lock();
        state.held = None;
        if let Some(reason) = state.stop.take() {
            return Some(Next::Stop(reason));
        }
        let command = state.commands.pop_front()?;
        state.counted -= usize::from(command.is_counted());
        // Gives the memory of a burst back while it is handled, since its bytes no longer count.
        let (waiting, places) = (state.commands.len(), state.commands.capacity());
        if places > PLACES && waiting < places / 4 {
            state.commands.shrink_to(places / 2);
        }
        Some(Next::Command(command))
    }

    /// Becomes ready once the channel has exceeded its shutdown time. `late` keeps the timer.
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
        if !state.shutting_down {
            return Poll::Pending;
        }
        drop(state);
        let late = late.get_or_insert_with(|| Box::pin(sleep(C::OPTIONS.shutdown)));
        late.as_mut().poll(cx).map(|()| {
            tracing::warn!("a channel did not end within its shutdown time and is dropped");
        })
    }

    /// Closes the mailbox and returns the waiting commands.
    pub(super) fn close(&self) -> VecDeque<Command<C>> {
        let mut state = self.state.lock();
        state.open = false;
        state.held = None;
        std::mem::take(&mut state.commands)
    }

    /// Marks the channel as over and wakes the join that replaces it.
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

    /// Gives the memory of a burst back if the channel has rested for long enough. Otherwise
    /// returns the remaining time.
    pub(super) fn hibernate(&self, after: Duration) -> Option<Duration> {
        let mut state = self.state.lock();
        let rested = match (&state.resting, state.rested) {
            (Some(_), Some(since)) => since.elapsed(),
            _ => Duration::ZERO,
        };
        if state.open && rested < after {
            return Some(after - rested);
        }
        state.commands.shrink_to_fit();
        state.rested = None;
        state.watch = None;
        None
    }
}

/// A channel's subscription to its own topic: broadcasts go straight to the connection, past the
/// channel, unless it intercepts them.
impl<C: Channel> Subscriber for Mailbox<C> {
    fn deliver(&self, broadcast: &Broadcast, encodings: &mut Encodings) {
        if !C::INTERCEPTS.contains(&broadcast.event()) {
            return send_on(&self.client, broadcast, encodings);
        }
        self.try_broadcast(broadcast, Command::Broadcast);
    }

    fn into_any(self: Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(self)
    }
}

impl<C: Channel> State<C> {
    fn begin_shutdown(&mut self) {
        self.shutting_down = true;
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

/// Gives the memory of a burst back once the channel has been idle for a while.
///
/// Begins when there is memory to give back, and checks the channel when the time is over; messages
/// do not move the timer.
async fn watch<C: Channel>(mailbox: Weak<Mailbox<C>>, after: Duration) {
    let mut left = after;
    loop {
        sleep(left).await;
        let Some(mailbox) = mailbox.upgrade() else {
            return;
        };
        match mailbox.hibernate(after) {
            Some(more) => left = more,
            None => return,
        }
    }
}
