//! The parts of a connection for the WebSocket transport alone: frames written by their senders.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Connection, Event};
use crate::{
    connection::{Close, Direct, DirectEvent, HalfMessage, OutboundFrame, Outbox, Sink, Urgency},
    protocol::Frame,
};

impl Connection {
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Lets senders write frames themselves from now on; [`Connection::poll_direct`] returns the
    /// remaining tasks. `frame_in_place` turns text behind
    /// [`HEADER_ROOM`](crate::protocol::HEADER_ROOM) into a frame.
    pub(crate) fn write_directly(
        &self,
        io: Sink,
        encode: fn(&Frame) -> Bytes,
        frame_in_place: fn(Vec<u8>) -> Bytes,
    ) {
        self.outbox.frame_in_place(frame_in_place);
        self.outbox
            .write_directly(Direct::new(io, encode), self.registered.worker());
    }

    /// Returns the next task while senders write frames; cancel safe.
    pub(crate) fn poll_direct(&mut self, cx: &mut Context<'_>) -> Poll<DirectEvent> {
        loop {
            match std::task::ready!(self.outbox.poll_direct(cx)) {
                DirectEvent::Ended(topic, id) => {
                    self.handler.ended(&topic, id);
                    self.outbox.flush();
                }
                DirectEvent::Close(close) => {
                    if close == Close::DRAINING {
                        self.handler.drain();
                    }
                    return Poll::Ready(DirectEvent::Close(close));
                }
                event => return Poll::Ready(event),
            }
        }
    }

    /// Writes waiting frames as far as the client takes them now. Returns true if the last frame is
    /// whole.
    pub(crate) fn flush(&self) -> bool {
        self.outbox.flush();
        !self.outbox.is_half_written()
    }

    /// Returns the next frame if one waits directly behind the last; leaves a close in place.
    pub(crate) fn try_next(&mut self) -> Option<Frame> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if !self.outbox.has_next_frame() {
            return None;
        }
        match self.poll_next(&mut cx) {
            Poll::Ready(Event::Frame(frame)) => Some(frame),
            _ => None,
        }
    }

    /// Notes that the client can be written to again.
    pub(crate) fn unblock(&self) {
        self.outbox.unblock();
    }

    /// Records how many bytes of incomplete or waiting messages have arrived by `seen`; `half`
    /// holds the record while they are many. Closes the connections that have too many.
    pub(crate) fn note_half(
        &self,
        half: &mut Option<Box<HalfMessage>>,
        bytes: usize,
        seen: Instant,
    ) {
        let all = self.registered.half_received();
        all.note(half, bytes, self.handler.has_joined(), seen, || {
            let outbox = Arc::downgrade(&self.outbox);
            Box::new(move || {
                if let Some(outbox) = outbox.upgrade() {
                    outbox.close(Close::HALF_RECEIVED);
                }
            })
        });
    }

    /// Queues bytes of the transport itself, such as a pong.
    pub(crate) fn send_wire(&self, bytes: Bytes) {
        self.outbox
            .send(OutboundFrame::Wire(bytes), Urgency::MustSend);
    }
}
