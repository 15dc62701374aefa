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

/// What happens when a client reads more slowly than it is sent to, and its outbox is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlowConsumer {
    /// The connection is closed with code 1013; the client reconnects and joins again. What it
    /// sees is complete as long as it is connected. The default.
    ///
    /// An outbox is full when it has as much as
    /// [`outbox_bytes`](crate::SocketOptions::outbox_bytes) allows. When all of an endpoint have
    /// as much as [`outbox_bytes`](crate::EndpointBuilder::outbox_bytes) allows, the slowest
    /// connection is dealt with as if its own were full.
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
    /// The client has sent a part of something large, and too many others have as well.
    pub(crate) const HALF_RECEIVED: Close = Close::new(1013, "too much is half received");
    /// The client reads too slowly.
    pub(crate) const SLOW_CONSUMER: Close = Close::new(1013, "slow consumer");
    /// Nothing has come from the client for the socket's `timeout`.
    pub(crate) const TIMEOUT: Close = Close::new(1002, "timeout");

    /// The reason in a word, for metrics.
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

/// The bytes that a waiting frame takes beside its own: its place and its allocation.
/// It counts, so that a flood of tiny frames is bounded as well.
pub(crate) const OVERHEAD: usize = 128;

/// A frame as it is handed to an outbox.
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
    /// Of all outboxes of the endpoint, and this one's number there.
    account: Arc<Account>,
    id: u64,
    /// The bytes of broadcasts that channels of this connection intercept and have yet to take.
    intercepted: AtomicUsize,
    /// The worker that flushes it in a large burst, where senders write frames themselves.
    worker: OnceLock<Arc<FlushWorker>>,
    /// Where they are, what makes a frame of text behind room for its header.
    frame_in_place: OnceLock<fn(Vec<u8>) -> Bytes>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    frames: usize,
    /// All that waits, with its [`OVERHEAD`].
    bytes: usize,
    /// The part of it that waits for this connection alone.
    own: usize,
    /// How many bytes the account knows of; nothing while few wait.
    noted: usize,
    /// How many of them it has charged, since they wait for this connection alone.
    charged: usize,
    close: Option<Close>,
    /// The connection takes no more frames.
    abandoned: bool,
    reader: Option<Waker>,
    /// Those who push only while much is free.
    patient: Vec<Waker>,
    /// Set where senders write frames themselves.
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
    /// Of the outbox's limit.
    all: usize,
    /// Without those that it shares with other outboxes.
    own: usize,
}

impl Queued {
    /// Returns the bytes it counts for; `None` where it is no frame.
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

    /// Returns its bytes on the wire, where it is ready to be written.
    fn wire(&self) -> Option<&Bytes> {
        match self {
            Queued::Wire(bytes, _) => Some(bytes),
            Queued::SharedWire(wire) => Some(&wire.bytes),
            Queued::Frame(..) | Queued::Shared(_) | Queued::Ended(..) => None,
        }
    }

    /// Counts the bytes it shares, once for all outboxes.
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

    /// Queues a frame, or does what the policy says when there is no room.
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

    /// Tells the account what waits, in steps, with a frame of this cost; whether that is much.
    #[cold]
    fn note(self: &Arc<Self>, state: &mut State, cost: Cost) -> bool {
        if state.is_news(cost) {
            // A burst of the server's is not the client's slowness: write what can be written.
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

    /// Tells the account what is left when as much has been written as can be; whether outboxes
    /// hold too much now.
    fn note_left(self: &Arc<Self>, state: &mut State) -> bool {
        if state.bytes <= state.noted.max(FREE) {
            self.settle(state);
            return false;
        }
        self.note(state, Cost::default()) && self.account.is_spent()
    }

    /// Tells the account that less waits, once it is much less.
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

    /// All outboxes of the endpoint together have too much, and this one the most.
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
        // Many go at once, and each is counted.
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

    /// Returns whether a broadcast with a payload of so many bytes may wait for a channel of this
    /// connection that has to take it first.
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

    /// Of all outboxes of the endpoint.
    #[cfg(feature = "longpoll")]
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Returns whether the frame may be queued; closes the connection where the policy says so.
    fn make_room(&self, state: &mut State, cost: usize, urgency: Urgency) -> bool {
        // A frame larger than the whole outbox still fits an empty one.
        let fits = |state: &State| {
            state.frames == 0
                || (state.frames < self.limits.frames && state.bytes + cost <= self.limits.bytes)
        };
        if fits(state) {
            return true;
        }
        // A burst of the server's is not the client's slowness: write what can be written.
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

    /// A broadcast found no room before the channel that intercepts it, which is slower than what
    /// it hears.
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
        let mut state = self.state.lock();
        state.end(close);
        self.settle(&mut state);
    }

    /// The next thing for the connection's task; cancel safe.
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

    pub(super) fn worker(&self) -> Option<&Arc<FlushWorker>> {
        self.worker.get()
    }

    /// Returns whether a frame is next.
    pub(crate) fn has_next_frame(&self) -> bool {
        self.state
            .lock()
            .queue
            .front()
            .is_some_and(|queued| queued.cost().is_some())
    }

    /// Ready while less than half of the outbox waits, or nothing is queued any more: for those who
    /// push no faster than the client reads. Cancel safe.
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

    /// How the server ended the connection, for metrics; `None` where it did not.
    pub(crate) fn closed_as(&self) -> Option<&'static str> {
        self.state.lock().close.as_ref().map(Close::label)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().frames
    }

    /// The connection's task is gone: nothing is queued any more.
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

/// The room of a broadcast that waits for a channel, given back when dropped.
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

/// Counts a client that is too slow, with what is full.
fn too_slow(reason: &'static str, bytes: usize) {
    metrics::counter!("channel_slow_consumer_total", "reason" => reason).increment(1);
    tracing::debug!(reason, bytes, "a client is too slow");
}

impl State {
    /// Returns whether a frame of this cost has to be reported to the account.
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

    /// Leaves out what is not kept, but for a frame that is half written.
    fn retain(&mut self, keep: impl Fn(&Queued) -> bool) {
        let half_written = usize::from(self.is_half_written());
        let mut at = 0;
        self.queue.retain(|queued| {
            at += 1;
            at <= half_written || keep(queued)
        });
        self.count();
    }

    /// Counts anew what waits.
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
