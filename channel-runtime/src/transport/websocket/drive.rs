//! The task of one WebSocket: frames in, frames out, and a clean end.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as WsError, Message as WsMessage, Utf8Bytes,
        error::CapacityError,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::{
    Close, SocketOptions,
    transport::{Connection, Control, Event},
    wire::Frame,
};

/// What a WebSocket runs over.
trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<I: AsyncRead + AsyncWrite + Unpin> Io for I {}

/// How long a client may take to answer a close.
const CLOSING: Duration = Duration::from_secs(2);

/// The most frames written before the socket is read again.
const BATCH: usize = 64;

/// The longest reason a close frame can carry, in bytes.
const MAX_REASON: usize = 123;

/// Why the task stops.
enum End {
    /// The server closes.
    Close(Close),
    /// The client has closed, or is gone.
    Gone,
}

/// Runs a connection that has just been upgraded, to its end.
pub(super) async fn run(upgraded: Upgraded, connection: Connection, options: &SocketOptions) {
    match plain(upgraded) {
        Ok((stream, read)) => {
            // A small frame must not wait until the client has acknowledged the one before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY cannot be set");
            }
            run_over(stream, read, connection, options).await;
        }
        Err(upgraded) => run_over(TokioIo::new(upgraded), Bytes::new(), connection, options).await,
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

/// `read` is what has come from the client already.
async fn run_over<I: Io>(io: I, read: Bytes, mut connection: Connection, options: &SocketOptions) {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_frame_size(Some(options.max_frame_size))
        .max_message_size(Some(options.max_message_size));
    let mut socket =
        WebSocketStream::from_partially_read(io, read.into(), Role::Server, Some(config)).await;
    let end = serve(&mut socket, &mut connection, options.timeout).await;
    // The channels end now, not after the closing handshake.
    drop(connection);
    match end {
        End::Close(close) => finish(&mut socket, close).await,
        // Sends the answer to the client's close, which waits in the buffer.
        End::Gone => drop(timeout(CLOSING, socket.flush()).await),
    }
    // Over TLS, an end that is not announced looks like an attack.
    if let Ok(Err(error)) = timeout(CLOSING, socket.get_mut().shutdown()).await {
        tracing::debug!(%error, "a client was gone before the end");
    }
}

async fn serve<I: Io>(
    socket: &mut WebSocketStream<I>,
    connection: &mut Connection,
    limit: Duration,
) -> End {
    let mut idle = pin!(sleep_until(Instant::now() + limit));
    loop {
        let message = tokio::select! {
            event = connection.next() => match event {
                Event::Close(close) => return End::Close(close),
                Event::Frame(frame) => {
                    let written = write(socket, connection, frame);
                    tokio::select! {
                        end = written => match end {
                            Some(end) => return end,
                            None => continue,
                        },
                        () = idle.as_mut() => return End::Close(TIMEOUT),
                    }
                }
            },
            message = socket.next() => message,
            // What came while a long write held up the reading still counts.
            () = idle.as_mut() => match socket.next().now_or_never() {
                Some(message) => message,
                None => return End::Close(TIMEOUT),
            },
        };
        idle.as_mut().reset(Instant::now() + limit);
        if let Some(end) = read(connection, message).await {
            return end;
        }
    }
}

/// No frame of the client for the socket's `timeout`.
const TIMEOUT: Close = Close::new(1002, "timeout");

/// Hands a message of the client to the connection.
async fn read(
    connection: &mut Connection,
    message: Option<Result<WsMessage, WsError>>,
) -> Option<End> {
    let frame = match message {
        None => return Some(End::Gone),
        Some(Err(error)) => return Some(protocol_error(error)),
        Some(Ok(WsMessage::Text(text))) => Frame::Text(into_text(text)),
        Some(Ok(WsMessage::Binary(bytes))) => Frame::Binary(bytes),
        Some(Ok(WsMessage::Close(_))) => return Some(End::Gone),
        Some(Ok(WsMessage::Ping(data))) => {
            connection.control(Control::Ping(data));
            return None;
        }
        Some(Ok(WsMessage::Pong(data))) => {
            connection.control(Control::Pong(data));
            return None;
        }
        Some(Ok(WsMessage::Frame(_))) => return None,
    };
    let closing = connection.closing();
    tokio::select! {
        biased;
        received = connection.receive(frame) => received.err().map(End::Close),
        close = closing => Some(End::Close(close)),
    }
}

fn into_text(text: Utf8Bytes) -> bytestring::ByteString {
    bytestring::ByteString::try_from(Bytes::from(text))
        .expect("tungstenite has checked the text to be UTF-8")
}

/// What a violation of the WebSocket protocol is answered with.
fn protocol_error(error: WsError) -> End {
    let code = match &error {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => 1009,
        WsError::Utf8(_) => 1007,
        WsError::Protocol(_) => 1002,
        _ => return End::Gone,
    };
    End::Close(Close {
        code,
        reason: error.to_string().into(),
    })
}

/// Writes a frame and what waits behind it, and flushes once. Gives up as soon as the connection
/// is to end: a client that does not read must not keep it.
async fn write<I: Io>(
    socket: &mut WebSocketStream<I>,
    connection: &mut Connection,
    first: Frame,
) -> Option<End> {
    let closing = connection.closing();
    let writing = async {
        let mut frame = first;
        for left in (0..BATCH).rev() {
            if socket.feed(message(frame)).await.is_err() {
                return Some(End::Gone);
            }
            let next = if left > 0 {
                connection.next().now_or_never()
            } else {
                None
            };
            match next {
                None => break,
                Some(Event::Frame(next)) => frame = next,
                Some(Event::Close(close)) => {
                    // What was queued before the close still goes out.
                    let _gone = socket.flush().await;
                    return Some(End::Close(close));
                }
            }
        }
        socket.flush().await.is_err().then_some(End::Gone)
    };
    tokio::select! {
        biased;
        end = writing => end,
        close = closing => Some(End::Close(close)),
    }
}

fn message(frame: Frame) -> WsMessage {
    match frame {
        Frame::Text(text) => WsMessage::Text(
            Utf8Bytes::try_from(text.into_bytes()).expect("a text frame holds UTF-8"),
        ),
        Frame::Binary(bytes) => WsMessage::Binary(bytes),
    }
}

/// Sends the close and waits for the client's, so that the last frames are not lost with the
/// connection.
async fn finish<I: Io>(socket: &mut WebSocketStream<I>, close: Close) {
    let mut reason = close.reason.into_owned();
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    let frame = CloseFrame {
        code: CloseCode::from(close.code),
        reason: reason.into(),
    };
    let handshake = async {
        if socket.close(Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    if timeout(CLOSING, handshake).await.is_err() {
        tracing::debug!("a client did not answer the close in time");
    }
}
