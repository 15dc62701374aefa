//! What only the WebSocket transport needs of a connection: frames written by whoever sends them.

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

    /// Has frames written by whoever sends them, from now on; [`Connection::poll_direct`] says
    /// what is left to do. `frame_in_place` makes a frame of text behind
    /// [`HEADER_ROOM`](crate::protocol::HEADER_ROOM).
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

    /// What is left to do where frames are written directly; cancel safe.
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

    /// Writes what waits, as far as the client takes it now; whether the last frame is whole.
    pub(crate) fn flush(&self) -> bool {
        self.outbox.flush();
        !self.outbox.is_half_written()
    }

    /// The next frame, when one waits right behind the last; a close is left where it is.
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

    /// The client can be written to again.
    pub(crate) fn unblock(&self) {
        self.outbox.unblock();
    }

    /// Says how many bytes have come at `seen` of messages that are not whole, or wait; `half` holds
    /// them while they are many. Closes those connections that have too many.
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
