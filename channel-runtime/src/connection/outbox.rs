//! The bounded queue of frames that wait for a connection to take them.

mod direct;
mod queue;
mod sink;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;

pub(crate) use self::direct::Direct;
use self::queue::Queue;
#[cfg(feature = "websocket")]
pub(crate) use self::{
    direct::DirectEvent,
    sink::{Half, Sink},
};
use super::ChannelId;
use super::flush::{Lane, flush_soon};
use crate::protocol::{Frame, SharedFrame, Topic};

/// What happens when a client reads more slowly than it is sent to, and its outbox is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// `phx_close` or `phx_error`: always queued, since there is one for each join that was
    /// accepted, and the reply to that one was bounded.
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
    /// A channel is over; comes before the frames that tell the client.
    Ended(Topic, ChannelId),
    /// The connection ends; nothing follows.
    Close(Close),
}

/// A frame as it is handed to an outbox.
pub(crate) enum Out<'a> {
    Own(Frame),
    Shared(&'a Arc<SharedFrame>),
    /// Bytes of the transport itself.
    Wire(Bytes),
}

/// The frames of one connection that wait to be written, and the ends of its channels.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    limits: OutboxLimits,
    /// Who flushes it in a large burst, where frames are written by whoever sends them.
    lane: OnceLock<Arc<Lane>>,
    /// Where they are, what makes a frame of text behind room for its header.
    frame_in_place: OnceLock<fn(Vec<u8>) -> Bytes>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    frames: usize,
    bytes: usize,
    close: Option<Close>,
    /// Nobody takes frames any more.
    abandoned: bool,
    reader: Option<Waker>,
    /// Set where frames are written by whoever sends them.
    direct: Option<Direct>,
}

#[derive(Debug)]
enum Queued {
    Frame(Frame, Urgency),
    Shared(Arc<SharedFrame>),
    Wire(Bytes, Urgency),
    Ended(Topic, ChannelId),
}

impl Queued {
    /// How many bytes it holds of the outbox's limit; `None` where it is no frame.
    fn len(&self) -> Option<usize> {
        match self {
            Queued::Frame(frame, _) => Some(frame.len()),
            Queued::Shared(shared) => Some(shared.frame.len()),
            Queued::Wire(bytes, _) => Some(bytes.len()),
            Queued::Ended(..) => None,
        }
    }

    fn may_drop(&self) -> bool {
        matches!(
            self,
            Queued::Shared(_)
                | Queued::Frame(_, Urgency::MayDrop)
                | Queued::Wire(_, Urgency::MayDrop)
        )
    }
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits) -> Arc<Self> {
        Arc::new(Outbox {
            state: Mutex::default(),
            limits,
            lane: OnceLock::new(),
            frame_in_place: OnceLock::new(),
        })
    }

    /// Queues a frame, or does what the policy says when there is no room.
    pub(crate) fn send(self: &Arc<Self>, out: Out<'_>, urgency: Urgency) {
        let mut state = self.state.lock();
        if state.abandoned || state.close.is_some() {
            return;
        }
        let queued = match (out, &state.direct) {
            (Out::Wire(bytes), _) => Queued::Wire(bytes, urgency),
            (Out::Own(frame), None) => Queued::Frame(frame, urgency),
            (Out::Own(frame), Some(direct)) => Queued::Wire(direct.encode(&frame), urgency),
            (Out::Shared(shared), None) => Queued::Shared(shared.clone()),
            (Out::Shared(shared), Some(direct)) => {
                let wire = shared.wire.get_or_init(|| direct.encode(&shared.frame));
                Queued::Wire(wire.clone(), urgency)
            }
        };
        let len = queued.len().unwrap_or_default();
        if urgency != Urgency::Final && !self.make_room(&mut state, len, urgency) {
            return;
        }
        state.frames += 1;
        state.bytes += len;
        state.queue.push_back(queued);
        let Some(direct) = &mut state.direct else {
            return state.wake();
        };
        if direct.begin_dirty() {
            drop(state);
            flush_soon(self);
        }
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
        // A burst of the server's is not the client's slowness: write what can be written.
        state.write_out();
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

    /// Says that a channel is over.
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
        if let Some(queued) = state.pop() {
            return Poll::Ready(match queued {
                Queued::Frame(frame, _) => Outgoing::Frame(frame),
                Queued::Shared(shared) => Outgoing::Frame(shared.frame.clone()),
                Queued::Wire(bytes, _) => Outgoing::Frame(Frame::Binary(bytes)),
                Queued::Ended(topic, channel) => Outgoing::Ended(topic, channel),
            });
        }
        if let Some(close) = &state.close {
            return Poll::Ready(Outgoing::Close(close.clone()));
        }
        state.register(cx);
        Poll::Pending
    }

    /// Ready once the client is found too slow, or the connection is to end: a write that is
    /// stuck must not keep it.
    pub(crate) fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<Close> {
        let mut state = self.state.lock();
        if let Some(close) = &state.close {
            return Poll::Ready(close.clone());
        }
        state.register(cx);
        Poll::Pending
    }

    /// Fetches what a flush reads first, without waiting for it: nobody uses what is loaded, so
    /// several at once take hardly longer than one.
    pub(super) fn fetch(&self) {
        std::hint::black_box(self.state.is_locked());
    }

    pub(super) fn lane(&self) -> Option<&Arc<Lane>> {
        self.lane.get()
    }

    /// Whether a frame is next.
    pub(crate) fn has_next_frame(&self) -> bool {
        self.state
            .lock()
            .queue
            .front()
            .is_some_and(|queued| queued.len().is_some())
    }

    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().frames
    }

    /// The connection's task is gone: nothing is queued any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandoned = true;
        state.queue = Queue::default();
        state.reader = None;
        state.direct = None;
    }
}

impl State {
    fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        if let Some(len) = queued.len() {
            self.frames -= 1;
            self.bytes -= len;
        }
        Some(queued)
    }

    fn end(&mut self, close: Close) {
        if self.close.is_some() {
            return;
        }
        if close == Close::SLOW_CONSUMER {
            let half_written = usize::from(self.is_half_written());
            let mut at = 0;
            self.queue.retain(|queued| {
                at += 1;
                at <= half_written || matches!(queued, Queued::Ended(..))
            });
            self.frames = half_written;
            self.bytes = self.queue.iter().filter_map(Queued::len).sum();
        }
        self.close = Some(close);
        self.wake();
    }

    fn drop_oldest(&mut self) -> bool {
        let written = usize::from(self.is_half_written());
        let mut kept = self.queue.iter().enumerate().skip(written);
        let oldest = kept.find(|(_, queued)| queued.may_drop()).map(|(at, _)| at);
        drop(kept);
        let removed = oldest.and_then(|at| self.queue.remove(at));
        let Some(len) = removed.and_then(|queued| queued.len()) else {
            return false;
        };
        self.frames -= 1;
        self.bytes -= len;
        true
    }

    fn register(&mut self, cx: &Context<'_>) {
        if !self
            .reader
            .as_ref()
            .is_some_and(|reader| reader.will_wake(cx.waker()))
        {
            self.reader = Some(cx.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(reader) = &self.reader {
            reader.wake_by_ref();
        }
    }
}
