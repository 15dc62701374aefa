//! The task of one WebSocket: frames in, frames out, and a clean end.

mod backlog;
mod buffered;
mod direct;

use std::{
    cell::Cell,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use tokio::{
    net::TcpStream,
    task::coop::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

use self::backlog::Backlog;
use super::codec::{Decoder, Limits, Message, Opcode, Read, frame};
use crate::{
    channel::with_time_of_handlers,
    connection::{Close, Connection, Control, HalfMessage, Received},
    options::SocketOptions,
    protocol::Frame,
};

/// The time a client may take to answer a close.
const CLOSING: Duration = Duration::from_secs(2);

/// The longest reason a close frame can carry, in bytes.
const MAX_REASON: usize = 123;

/// The maximum number of bytes read at once, into one buffer per thread rather than per connection.
const READ: usize = 64 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the thread's buffer. Handlers run while it is lent, because received data is handed over
/// within the closure; a nested read gets another buffer.
fn with_buffer<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = BUFFER.take();
    buffer.resize(READ, 0);
    let done = read(&mut buffer);
    BUFFER.set(buffer);
    done
}

/// The reason the task stops.
enum End {
    /// The server closes the connection.
    Close(Close),
    /// The client has closed, with this code.
    Closed(Option<u16>),
    /// The client is gone.
    Gone,
}

/// Runs a newly upgraded connection to its end.
pub(super) async fn run(upgraded: Upgraded, connection: Connection, options: &SocketOptions) {
    let limits = Limits {
        frame: options.max_frame_size,
        message: options.max_message_size,
    };
    let session = Session {
        intake: Intake {
            connection,
            backlog: Backlog::default(),
        },
        decoder: Decoder::new(limits),
        half: None,
        wrong: None,
        held_up: true,
        idle: Idle::new(options.timeout),
    };
    match plain(upgraded) {
        Ok((stream, read)) => direct::run(stream, read, session).await,
        Err(upgraded) => Box::pin(buffered::run(TokioIo::new(upgraded), session)).await,
    }
}

/// Unwraps the HTTP layers of the stream, if the server is `Endpoint::serve` or axum's own; also
/// returns the bytes already received.
fn plain(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    #[cfg(feature = "serve")]
    let upgraded = match upgraded.downcast::<TokioIo<crate::transport::Watched<TcpStream>>>() {
        Ok(parts) => return Ok((parts.io.into_inner().into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => downcast::<TokioIo<TcpStream>>(upgraded)
            .map(|parts| (parts.io.into_inner(), parts.read_buf)),
    }
}

impl Session {
    /// Ends the connection and its channels.
    fn end(mut self, end: &End) {
        if let End::Close(close) = end {
            self.intake.connection.note_end(close);
        }
    }
}

/// A connection with the state for reading it.
struct Session {
    intake: Intake,
    decoder: Decoder,
    /// The accounting of incomplete and waiting messages, once they are large.
    half: Option<Box<HalfMessage>>,
    /// The error that ends the connection after the waiting messages.
    wrong: Option<End>,
    /// True if other work must be done before the next read.
    held_up: bool,
    idle: Idle,
}

/// The destination of messages.
struct Intake {
    connection: Connection,
    backlog: Backlog,
}

/// The outcome of handing over a message.
enum Taken {
    Whole,
    NoRoom(Message),
    End(End),
}

impl Session {
    /// Decodes the client's bytes, unmasking them in place, and hands over the messages.
    fn decode(&mut self, bytes: &mut [u8]) {
        let (intake, wrong) = (&mut self.intake, &mut self.wrong);
        let read = || {
            self.decoder.read(bytes, |read| {
                if wrong.is_some() {
                    return;
                }
                if intake.backlog.has_messages() {
                    return intake.backlog.push_back(read.into_message());
                }
                let taken = match read {
                    Read::Text(text) => intake.connection.try_receive_text(text).into(),
                    Read::Message(message) => intake.take(message),
                };
                match taken {
                    Taken::Whole => {}
                    Taken::NoRoom(message) => intake.backlog.push_back(message),
                    Taken::End(end) => *wrong = Some(end),
                }
            })
        };
        let (decoded, at) = with_time_of_handlers(read);
        if let Err(close) = decoded {
            self.wrong.get_or_insert(End::Close(close));
        }
        self.idle.seen(at);
        self.note_half(at);
    }

    /// Counts incomplete messages and whole ones that wait.
    fn note_half(&mut self, at: Instant) {
        let bytes = self.decoder.kept() + self.intake.backlog.len();
        if bytes > 0 || self.half.is_some() {
            self.intake.connection.note_half(&mut self.half, bytes, at);
        }
    }

    /// Hands over the waiting messages. Ready once none waits any more, with the end of the
    /// connection if there is one. Until then nothing is read except the connection's own end;
    /// writing goes on.
    fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let intake = &mut self.intake;
        while let Some(message) = intake.backlog.pop_front() {
            match intake.take(message) {
                Taken::Whole => {}
                Taken::End(end) => return Poll::Ready(Some(end)),
                Taken::NoRoom(message) => {
                    intake.backlog.push_front(message);
                    std::task::ready!(intake.connection.poll_room(cx));
                    // The server does not read meanwhile, so the client's silence does not count.
                    self.idle.seen(Instant::now());
                }
            }
        }
        if self.half.is_some() && self.decoder.kept() == 0 {
            self.half = None;
        }
        Poll::Ready(self.wrong.take())
    }
}

impl Intake {
    fn take(&mut self, message: Message) -> Taken {
        let frame = match message {
            Message::Text(text) => Frame::Text(text),
            Message::Binary(bytes) => Frame::Binary(bytes),
            Message::Ping(data) => {
                self.backlog.pong(&data);
                self.connection.control(Control::Ping(data));
                return Taken::Whole;
            }
            Message::Pong(data) => {
                self.connection.control(Control::Pong(data));
                return Taken::Whole;
            }
            Message::Close(code) => return Taken::End(End::Closed(code)),
        };
        self.connection.try_receive(frame).into()
    }
}

impl From<Received> for Taken {
    fn from(received: Received) -> Self {
        match received {
            Received::Taken => Taken::Whole,
            Received::Refused(close) => Taken::End(End::Close(close)),
            Received::Full(Frame::Text(text)) => Taken::NoRoom(Message::Text(text)),
            Received::Full(Frame::Binary(bytes)) => Taken::NoRoom(Message::Binary(bytes)),
        }
    }
}

/// Ends a connection whose client is silent. The timer is checked when it fires instead of being
/// moved at every frame.
struct Idle {
    limit: Duration,
    seen: Instant,
    timer: Pin<Box<Sleep>>,
    /// The task that the timer wakes.
    task: Option<Waker>,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        let seen = Instant::now();
        Idle {
            limit,
            seen,
            timer: Box::pin(sleep_until(seen + limit)),
            task: None,
        }
    }

    fn seen(&mut self, at: Instant) {
        self.seen = at;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let known = |task: &Waker| task.will_wake(cx.waker());
        if self.task.as_ref().is_some_and(known) && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            // Unconstrained, because a timer that yields has not stored the waker.
            if pin!(unconstrained(self.timer.as_mut()))
                .poll(cx)
                .is_pending()
            {
                self.task = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let due = self.seen + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

/// Encodes a frame of the server for the wire.
fn encode(out: &Frame) -> Bytes {
    match out {
        Frame::Text(text) => frame(Opcode::Text, text.as_bytes()),
        Frame::Binary(bytes) => frame(Opcode::Binary, bytes),
    }
}

/// Returns the last frame: the server's close, or the answer to the client's.
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

/// Returns true if the client has answered the close, as far as its bytes show; it may have broken
/// the protocol before.
fn has_close(bytes: &mut [u8]) -> bool {
    let mut closed = false;
    let limits = Limits {
        frame: bytes.len(),
        message: bytes.len(),
    };
    let _broken = Decoder::new(limits).read(bytes, |read| {
        closed |= matches!(read, Read::Message(Message::Close(_)));
    });
    closed
}
