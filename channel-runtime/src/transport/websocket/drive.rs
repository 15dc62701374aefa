//! The task of one WebSocket: frames in, frames out, and a clean end.

mod buffered;
mod direct;

use std::{
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::codec::{Decoder, Limits, Message, Opcode, frame};
use crate::{
    Close, SocketOptions,
    transport::{Connection, Control},
    wire::Frame,
};

/// How long a client may take to answer a close.
const CLOSING: Duration = Duration::from_secs(2);

/// The longest reason a close frame can carry, in bytes.
const MAX_REASON: usize = 123;

/// How much is read at once: into one buffer a thread, not one a connection.
const READ: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// No frame of the client for the socket's `timeout`.
const TIMEOUT: Close = Close::new(1002, "timeout");

/// Why the task stops.
enum End {
    /// The server closes.
    Close(Close),
    /// The client has closed, with this code.
    Closed(Option<u16>),
    /// The client is gone.
    Gone,
}

/// Runs a connection that has just been upgraded, to its end.
pub(super) async fn run(upgraded: Upgraded, connection: Connection, options: &SocketOptions) {
    let limits = Limits {
        frame: options.max_frame_size,
        message: options.max_message_size,
    };
    let session = Session {
        connection,
        decoder: Decoder::new(limits),
        messages: Vec::new(),
        wrong: None,
        pongs: BytesMut::new(),
        idle: Idle::new(options.timeout),
    };
    match plain(upgraded) {
        Ok((stream, read)) => direct::run(stream, read, session).await,
        Err(upgraded) => Box::pin(buffered::run(TokioIo::new(upgraded), session)).await,
    }
}

/// The stream without the layers that HTTP needed, where the server is `Endpoint::serve` or
/// axum's own; and what has come from the client already.
fn plain(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => downcast::<TokioIo<TcpStream>>(upgraded)
            .map(|parts| (parts.io.into_inner(), parts.read_buf)),
    }
}

/// A connection with what reading it takes.
struct Session {
    connection: Connection,
    decoder: Decoder,
    /// What has been read and not handed over.
    messages: Vec<Message>,
    /// What was wrong behind these messages.
    wrong: Option<Close>,
    /// Answers to pings, for the driver to write.
    pongs: BytesMut,
    idle: Idle,
}

impl Session {
    /// Reads the client's bytes, which are unmasked in place.
    fn decode(&mut self, bytes: &mut [u8]) {
        let messages = &mut self.messages;
        self.wrong = self
            .decoder
            .read(bytes, |message| messages.push(message))
            .err();
        self.idle.seen();
    }

    /// Hands over what has been read.
    async fn hand_over(&mut self) -> Option<End> {
        let mut messages = std::mem::take(&mut self.messages);
        for message in messages.drain(..) {
            if let Some(end) = self.take(message).await {
                return Some(end);
            }
        }
        // An idle connection holds no room for messages.
        if messages.capacity() <= 4 {
            self.messages = messages;
        }
        self.wrong.take().map(End::Close)
    }

    async fn take(&mut self, message: Message) -> Option<End> {
        let message = match message {
            Message::Text(text) => Frame::Text(text),
            Message::Binary(bytes) => Frame::Binary(bytes),
            Message::Ping(data) => {
                self.pongs.extend_from_slice(&frame(Opcode::Pong, &data));
                self.connection.control(Control::Ping(data));
                return None;
            }
            Message::Pong(data) => {
                self.connection.control(Control::Pong(data));
                return None;
            }
            Message::Close(code) => return Some(End::Closed(code)),
        };
        let closing = self.connection.closing();
        tokio::select! {
            biased;
            received = self.connection.receive(message) => received.err().map(End::Close),
            close = closing => Some(End::Close(close)),
        }
    }
}

/// Ends a connection whose client says nothing. The timer is looked at when it fires, not moved
/// at every frame.
struct Idle {
    limit: Duration,
    seen: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        let seen = Instant::now();
        Idle {
            limit,
            seen,
            timer: Box::pin(sleep_until(seen + limit)),
        }
    }

    fn seen(&mut self) {
        self.seen = Instant::now();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.timer.as_mut().poll(cx));
            let due = self.seen + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

/// What a frame of the server is on the wire.
fn encode(out: &Frame) -> Bytes {
    match out {
        Frame::Text(text) => frame(Opcode::Text, text.as_bytes()),
        Frame::Binary(bytes) => frame(Opcode::Binary, bytes),
    }
}

/// The last frame: the server's close, or the answer to the client's.
fn last_frame(end: &End) -> Option<Bytes> {
    let (code, reason) = match end {
        End::Close(close) => (close.code, &*close.reason),
        End::Closed(Some(code)) => (*code, ""),
        End::Closed(None) => return Some(frame(Opcode::Close, &[])),
        End::Gone => return None,
    };
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    Some(frame(Opcode::Close, &payload))
}

/// Whether the client has answered the close, as far as can be told from what it sends after it
/// may have broken the protocol.
fn has_close(bytes: &mut [u8]) -> bool {
    let mut closed = false;
    let limits = Limits {
        frame: bytes.len(),
        message: bytes.len(),
    };
    let _broken = Decoder::new(limits).read(bytes, |message| {
        closed |= matches!(message, Message::Close(_));
    });
    closed
}
