//! What happens to a channel: its join, its messages, its end.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Span;

use super::telemetry;
use super::{
    Channel, ChannelExtension, ChannelOf, ChannelRef, Context, Inbox, Reason, Socket,
    handle::{ChannelHandle, Predecessor},
    inbox::{Ended, Next},
    turn,
};
use crate::telemetry::shown;
use crate::{
    connection::{ChannelId, ConnectInfo, Outlet, Share},
    endpoint::Endpoint,
    protocol::{Message, Payload, Refusal, Term, Topic, reserved},
};

/// What it takes to start a channel.
pub(crate) struct Start {
    pub(crate) id: ChannelId,
    pub(crate) topic: Topic,
    pub(crate) message: Message,
    pub(crate) predecessor: Option<Predecessor>,
    pub(crate) outlet: Outlet,
    pub(crate) info: Arc<ConnectInfo>,
    pub(crate) endpoint: Endpoint,
    pub(crate) inbox_capacity: usize,
    /// What the join's own payload takes of the client's budget.
    pub(crate) share: Share,
}

/// What is left of the client's join, and the channel whose place it takes.
pub(super) struct Joining {
    pub(super) predecessor: Option<Predecessor>,
    pub(super) reference: Term,
    pub(super) payload: Payload,
    pub(super) share: Share,
}

/// Starts a channel: its join runs here and now, as far as it does not wait.
pub(crate) fn start<S, C: ChannelOf<S>>(start: Start, user: &Arc<S>) -> ChannelHandle {
    let id = start.endpoint.pubsub().new_id();
    let capacity = C::OPTIONS.inbox.unwrap_or(start.inbox_capacity);
    let inbox = Inbox::<C>::new(id, start.topic, start.outlet, capacity);
    let Message {
        join_ref,
        reference,
        payload,
        ..
    } = start.message;
    let span = tracing::info_span!("channel", channel = C::NAME, topic = %shown(&inbox.topic));
    let alive = start.endpoint.tasks().token();
    let me = ChannelRef::new(inbox.clone());
    let server = Server {
        id: start.id,
        socket: Socket::new(me, join_ref, C::socket(user), start.info, start.endpoint),
        channel: None,
        span,
        ended: Ended::Silent,
        finished: false,
        _alive: alive,
    };
    let join = Joining {
        predecessor: start.predecessor,
        reference,
        payload,
        share: start.share,
    };
    // A join holds its share itself.
    let next = Next::Join(Box::new(join));
    turn::begin(Box::new(server), next, &inbox.runtime, || {});
    inbox
}

/// How many letters one turn takes: what it sends is written when the turn is over, and a client may
/// have sent any number of them at once.
const MOST: u32 = 64;

/// How a turn of a channel came to an end, or the channel with it.
pub(super) enum End {
    /// Nothing waits for the channel.
    Idle,
    /// The join was refused, or no pattern took the topic.
    NotJoined,
    /// For this reason.
    Because(Reason),
    Panicked,
    /// It took longer than its shutdown time.
    Overdue,
}

/// A channel with all that is its own. Whoever has it runs it; nobody else can.
pub(super) struct Server<C: Channel> {
    id: ChannelId,
    socket: Socket<C>,
    /// Once joined.
    channel: Option<C>,
    span: Span,
    ended: Ended,
    finished: bool,
    /// A drain waits for all channels, those that rest too.
    _alive: TaskTrackerToken,
}

impl<C: Channel> Server<C> {
    pub(super) fn inbox(&self) -> &Arc<Inbox<C>> {
        self.socket.inbox()
    }

    /// What the channel's log lines stand in.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Does what is next, or what waits in the inbox, as much as one turn may hold.
    pub(super) async fn work(&mut self, next: &mut Option<Next<C>>) -> End {
        let Server {
            socket, channel, ..
        } = self;
        let mut left = if next.is_some() { 1 } else { MOST };
        loop {
            if next.is_none() {
                *next = socket.inbox().next();
            }
            let stop = match (&mut *next, channel.as_mut()) {
                (None, _) => return End::Idle,
                (Some(Next::Join(_)), _) => {
                    if let Some(Next::Join(join)) = next.take() {
                        // What runs once is boxed, so that no other turn is larger for it.
                        *channel = Box::pin(socket.enter(join)).await;
                    }
                    if channel.is_some() {
                        C::Extension::joined(socket);
                    }
                    return match channel {
                        Some(_) => End::Idle,
                        None => End::NotJoined,
                    };
                }
                (Some(Next::Letter(letter)), Some(channel)) => socket.take(channel, letter).await,
                (Some(Next::Letter(_)), None) => None,
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

    /// Ends what the channel holds, tells the client, and answers what it can no longer handle.
    /// Nothing in here waits, so it runs to its end even where the task is dropped.
    pub(super) fn finish(&mut self, end: &End) {
        self.let_go();
        let gone = matches!(end, End::Because(Reason::Closed) | End::Overdue);
        self.socket.detach(gone);
        self.socket
            .outlet()
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
            // The successor says it, or the connection is going away.
            End::Because(_) | End::Overdue => None,
        };
        if let Some((event, payload)) = &event {
            let join_ref = self.socket.join_ref();
            self.socket.say_end(join_ref, event, payload);
        }
        if event.is_some() || matches!(end, End::NotJoined) {
            self.ended = Ended::Announced;
        }
        // Closed only now: the connection answers what finds it closed, and the client must hear
        // of the channel's end before that.
        let left = self.inbox().close();
        let late = |letter| self.socket.answer_late(letter);
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
        self.inbox().end(self.ended);
    }
}
