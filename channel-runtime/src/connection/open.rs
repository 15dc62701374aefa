//! An open connection, as every transport drives it, for any kind of socket.

#[cfg(feature = "websocket")]
mod direct;

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use crate::telemetry;
use crate::{
    connection::{ChannelId, Close, Outbox, Outgoing, Registered},
    protocol::{Frame, Topic},
};

/// The next task of the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Write this frame.
    Frame(Frame),
    /// End the connection, and tell the client why if the transport can.
    Close(Close),
}

/// A control frame of a client, for transports that have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// A ping, which the transport answers itself.
    Ping(Bytes),
    /// An answer to a ping of the server.
    Pong(Bytes),
}

/// The outcome of passing a frame to a socket.
pub(crate) enum Received {
    /// The socket took it.
    Taken,
    /// The connection must end.
    Refused(Close),
    /// The socket takes nothing until [`ConnectionHandler::poll_room`] is ready.
    Full(Frame),
}

/// The socket behind a connection: one with channels, or one of the user's own.
pub(crate) trait ConnectionHandler: Send {
    fn receive(&mut self, frame: Frame) -> Received;

    /// Does the same as [`ConnectionHandler::receive`] for a text frame, and copies only the parts
    /// that are kept.
    #[cfg(feature = "websocket")]
    fn receive_text(&mut self, text: &str) -> Received {
        self.receive(Frame::Text(text.into()))
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Begins a batch: the frames up to the next call come together, and their sender waits until
    /// all are taken.
    #[cfg(feature = "long-poll")]
    fn begin_batch(&mut self) {}

    fn control(&mut self, control: Control);

    /// Returns true if the client has done more than connect.
    #[cfg(feature = "websocket")]
    fn has_joined(&self) -> bool {
        true
    }

    /// Notes that a channel is over.
    fn ended(&mut self, _topic: &Topic, _id: ChannelId) {}

    /// Notes that the server is going down. The handler is dropped soon after.
    fn drain(&mut self);
}

/// An open connection: the transport passes in the client's frames and writes the frames it
/// returns.
///
/// [`Endpoint::connect`](crate::Endpoint::connect) opens one. A transport reads and writes in
/// one task: it waits for the client and for [`Connection::next`] at the same time, hands over
/// each frame with [`Connection::receive`], and drops the connection when the client is gone,
/// which ends its channels. Mirrors what a transport calls in `Phoenix.Socket.Transport`.
pub struct Connection {
    handler: Box<dyn ConnectionHandler>,
    outbox: Arc<Outbox>,
    /// The reason for the end if the transport ends it rather than the outbox.
    ended: Option<&'static str>,
    #[cfg_attr(
        not(feature = "websocket"),
        expect(dead_code, reason = "dropped with it")
    )]
    registered: Registered,
}

impl Connection {
    pub(crate) fn new(
        handler: Box<dyn ConnectionHandler>,
        outbox: Arc<Outbox>,
        registered: Registered,
    ) -> Self {
        Connection {
            handler,
            outbox,
            ended: None,
            registered,
        }
    }

    /// Takes one frame of the client. Waits while too many of the client's bytes are waiting
    /// already: in a socket with channels for at most
    /// [`mailbox_wait`](crate::SocketOptions::mailbox_wait), in a custom one for as long as it is
    /// busy. Do not read from the client meanwhile, so that it waits too. A transport that writes
    /// meanwhile polls [`Connection::poll_receive`] and [`Connection::poll_next`].
    ///
    /// Not cancel safe: a frame whose `receive` is dropped may be lost.
    ///
    /// # Errors
    ///
    /// Returns how the connection must end, if the frame cannot be read or the connection ends
    /// while the frame waits.
    pub async fn receive(&mut self, frame: Frame) -> Result<(), Close> {
        let mut frame = Some(frame);
        poll_fn(|cx| match self.poll_receive(&mut frame, cx) {
            Poll::Pending => self.outbox.poll_closing(cx).map(Err),
            taken => taken,
        })
        .await
    }

    /// Does the same as [`Connection::receive`] for transports that poll. Takes the frame out once
    /// there is room for it.
    ///
    /// # Errors
    ///
    /// Returns how the connection must end if the frame cannot be read.
    pub fn poll_receive(
        &mut self,
        frame: &mut Option<Frame>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Close>> {
        while let Some(next) = frame.take() {
            match self.handler.receive(next) {
                Received::Taken => break,
                Received::Refused(close) => {
                    self.note_end(&close);
                    return Poll::Ready(Err(close));
                }
                Received::Full(back) => *frame = Some(back),
            }
            std::task::ready!(self.handler.poll_room(cx));
        }
        Poll::Ready(Ok(()))
    }

    /// Begins a batch: the sender of the frames up to the next call waits until all are taken.
    #[cfg(feature = "long-poll")]
    pub(crate) fn begin_batch(&mut self) {
        self.handler.begin_batch();
    }

    /// Does the same as [`Connection::receive`], without waiting.
    #[cfg(feature = "websocket")]
    pub(crate) fn try_receive(&mut self, frame: Frame) -> Received {
        self.handler.receive(frame)
    }

    /// Does the same as [`Connection::try_receive`] for a text frame.
    #[cfg(feature = "websocket")]
    pub(crate) fn try_receive_text(&mut self, text: &str) -> Received {
        self.handler.receive_text(text)
    }

    /// Becomes ready when the socket may have room again.
    #[cfg(feature = "websocket")]
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.handler.poll_room(cx)
    }

    /// Tells the socket of a ping or a pong. Mirrors `c:handle_control/2`.
    pub fn control(&mut self, control: Control) {
        self.handler.control(control);
    }

    /// Returns the next task of the transport. Cancel safe.
    pub async fn next(&mut self) -> Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Does the same as [`Connection::next`] for transports that poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            match std::task::ready!(self.outbox.poll_next(cx)) {
                Outgoing::Frame(frame) => return Poll::Ready(Event::Frame(frame)),
                Outgoing::Ended(topic, id) => self.handler.ended(&topic, id),
                Outgoing::Close(close) => {
                    if close == Close::DRAINING {
                        self.handler.drain();
                    }
                    return Poll::Ready(Event::Close(close));
                }
            }
        }
    }

    /// Ready once the connection must end, even while [`Connection::next`] has more frames, so that
    /// a write to a client that does not read can be abandoned. Borrows nothing, cancel safe.
    pub fn closing(&self) -> impl Future<Output = Close> + Send + use<> {
        let outbox = self.outbox.clone();
        async move { poll_fn(|cx| outbox.poll_closing(cx)).await }
    }

    /// Does the same as [`Connection::closing`] for transports that poll.
    #[cfg(any(feature = "websocket", feature = "long-poll"))]
    pub(crate) fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<Close> {
        self.outbox.poll_closing(cx)
    }

    /// Returns the account, which counts frames that have left the outbox and still wait.
    #[cfg(feature = "long-poll")]
    pub(crate) fn account(&self) -> &Arc<super::Account> {
        self.outbox.account()
    }

    /// Returns the number of frames that wait for the transport.
    pub fn waiting(&self) -> usize {
        self.outbox.waiting()
    }
}

impl Connection {
    /// Records how a transport ends the connection, for the metrics.
    pub(crate) fn note_end(&mut self, close: &Close) {
        self.ended.get_or_insert(close.label());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let ended = self.ended.or_else(|| self.outbox.closed_as());
        telemetry::disconnected(ended.unwrap_or("client"));
        self.outbox.abandon();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}
