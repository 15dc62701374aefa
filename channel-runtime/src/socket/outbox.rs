//! The bounded queue of frames that wait for a connection to take them.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use crate::{
    Error, Payload, Topic,
    channel::Answer,
    socket::session::ChannelId,
    wire::{Frame, Push, Reply, SharedSerializer, Term},
};

/// What happens when a client reads more slowly than it is sent to, and its outbox is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// The connection is closed with code 1013; the client reconnects and joins again. What it
    /// sees is complete as long as it is connected. The default.
    #[default]
    Disconnect,
    /// Broadcasts that find no room are left out for this client; replies and pushes that find
    /// none disconnect it.
    DropNewest,
    /// The oldest waiting broadcast makes room for a new one; replies and pushes that find no
    /// room disconnect the client.
    DropOldest,
}

/// The bounds of an outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
    pub(crate) policy: SlowConsumer,
}

/// Whether a frame may be left out for a slow client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A broadcast: the policy decides.
    MayDrop,
    /// A reply or a push: the client counts on it.
    MustSend,
    /// The end of a channel: always queued, since there is one for each join.
    Final,
}

/// Why the server ends a connection: a WebSocket close code and a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The WebSocket close code.
    pub code: u16,
    /// Why, in words; at most 123 bytes reach the client.
    pub reason: std::borrow::Cow<'static, str>,
}

impl Close {
    pub(crate) const fn new(code: u16, reason: &'static str) -> Self {
        Close {
            code,
            reason: std::borrow::Cow::Borrowed(reason),
        }
    }

    /// The socket's id was disconnected.
    pub(crate) const DISCONNECT: Close = Close::new(1001, "");
    /// The server goes down.
    pub(crate) const DRAINING: Close = Close::new(1012, "");
    /// The client reads too slowly.
    pub(crate) const SLOW_CONSUMER: Close = Close::new(1013, "slow consumer");
}

/// What the connection's own task takes out of its outbox, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Frame(Frame),
    /// A channel's task is over; comes before the frames that tell the client.
    Ended(Topic, ChannelId),
    /// The connection ends; nothing follows.
    Close(Close),
}

/// The frames of one connection that wait to be written, and the ends of its channels.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    limits: OutboxLimits,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Queued>,
    frames: usize,
    bytes: usize,
    close: Option<Close>,
    /// Nobody takes frames any more.
    abandoned: bool,
    reader: Option<Waker>,
}

#[derive(Debug)]
enum Queued {
    Frame(Frame, Urgency),
    Ended(Topic, ChannelId),
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits) -> Arc<Self> {
        Arc::new(Outbox {
            state: Mutex::default(),
            limits,
        })
    }

    /// Queues a frame, or does what the policy says when there is no room.
    pub(crate) fn send(&self, frame: Frame, urgency: Urgency) {
        let mut state = self.state.lock();
        if state.abandoned || state.close.is_some() {
            return;
        }
        if urgency != Urgency::Final && !self.make_room(&mut state, frame.len(), urgency) {
            return;
        }
        state.frames += 1;
        state.bytes += frame.len();
        state.queue.push_back(Queued::Frame(frame, urgency));
        state.wake();
    }

    /// Whether the frame may be queued; closes the connection where the policy says so.
    fn make_room(&self, state: &mut State, len: usize, urgency: Urgency) -> bool {
        // A frame larger than the whole outbox still fits an empty one.
        let fits = |state: &State| {
            state.frames == 0
                || (state.frames < self.limits.frames && state.bytes + len <= self.limits.bytes)
        };
        if fits(state) {
            return true;
        }
        if urgency == Urgency::MayDrop {
            metrics::counter!("channel_slow_consumer_total").increment(1);
            match self.limits.policy {
                SlowConsumer::Disconnect => {}
                SlowConsumer::DropNewest => return false,
                SlowConsumer::DropOldest => {
                    while !fits(state) && state.drop_oldest() {}
                    return fits(state);
                }
            }
        }
        state.end(Close::SLOW_CONSUMER);
        false
    }

    /// A broadcast found a channel's inbox full: the client is too slow for its own channel.
    pub(crate) fn overflow(&self, channel: &'static str) {
        metrics::counter!("channel_slow_consumer_total").increment(1);
        match self.limits.policy {
            SlowConsumer::Disconnect => {
                tracing::warn!(
                    channel,
                    "an inbox is full of broadcasts; the client is disconnected"
                );
                self.close(Close::SLOW_CONSUMER);
            }
            SlowConsumer::DropNewest | SlowConsumer::DropOldest => {
                tracing::debug!(channel, "an inbox is full; a broadcast is left out");
            }
        }
    }

    /// Says that a channel's task is over.
    pub(crate) fn ended(&self, topic: Topic, channel: ChannelId) {
        let mut state = self.state.lock();
        if !state.abandoned {
            state.queue.push_back(Queued::Ended(topic, channel));
            state.wake();
        }
    }

    /// Ends the connection. What is queued already still goes out before, unless the client is
    /// too slow for it.
    pub(crate) fn close(&self, close: Close) {
        self.state.lock().end(close);
    }

    /// The next thing for the connection's task; cancel safe.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        let mut state = self.state.lock();
        match state.queue.pop_front() {
            Some(Queued::Frame(frame, _)) => {
                state.frames -= 1;
                state.bytes -= frame.len();
                if state.queue.is_empty() && state.queue.capacity() > 64 {
                    state.queue.shrink_to(0);
                }
                return Poll::Ready(Outgoing::Frame(frame));
            }
            Some(Queued::Ended(topic, channel)) => {
                return Poll::Ready(Outgoing::Ended(topic, channel));
            }
            None => {}
        }
        if let Some(close) = &state.close {
            return Poll::Ready(Outgoing::Close(close.clone()));
        }
        if !state
            .reader
            .as_ref()
            .is_some_and(|reader| reader.will_wake(cx.waker()))
        {
            state.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Ready once the client is found too slow, or the connection is to end: a write that is
    /// stuck must not keep it.
    pub(crate) fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<Close> {
        let mut state = self.state.lock();
        if let Some(close) = &state.close {
            return Poll::Ready(close.clone());
        }
        if !state
            .reader
            .as_ref()
            .is_some_and(|reader| reader.will_wake(cx.waker()))
        {
            state.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The connection's task is gone: nothing is queued any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandoned = true;
        state.queue = VecDeque::new();
        state.reader = None;
    }
}

impl State {
    fn end(&mut self, close: Close) {
        if self.close.is_some() {
            return;
        }
        if close == Close::SLOW_CONSUMER {
            self.queue
                .retain(|queued| matches!(queued, Queued::Ended(..)));
            (self.frames, self.bytes) = (0, 0);
        }
        self.close = Some(close);
        self.wake();
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self
            .queue
            .iter()
            .position(|queued| matches!(queued, Queued::Frame(_, Urgency::MayDrop)));
        let Some(Queued::Frame(frame, _)) = oldest.and_then(|at| self.queue.remove(at)) else {
            return false;
        };
        self.frames -= 1;
        self.bytes -= frame.len();
        true
    }

    fn wake(&self) {
        if let Some(reader) = &self.reader {
            reader.wake_by_ref();
        }
    }
}

/// A connection's outbox with the serializer it speaks: all that sending takes.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    outbox: Arc<Outbox>,
    serializer: SharedSerializer,
}

impl Outlet {
    pub(crate) fn new(outbox: Arc<Outbox>, serializer: SharedSerializer) -> Self {
        Outlet { outbox, serializer }
    }

    pub(crate) fn serializer(&self) -> &SharedSerializer {
        &self.serializer
    }

    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    pub(crate) fn send(&self, frame: Frame, urgency: Urgency) {
        self.outbox.send(frame, urgency);
    }

    pub(crate) fn overflow(&self, channel: &'static str) {
        self.outbox.overflow(channel);
    }

    pub(crate) fn push(
        &self,
        join_ref: &Term,
        topic: &str,
        event: &str,
        payload: &Payload,
    ) -> Result<(), Error> {
        let push = Push {
            join_ref,
            reference: &Term::Null,
            topic,
            event,
            payload,
        };
        self.send(self.serializer.push(push)?, Urgency::MustSend);
        Ok(())
    }

    /// Sends the reply of an answer, if it has one. A reply that this client's serializer cannot
    /// carry becomes an error reply that says so.
    pub(crate) fn answer(&self, join_ref: &Term, reference: &Term, topic: &Topic, answer: Answer) {
        if let Some((status, payload)) = answer.reply {
            let topic = Term::from(topic);
            self.reply(
                join_ref,
                reference,
                &topic,
                &status,
                &payload,
                Urgency::MustSend,
            );
        }
    }

    /// Whether the reply went out as it was meant.
    pub(crate) fn reply(
        &self,
        join_ref: &Term,
        reference: &Term,
        topic: &Term,
        status: &str,
        payload: &Payload,
        urgency: Urgency,
    ) -> bool {
        let reply = Reply {
            join_ref,
            reference,
            topic,
            status,
            payload,
        };
        let frame = match self.serializer.reply(reply) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(%error, "a reply cannot be sent; the client gets an error reply");
                let refusal = crate::Refusal::new("reply cannot be sent")
                    .with("message", error.to_string())
                    .payload();
                let reply = Reply {
                    status: "error",
                    payload: &refusal,
                    ..reply
                };
                if let Ok(frame) = self.serializer.reply(reply) {
                    self.send(frame, urgency);
                }
                return false;
            }
        };
        self.send(frame, urgency);
        true
    }
}
