//! An open connection, as every transport drives it, whatever socket is behind.

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
    /// End the connection, telling the client why where the transport can.
    Close(Close),
}

/// A control frame of a client, for transports that have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The transport answers it itself.
    Ping(Bytes),
    /// An answer to a ping of the server.
    Pong(Bytes),
}

/// The outcome of handing a frame to a socket.
pub(crate) enum Received {
    /// It took it.
    Taken,
    /// The connection is to end.
    Refused(Close),
    /// It takes nothing before [`ConnectionHandler::poll_room`] is ready.
    Full(Frame),
}

/// The socket behind a connection: one with channels, or one of the user's own.
pub(crate) trait ConnectionHandler: Send {
    fn receive(&mut self, frame: Frame) -> Received;

    /// As [`ConnectionHandler::receive`], of a text frame; copies of it only what is kept.
    #[cfg(feature = "websocket")]
    fn receive_text(&mut self, text: &str) -> Received {
        self.receive(Frame::Text(text.into()))
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The frames from here on, until the next of these, come together, and those who sent them wait
    /// until all are taken.
    #[cfg(feature = "longpoll")]
    fn begin_batch(&mut self) {}

    fn control(&mut self, control: Control);

    /// Returns whether the client has come further than to connect.
    #[cfg(feature = "websocket")]
    fn has_joined(&self) -> bool {
        true
    }

    /// A channel is over.
    fn ended(&mut self, _topic: &Topic, _id: ChannelId) {}

    /// The server goes down; dropped soon after.
    fn drain(&mut self);
}

/// An open connection: the transport hands it the client's frames and writes what it gives.
///
/// [`Endpoint::connect`](crate::Endpoint::connect) opens one. A transport reads and writes in
/// one task: it waits for the client and for [`Connection::next`] at the same time, hands over
/// each frame with [`Connection::receive`], and drops the connection when the client is gone,
/// which ends its channels. Mirrors what a transport calls in `Phoenix.Socket.Transport`.
pub struct Connection {
    handler: Box<dyn ConnectionHandler>,
    outbox: Arc<Outbox>,
    /// Why the transport ends it, where it is not the outbox that does.
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

    /// Takes one frame of the client. Waits where too much of what the client has sent waits
    /// already: in a socket with channels for
    /// [`mailbox_wait`](crate::SocketOptions::mailbox_wait) at most, in a custom one for as long as it
    /// is busy. Nothing is to be read meanwhile, so that the client waits too. A transport that
    /// writes meanwhile polls [`Connection::poll_receive`] and [`Connection::poll_next`].
    ///
    /// Not cancel safe: a frame whose `receive` is dropped may be lost.
    ///
    /// # Errors
    ///
    /// How the connection must end, since the frame cannot be read, or it ends while the frame
    /// waits.
    pub async fn receive(&mut self, frame: Frame) -> Result<(), Close> {
        let mut frame = Some(frame);
        poll_fn(|cx| match self.poll_receive(&mut frame, cx) {
            Poll::Pending => self.outbox.poll_closing(cx).map(Err),
            taken => taken,
        })
        .await
    }

    /// As [`Connection::receive`], for transports that poll; takes the frame out once there is
    /// room for it.
    ///
    /// # Errors
    ///
    /// How the connection must end, since the frame cannot be read.
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

    /// Those who sent the frames from here on, until the next of these, wait until all are taken.
    #[cfg(feature = "longpoll")]
    pub(crate) fn begin_batch(&mut self) {
        self.handler.begin_batch();
    }

    /// As [`Connection::receive`], without waiting.
    #[cfg(feature = "websocket")]
    pub(crate) fn try_receive(&mut self, frame: Frame) -> Received {
        self.handler.receive(frame)
    }

    /// As [`Connection::try_receive`], of a text frame.
    #[cfg(feature = "websocket")]
    pub(crate) fn try_receive_text(&mut self, text: &str) -> Received {
        self.handler.receive_text(text)
    }

    /// Ready when the socket may have room again.
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

    /// As [`Connection::next`], for transports that poll.
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

    /// Ready once the connection is to end, even while [`Connection::next`] has more to give:
    /// so that a write to a client that does not read is given up. Borrows nothing, cancel safe.
    pub fn closing(&self) -> impl Future<Output = Close> + Send + use<> {
        let outbox = self.outbox.clone();
        async move { poll_fn(|cx| outbox.poll_closing(cx)).await }
    }

    /// As [`Connection::closing`], for transports that poll.
    #[cfg(any(feature = "websocket", feature = "longpoll"))]
    pub(crate) fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<Close> {
        self.outbox.poll_closing(cx)
    }

    /// Counts frames that have left the outbox and still wait.
    #[cfg(feature = "longpoll")]
    pub(crate) fn account(&self) -> &Arc<super::Account> {
        self.outbox.account()
    }

    /// How many frames wait for the transport.
    pub fn waiting(&self) -> usize {
        self.outbox.waiting()
    }
}

impl Connection {
    /// Notes how a transport ends the connection, for the metrics.
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
