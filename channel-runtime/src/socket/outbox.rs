//! The bounded queue of frames that wait for a connection to take them.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use serde::Deserialize;

use crate::{Topic, socket::session::ChannelId, wire::Frame};

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

    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().frames
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn outbox(policy: SlowConsumer) -> Arc<Outbox> {
        Outbox::new(OutboxLimits {
            frames: 3,
            bytes: 10,
            policy,
        })
    }

    fn frame(text: &str) -> Frame {
        Frame::Text(text.to_owned().into())
    }

    fn next(outbox: &Outbox) -> Option<Outgoing> {
        match outbox.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => Some(next),
            Poll::Pending => None,
        }
    }

    fn all(outbox: &Outbox) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(next) = next(outbox) {
            match next {
                Outgoing::Frame(frame) => {
                    all.push(String::from_utf8(frame.bytes().to_vec()).unwrap());
                }
                Outgoing::Ended(topic, _) => all.push(format!("ended {topic}")),
                Outgoing::Close(close) => {
                    all.push(format!("close {}", close.code));
                    break;
                }
            }
        }
        all
    }

    #[test]
    fn frames_and_ends_come_out_in_order_and_a_close_last() {
        let outbox = outbox(SlowConsumer::Disconnect);
        outbox.send(frame("a"), Urgency::MustSend);
        outbox.ended("t".into(), ChannelId(1));
        outbox.send(frame("b"), Urgency::Final);
        outbox.close(Close::DISCONNECT);
        outbox.send(frame("late"), Urgency::Final);
        assert_eq!(all(&outbox), ["a", "ended t", "b", "close 1001"]);
    }

    #[test]
    fn a_full_outbox_disconnects_the_client_by_default() {
        let outbox = outbox(SlowConsumer::Disconnect);
        for n in 0..4 {
            outbox.send(frame(&n.to_string()), Urgency::MayDrop);
        }
        outbox.ended("t".into(), ChannelId(1));
        assert_eq!(
            all(&outbox),
            ["ended t", "close 1013"],
            "what waited is not worth sending"
        );
    }

    #[test]
    fn drop_newest_leaves_out_broadcasts_and_drop_oldest_makes_room() {
        for (policy, kept) in [
            (SlowConsumer::DropNewest, ["r", "0", "1"]),
            (SlowConsumer::DropOldest, ["r", "2", "3"]),
        ] {
            let outbox = outbox(policy);
            outbox.send(frame("r"), Urgency::MustSend);
            for n in 0..4 {
                outbox.send(frame(&n.to_string()), Urgency::MayDrop);
            }
            assert_eq!(all(&outbox), kept);
        }
    }

    #[test]
    fn a_reply_that_finds_no_room_disconnects_whatever_the_policy() {
        for policy in [
            SlowConsumer::Disconnect,
            SlowConsumer::DropNewest,
            SlowConsumer::DropOldest,
        ] {
            let outbox = outbox(policy);
            for _ in 0..3 {
                outbox.send(frame("b"), Urgency::MayDrop);
            }
            outbox.send(frame("r"), Urgency::MustSend);
            assert_eq!(all(&outbox), ["close 1013"]);
        }
    }

    #[test]
    fn bytes_are_bounded_too_but_one_large_frame_fits_an_empty_outbox() {
        let outbox = outbox(SlowConsumer::DropNewest);
        outbox.send(frame("twelve bytes"), Urgency::MayDrop);
        outbox.send(frame("x"), Urgency::MayDrop);
        assert_eq!(all(&outbox), ["twelve bytes"]);
        outbox.send(frame("123456"), Urgency::MayDrop);
        outbox.send(frame("12345"), Urgency::MayDrop);
        outbox.send(frame("1234"), Urgency::MayDrop);
        assert_eq!(all(&outbox), ["123456", "1234"]);
    }

    #[test]
    fn drop_oldest_keeps_what_the_client_counts_on_and_leaves_out_what_cannot_fit() {
        let outbox = outbox(SlowConsumer::DropOldest);
        outbox.send(frame("12345678"), Urgency::MustSend);
        outbox.send(frame("a"), Urgency::MayDrop);
        outbox.send(frame("bcd"), Urgency::MayDrop);
        assert_eq!(all(&outbox), ["12345678"]);
    }

    #[test]
    fn an_abandoned_outbox_holds_nothing() {
        let outbox = outbox(SlowConsumer::Disconnect);
        outbox.send(frame("a"), Urgency::MustSend);
        outbox.abandon();
        outbox.send(frame("b"), Urgency::Final);
        outbox.ended("t".into(), ChannelId(1));
        assert!(next(&outbox).is_none());
    }
}
