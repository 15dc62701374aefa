//! Outboxes whose frames are written by their senders, past the connection's own task.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    io::{self, ErrorKind, IoSlice},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{Close, FlushWorker, Outbox, Queued, State, sink::Sink};
use crate::{
    connection::ChannelId,
    protocol::{Frame, Topic},
};

/// The largest number of frames in one write.
const SLICES: usize = 64;

/// The means by which an outbox writes directly.
pub(crate) struct Direct {
    io: Sink,
    /// Encodes a frame for the wire.
    encode: fn(&Frame) -> Bytes,
    /// The number of bytes of the first frame that have been written.
    written: usize,
    /// True if a flush is scheduled.
    dirty: bool,
    /// True if the client must read before more can be written.
    blocked: bool,
    broken: bool,
}

/// A task for the connection's own task while senders write frames themselves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DirectEvent {
    /// A channel is over; frames behind this are not written before it is taken.
    Ended(Topic, ChannelId),
    /// Wait until the client can be written to, and call [`Outbox::unblock`].
    Blocked,
    /// The client is gone.
    Broken,
    /// Everything has been written, and the connection ends.
    Close(Close),
}

impl Direct {
    pub(crate) fn new(io: Sink, encode: fn(&Frame) -> Bytes) -> Self {
        Direct {
            io,
            encode,
            written: 0,
            dirty: false,
            blocked: false,
            broken: false,
        }
    }

    pub(super) fn encode(&self, frame: &Frame) -> Bytes {
        (self.encode)(frame)
    }

    /// Returns true if a flush must be scheduled now.
    pub(super) fn begin_dirty(&mut self) -> bool {
        !self.blocked && !std::mem::replace(&mut self.dirty, true)
    }
}

impl Outbox {
    /// Sets the function that turns text behind room for a header into a frame.
    #[cfg(feature = "websocket")]
    pub(crate) fn frame_in_place(&self, make: fn(Vec<u8>) -> Bytes) {
        let _once = self.frame_in_place.set(make);
    }

    /// Returns the function that turns text behind room for a header into a frame, to be sent as
    /// [`OutboundFrame::Wire`](super::OutboundFrame::Wire).
    pub(crate) fn framing(&self) -> Option<fn(Vec<u8>) -> Bytes> {
        self.frame_in_place.get().copied()
    }

    /// Lets senders write from now on. Frames that are queued already are encoded.
    pub(crate) fn write_directly(self: &Arc<Self>, direct: Direct, worker: Arc<FlushWorker>) {
        let _once = self.worker.set(worker);
        let mut state = self.state.lock();
        if state.abandoned {
            return;
        }
        for queued in state.queue.iter_mut() {
            let wire = match queued {
                Queued::Frame(frame, urgency) => Queued::Wire(direct.encode(frame), *urgency),
                Queued::Shared(shared) => {
                    Queued::SharedWire(shared.wire(|frame| direct.encode(frame)))
                }
                Queued::Wire(..) | Queued::SharedWire(_) | Queued::Ended(..) => continue,
            };
            *queued = wire;
        }
        state.count();
        state.direct = Some(direct);
        drop(state);
        self.flush();
    }

    /// Writes waiting frames as far as the client takes them. Never waits.
    pub(crate) fn flush(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.flush();
        let spent = self.note_left(&mut state);
        drop(state);
        if spent {
            self.account.relieve();
        }
    }

    /// Returns true if a frame has been written in part.
    pub(crate) fn is_half_written(&self) -> bool {
        self.state.lock().is_half_written()
    }

    /// Notes that the client can be written to again.
    pub(crate) fn unblock(self: &Arc<Self>) {
        if let Some(direct) = &mut self.state.lock().direct {
            direct.blocked = false;
        }
        self.flush();
    }

    /// Returns the next task for the connection's own task; cancel safe.
    pub(crate) fn poll_direct(&self, cx: &mut Context<'_>) -> Poll<DirectEvent> {
        let mut state = self.state.lock();
        if let Some(Queued::Ended(..)) = state.queue.front()
            && let Some(Queued::Ended(topic, channel)) = state.pop()
        {
            return Poll::Ready(DirectEvent::Ended(topic, channel));
        }
        if let Some(direct) = &state.direct {
            if direct.broken {
                return Poll::Ready(DirectEvent::Broken);
            }
            if direct.blocked {
                return Poll::Ready(DirectEvent::Blocked);
            }
        }
        if state.queue.is_empty()
            && let Some(close) = &state.close
        {
            return Poll::Ready(DirectEvent::Close(close.clone()));
        }
        state.register(cx);
        Poll::Pending
    }
}

impl State {
    pub(super) fn is_half_written(&self) -> bool {
        self.direct
            .as_ref()
            .is_some_and(|direct| direct.written > 0)
    }

    /// Runs the flush that [`Direct::begin_dirty`] has scheduled.
    pub(super) fn flush(&mut self) {
        if let Some(direct) = &mut self.direct {
            direct.dirty = false;
        }
        self.write_out();
    }

    /// Writes the frames at the front of the queue, up to the end of a channel.
    pub(super) fn write_out(&mut self) {
        let Some(mut direct) = self.direct.take() else {
            return;
        };
        while !direct.blocked && !direct.broken {
            match self.write(&direct) {
                None => break,
                Some(Ok(0)) => direct.broken = true,
                Some(Ok(written)) => self.advance(&mut direct, written),
                Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => direct.blocked = true,
                Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Some(Err(_)) => direct.broken = true,
            }
        }
        let stuck = direct.blocked || direct.broken;
        self.direct = Some(direct);
        let ended = matches!(self.queue.front(), Some(Queued::Ended(..)));
        if stuck || ended || (self.queue.is_empty() && self.close.is_some()) {
            self.wake();
        }
    }

    /// Writes once. Returns `None` if no frame is at the front.
    fn write(&self, direct: &Direct) -> Option<io::Result<usize>> {
        let mut waiting = self
            .queue
            .iter()
            .map_while(|queued| Some(&**queued.wire()?));
        let first = IoSlice::new(&waiting.next()?[direct.written..]);
        let Some(second) = waiting.next() else {
            return Some(direct.io.try_write(&[first]));
        };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        let all = [first, IoSlice::new(second)].into_iter();
        for (slice, bytes) in slices.iter_mut().zip(all.chain(waiting.map(IoSlice::new))) {
            *slice = bytes;
            count += 1;
        }
        Some(direct.io.try_write(&slices[..count]))
    }

    /// Drops the frames that have been written.
    fn advance(&mut self, direct: &mut Direct, written: usize) {
        let mut left = direct.written + written;
        while let Some(len) = self.queue.front().and_then(Queued::wire).map(Bytes::len) {
            if left < len {
                break;
            }
            left -= len;
            self.pop();
        }
        direct.written = left;
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct")
            .field("dirty", &self.dirty)
            .field("blocked", &self.blocked)
            .finish_non_exhaustive()
    }
}
