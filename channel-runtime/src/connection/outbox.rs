//! The bounded queue of frames that wait for a connection to take them.

mod account;
mod direct;
mod flush;
mod queue;
mod sink;
#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;

pub(crate) use self::account::Account;
use self::account::{FREE, STEP};
pub(crate) use self::direct::Direct;
#[cfg(feature = "websocket")]
pub(crate) use self::flush::FlushWorkers;
use self::flush::flush_soon;
pub(crate) use self::flush::{Corked, FlushWorker, batch, corked};
use self::queue::Queue;
#[cfg(feature = "websocket")]
pub(crate) use self::{
    direct::DirectEvent,
    sink::{Half, Sink},
};
use super::ChannelId;
use crate::protocol::{Frame, SharedFrame, SharedWire, Topic};

/// The policy for a client that reads more slowly than it is sent to, once its outbox is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlowConsumer {
    /// The connection is closed with code 1013; the client reconnects and joins again. The client
    /// misses nothing as long as it is connected. The default.
    ///
    /// An outbox is full when it has reached [`outbox_bytes`](crate::SocketOptions::outbox_bytes).
    /// When all outboxes of an endpoint have reached
    /// [`outbox_bytes`](crate::EndpointBuilder::outbox_bytes), the slowest connection is treated as
    /// if its own were full.
    #[default]
    Disconnect,
    /// Broadcasts that find no room are left out for this client; replies and pushes that find no
    /// room disconnect it.
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

/// True if a frame may be left out for a slow client.
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

/// The reason why the server ends a connection: a WebSocket close code and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The WebSocket close code.
    pub code: u16,
    /// The reason in words; at most 123 bytes reach the client.
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
    /// The client has sent a part of something large, and so have too many others.
    pub(crate) const HALF_RECEIVED: Close = Close::new(1013, "too much is half received");
    /// The client reads too slowly.
    pub(crate) const SLOW_CONSUMER: Close = Close::new(1013, "slow consumer");
    /// Nothing has come from the client for the socket's `timeout`.
    pub(crate) const TIMEOUT: Close = Close::new(1002, "timeout");

    /// Returns the reason as one word, for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            close if *close == Close::DISCONNECT => "disconnect",
            close if *close == Close::DRAINING => "draining",
            close if *close == Close::HALF_RECEIVED => "half_received",
            close if *close == Close::SLOW_CONSUMER => "slow_consumer",
            close if *close == Close::TIMEOUT => "timeout",
            Close { code: 1009, .. } => "too_large",
            Close {
                code: 1002 | 1003 | 1007 | 1008,
                ..
            } => "unreadable",
            Close { code: 1011, .. } => "crashed",
            _ => "other",
        }
    }
}

/// An item that the connection's own task takes out of its outbox, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Frame(Frame),
    /// A channel is over; comes before the frames that tell the client.
    Ended(Topic, ChannelId),
    /// The connection ends; nothing follows.
    Close(Close),
}

/// The bytes that a waiting frame counts for besides its own: its place and its allocation. They
/// bound a flood of tiny frames as well.
pub(crate) const OVERHEAD: usize = 128;

/// A frame as it is passed to an outbox.
pub(crate) enum OutboundFrame<'a> {
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
    /// The account of all outboxes of the endpoint, and this one's number there.
    account: Arc<Account>,
    id: u64,
    /// The bytes of broadcasts that wait for channels of this connection to intercept them.
    intercepted: AtomicUsize,
    /// The worker that flushes it in a large batch, if senders write frames themselves.
    worker: OnceLock<Arc<FlushWorker>>,
    /// The function that turns text behind room for its header into a frame, if senders write.
    frame_in_place: OnceLock<fn(Vec<u8>) -> Bytes>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    frames: usize,
    /// The bytes of all that waits, with their [`OVERHEAD`].
    bytes: usize,
    /// The part of it that waits for this connection alone.
    own: usize,
    /// The number of bytes that the account knows of; 0 while few wait.
    noted: usize,
    /// The number of them that the account has charged, since they wait for this connection alone.
    charged: usize,
    close: Option<Close>,
    /// True once the connection takes no more frames.
    abandoned: bool,
    reader: Option<Waker>,
    /// The tasks that push only while much room is free.
    patient: Vec<Waker>,
    /// Set if senders write frames themselves.
    direct: Option<Direct>,
}

#[derive(Debug)]
enum Queued {
    Frame(Frame, Urgency),
    Shared(Arc<SharedFrame>),
    Wire(Bytes, Urgency),
    SharedWire(Arc<SharedWire>),
    Ended(Topic, ChannelId),
}

/// The bytes that a frame in an outbox counts for.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Counts for the outbox's limit.
    all: usize,
    /// Without the bytes that it shares with other outboxes.
    own: usize,
}

impl Queued {
    /// Returns the bytes it counts for; `None` if it is no frame.
    fn cost(&self) -> Option<Cost> {
        let (len, shared) = match self {
            Queued::Frame(frame, _) => (frame.len(), 0),
            Queued::Wire(bytes, _) => (bytes.len(), 0),
            Queued::Shared(shared) => (shared.frame.len(), shared.frame.len()),
            Queued::SharedWire(wire) => (wire.bytes.len(), wire.bytes.len()),
            Queued::Ended(..) => return None,
        };
        Some(Cost {
            all: len + OVERHEAD,
            own: len - shared + OVERHEAD,
        })
    }

    /// Returns its bytes on the wire if it is ready to be written.
    fn wire(&self) -> Option<&Bytes> {
        match self {
            Queued::Wire(bytes, _) => Some(bytes),
            Queued::SharedWire(wire) => Some(&wire.bytes),
            Queued::Frame(..) | Queued::Shared(_) | Queued::Ended(..) => None,
        }
    }

    /// Counts its shared bytes, once for all outboxes.
    fn charge(&self, account: &Arc<Account>) {
        match self {
            Queued::Shared(shared) => {
                (shared.charge).get_or_init(|| account.charge(shared.frame.len()));
            }
            Queued::SharedWire(wire) => {
                wire.charge.get_or_init(|| account.charge(wire.bytes.len()));
            }
            Queued::Frame(..) | Queued::Wire(..) | Queued::Ended(..) => {}
        }
    }

    fn may_drop(&self) -> bool {
        matches!(
            self,
            Queued::Shared(_)
                | Queued::SharedWire(_)
                | Queued::Frame(_, Urgency::MayDrop)
                | Queued::Wire(_, Urgency::MayDrop)
        )
    }
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits, account: &Arc<Account>) -> Arc<Self> {
        Arc::new(Outbox {
            state: Mutex::default(),
            limits,
            account: account.clone(),
            id: account.next_id(),
            intercepted: AtomicUsize::new(0),
            worker: OnceLock::new(),
            frame_in_place: OnceLock::new(),
        })
    }

    /// Queues a frame, or applies the policy if there is no room.
    pub(crate) fn send(self: &Arc<Self>, out: OutboundFrame<'_>, urgency: Urgency) {
        let mut state = self.state.lock();
        if state.abandoned || state.close.is_some() {
            return;
        }
        let queued = match (out, &state.direct) {
            (OutboundFrame::Wire(bytes), _) => Queued::Wire(bytes, urgency),
            (OutboundFrame::Own(frame), None) => Queued::Frame(frame, urgency),
            (OutboundFrame::Own(frame), Some(direct)) => {
                Queued::Wire(direct.encode(&frame), urgency)
            }
            (OutboundFrame::Shared(shared), None) => Queued::Shared(shared.clone()),
            (OutboundFrame::Shared(shared), Some(direct)) => {
                Queued::SharedWire(shared.wire(|frame| direct.encode(frame)))
            }
        };
        let cost = queued.cost().unwrap_or_default();
        if urgency != Urgency::Final && !self.make_room(&mut state, cost.all, urgency) {
            return self.settle(&mut state);
        }
        let much = state.bytes + cost.all > FREE && self.note(&mut state, cost);
        if much {
            queued.charge(&self.account);
        }
        state.frames += 1;
        state.bytes += cost.all;
        state.own += cost.own;
        state.queue.push_back(queued);
        let dirty = match &mut state.direct {
            Some(direct) => direct.begin_dirty(),
            None => {
                state.wake();
                false
            }
        };
        drop(state);
        if dirty {
            flush_soon(self);
        }
        if much && self.account.is_spent() {
            self.account.relieve();
        }
    }

    /// Reports the waiting bytes to the account, in steps, with a frame of this cost. Returns true
    /// if they are many.
    #[cold]
    fn note(self: &Arc<Self>, state: &mut State, cost: Cost) -> bool {
        if state.is_news(cost) {
            // A burst of the server is not the client's slowness: write as much as possible.
            state.write_out();
            self.settle(state);
            if state.direct.is_some() && state.queue.is_empty() {
                return false;
            }
        }
        let bytes = state.bytes + cost.all;
        if bytes <= FREE {
            return false;
        }
        if state.is_news(cost) {
            if state.noted == 0 {
                let waiting = state.queue.iter();
                waiting.for_each(|queued| queued.charge(&self.account));
            }
            state.noted = bytes.next_multiple_of(STEP);
            state.charged = state.own + cost.own;
            self.account
                .raise(self.id, self, state.noted, state.charged);
        }
        true
    }

    /// Reports the bytes left after a write to the account. Returns true if the outboxes hold too
    /// much now.
    fn note_left(self: &Arc<Self>, state: &mut State) -> bool {
        if state.bytes <= state.noted.max(FREE) {
            self.settle(state);
            return false;
        }
        self.note(state, Cost::default()) && self.account.is_spent()
    }

    /// Reports fewer waiting bytes to the account, once they are much fewer.
    fn settle(&self, state: &mut State) {
        if state.noted == 0 {
            return;
        }
        let less = |now, then| now + 2 * STEP <= then;
        if state.bytes <= FREE {
            (state.noted, state.charged) = (0, 0);
        } else if less(state.bytes, state.noted) || less(state.own, state.charged) {
            state.noted = state.bytes.next_multiple_of(STEP);
            state.charged = state.own;
        } else {
            return;
        }
        self.account.lower(self.id, state.noted, state.charged);
    }

    /// Relieves the endpoint, whose outboxes together hold too much, of this one, which holds the
    /// most.
    fn evict(&self, bytes: usize, limit: usize, evicted: u64) {
        let mut state = self.state.lock();
        if state.close.is_some() || state.abandoned {
            return;
        }
        let drops = self.limits.policy != SlowConsumer::Disconnect;
        let stays = drops && {
            state.retain(|queued| !queued.may_drop());
            state.bytes <= FREE
        };
        too_slow("endpoint", bytes);
        // Evictions come in series, and each is counted.
        if evicted.is_power_of_two() {
            tracing::warn!(
                bytes,
                limit,
                disconnected = !stays,
                clients = evicted,
                "all outboxes together hold more than the endpoint's `outbox_bytes`; the slowest \
                 client is cut off, one of so many since the start"
            );
        }
        if !stays {
            state.end(Close::SLOW_CONSUMER);
        }
        self.account.lower(self.id, 0, 0);
        (state.noted, state.charged) = (0, 0);
    }

    /// Reserves room for a broadcast with a payload of this many bytes that a channel of this
    /// connection handles first. Returns `None` if there is no room.
    pub(crate) fn intercept(self: &Arc<Self>, bytes: usize) -> Option<InterceptPermit> {
        let bytes = bytes + OVERHEAD;
        let before = self.intercepted.fetch_add(bytes, Ordering::AcqRel);
        let after = before + bytes;
        if after / STEP != before / STEP {
            self.account.take((after / STEP - before / STEP) * STEP);
            if self.account.is_spent() {
                self.account.relieve();
            }
        }
        // One larger than the whole outbox still fits an empty one.
        let fits = before == 0 || after <= self.limits.bytes;
        let heard = InterceptPermit {
            outbox: self.clone(),
            bytes,
        };
        (fits && (after <= STEP || !self.account.is_spent())).then_some(heard)
    }

    /// Returns the account of all outboxes of the endpoint.
    #[cfg(feature = "long-poll")]
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Returns true if the frame may be queued. Closes the connection if the policy says so.
    fn make_room(&self, state: &mut State, cost: usize, urgency: Urgency) -> bool {
        // A frame larger than the whole outbox still fits an empty one.
        let fits = |state: &State| {
            state.frames == 0
                || (state.frames < self.limits.frames && state.bytes + cost <= self.limits.bytes)
        };
        if fits(state) {
            return true;
        }
        // A burst of the server is not the client's slowness: write as much as possible.
        state.write_out();
        if fits(state) {
            return true;
        }
        let bytes = state.bytes;
        too_slow("outbox", bytes);
        if urgency == Urgency::MayDrop {
            match self.limits.policy {
                SlowConsumer::Disconnect => {}
                SlowConsumer::DropNewest => return false,
                SlowConsumer::DropOldest => {
                    while !fits(state) && state.drop_oldest() {}
                    return fits(state);
                }
            }
        }
        tracing::info!(
            bytes,
            frames = state.frames,
            "an outbox is full; the client is disconnected"
        );
        state.end(Close::SLOW_CONSUMER);
        false
    }

    /// Applies the policy to a broadcast that found no room before the channel that intercepts it,
    /// which handles broadcasts too slowly.
    pub(crate) fn overflow(&self, channel: &'static str) {
        too_slow("mailbox", self.intercepted.load(Ordering::Relaxed));
        match self.limits.policy {
            SlowConsumer::Disconnect => {
                tracing::warn!(
                    channel,
                    "a mailbox is full of broadcasts; the client is disconnected"
                );
                self.close(Close::SLOW_CONSUMER);
            }
            SlowConsumer::DropNewest | SlowConsumer::DropOldest => {
                tracing::debug!(channel, "a mailbox is full; a broadcast is left out");
            }
        }
    }

    /// Queues the end of a channel.
    pub(crate) fn ended(&self, topic: Topic, channel: ChannelId) {
        let mut state = self.state.lock();
        if !state.abandoned {
            state.queue.push_back(Queued::Ended(topic, channel));
            state.wake();
        }
    }

    /// Ends the connection. Frames that are queued already still go out, unless the client is too
    /// slow.
    pub(crate) fn close(&self, close: Close) {
        let mut state = self.state.lock();
        state.end(close);
        self.settle(&mut state);
    }

    /// Returns the next item for the connection's task; cancel safe.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        let mut state = self.state.lock();
        if let Some(queued) = state.pop() {
            self.settle(&mut state);
            return Poll::Ready(match queued {
                Queued::Frame(frame, _) => Outgoing::Frame(frame),
                Queued::Shared(shared) => Outgoing::Frame(shared.frame.clone()),
                Queued::Wire(bytes, _) => Outgoing::Frame(Frame::Binary(bytes)),
                Queued::SharedWire(wire) => Outgoing::Frame(Frame::Binary(wire.bytes.clone())),
                Queued::Ended(topic, channel) => Outgoing::Ended(topic, channel),
            });
        }
        if let Some(close) = &state.close {
            return Poll::Ready(Outgoing::Close(close.clone()));
        }
        state.register(cx);
        Poll::Pending
    }

    /// Ready once the client is too slow, or the connection must end, so that a stuck write does
    /// not hold it up.
    pub(crate) fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<Close> {
        let mut state = self.state.lock();
        if let Some(close) = &state.close {
            return Poll::Ready(close.clone());
        }
        state.register(cx);
        Poll::Pending
    }

    /// Touches the memory that a flush reads first, without using the value, so that several loads
    /// run at once and take hardly longer than one.
    pub(super) fn fetch(&self) {
        std::hint::black_box(self.state.is_locked());
    }

    pub(super) fn worker(&self) -> Option<&Arc<FlushWorker>> {
        self.worker.get()
    }

    /// Returns true if a frame is next.
    pub(crate) fn has_next_frame(&self) -> bool {
        self.state
            .lock()
            .queue
            .front()
            .is_some_and(|queued| queued.cost().is_some())
    }

    /// Ready while less than half of the outbox waits, or nothing is queued any more: for senders
    /// that push no faster than the client reads. Cancel safe.
    pub(crate) async fn half_empty(&self) {
        poll_fn(|cx| {
            let mut state = self.state.lock();
            let is_free = state.frames == 0
                || state.frames < self.limits.frames / 2 && state.bytes < self.limits.bytes / 2;
            if is_free || state.abandoned || state.close.is_some() {
                return Poll::Ready(());
            }
            if !state.patient.iter().any(|task| task.will_wake(cx.waker())) {
                state.patient.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Returns how the server ended the connection, for metrics; `None` if it did not.
    pub(crate) fn closed_as(&self) -> Option<&'static str> {
        self.state.lock().close.as_ref().map(Close::label)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().frames
    }

    /// Stops the queue, since the connection's task is gone.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandoned = true;
        state.queue = Queue::default();
        (state.frames, state.bytes, state.own) = (0, 0, 0);
        self.settle(&mut state);
        state.reader = None;
        state.direct = None;
        state.wake_patient();
    }
}

/// The room of a broadcast that waits for a channel, given back on drop.
pub(crate) struct InterceptPermit {
    outbox: Arc<Outbox>,
    bytes: usize,
}

impl Drop for InterceptPermit {
    fn drop(&mut self) {
        let before = (self.outbox.intercepted).fetch_sub(self.bytes, Ordering::AcqRel);
        let steps = before / STEP - (before - self.bytes) / STEP;
        if steps > 0 {
            self.outbox.account.give_back(steps * STEP);
        }
    }
}

/// Counts a client that is too slow, with the resource that is full.
fn too_slow(reason: &'static str, bytes: usize) {
    metrics::counter!("channel_slow_consumer_total", "reason" => reason).increment(1);
    tracing::debug!(reason, bytes, "a client is too slow");
}

impl State {
    /// Returns true if a frame of this cost must be reported to the account.
    fn is_news(&self, cost: Cost) -> bool {
        self.bytes + cost.all > self.noted || self.own + cost.own > self.charged + STEP
    }

    fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        self.forget(&queued);
        Some(queued)
    }

    fn end(&mut self, close: Close) {
        if self.close.is_some() {
            return;
        }
        if close == Close::SLOW_CONSUMER {
            self.retain(|queued| matches!(queued, Queued::Ended(..)));
        }
        self.close = Some(close);
        self.wake();
        self.wake_patient();
    }

    fn forget(&mut self, queued: &Queued) {
        if let Some(cost) = queued.cost() {
            self.frames -= 1;
            self.bytes -= cost.all;
            self.own -= cost.own;
            self.wake_patient();
        }
    }

    fn wake_patient(&mut self) {
        self.patient.drain(..).for_each(Waker::wake);
    }

    /// Removes the items that are not to be kept, except a frame that is half written.
    fn retain(&mut self, keep: impl Fn(&Queued) -> bool) {
        let half_written = usize::from(self.is_half_written());
        let mut at = 0;
        self.queue.retain(|queued| {
            at += 1;
            at <= half_written || keep(queued)
        });
        self.count();
    }

    /// Counts the waiting items again.
    fn count(&mut self) {
        (self.frames, self.bytes, self.own) = (0, 0, 0);
        for cost in self.queue.iter().filter_map(Queued::cost) {
            self.frames += 1;
            self.bytes += cost.all;
            self.own += cost.own;
        }
        self.wake_patient();
    }

    fn drop_oldest(&mut self) -> bool {
        let written = usize::from(self.is_half_written());
        let mut kept = self.queue.iter().enumerate().skip(written);
        let oldest = kept.find(|(_, queued)| queued.may_drop()).map(|(at, _)| at);
        drop(kept);
        let Some(removed) = oldest.and_then(|at| self.queue.remove(at)) else {
            return false;
        };
        self.forget(&removed);
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
