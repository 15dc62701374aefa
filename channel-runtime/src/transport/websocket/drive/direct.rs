//! Drives a TCP connection: senders write to it themselves. This task reads, and writes the rest.

use crate::telemetry::shown;
use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{TcpStream, tcp::OwnedReadHalf},
    time::{Instant, timeout},
};

use super::{CLOSING, End, Session, encode, has_close, last_frame, with_buffer};
use crate::connection::{Close, DirectEvent, Half, Sink};
use crate::transport::websocket::codec::frame_in_place;

/// Runs the connection to its end. `read` holds the bytes already received.
///
/// An open connection stores its state once: the session is not moved from future to future.
pub(super) fn run(
    stream: TcpStream,
    read: Bytes,
    mut session: Session,
) -> impl Future<Output = ()> + Send {
    // A small frame must not wait until the client has acknowledged the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %shown(&error), "TCP_NODELAY cannot be set");
    }
    let (mut reader, writer) = stream.into_split();
    let writer = Sink::Tcp(Half::new(writer));
    async move {
        let connection = &session.intake.connection;
        connection.write_directly(writer, encode, frame_in_place);
        session.decode(&mut read.to_vec());
        // Even an empty one holds on to the buffer that HTTP was read into.
        drop(read);
        let end = poll_fn(|cx| poll(&mut reader, &mut session, cx)).await;
        // Waiting frames go out before the close, as far as the client takes them.
        let whole = session.intake.connection.flush();
        // The channels end now, not after the closing handshake.
        session.end(&end);
        if let Some(frame) = last_frame(&end).filter(|_| whole) {
            // Boxed, so that this future does not enlarge an open connection.
            let goodbye = Box::pin(say_goodbye(reader.as_ref(), &frame, &end));
            let _late = Box::pin(timeout(CLOSING, goodbye)).await;
        }
    }
}

/// Reads, and hands over messages, until the connection ends.
///
/// It is usually woken by incoming data, so it reads first, and checks the rest once.
fn poll(reader: &mut OwnedReadHalf, session: &mut Session, cx: &mut Context<'_>) -> Poll<End> {
    let mut settled = false;
    loop {
        if !session.held_up {
            match poll_read(reader, session, cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(End::Gone),
                Poll::Pending if settled => {
                    return session.idle.poll(cx).map(|()| End::Close(Close::TIMEOUT));
                }
                Poll::Pending => {}
            }
        }
        session.held_up = true;
        if let Some(end) = std::task::ready!(poll_settled(reader.as_ref(), session, cx)) {
            return Poll::Ready(end);
        }
        session.held_up = false;
        settled = true;
    }
}

/// Reads the available data, up to the size of the buffer, and hands it over.
fn poll_read(
    reader: &mut OwnedReadHalf,
    session: &mut Session,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    with_buffer(|buffer| {
        let mut buffer = ReadBuf::new(buffer);
        let read = Pin::new(reader).poll_read(cx, &mut buffer);
        if !buffer.filled().is_empty() {
            session.decode(buffer.filled_mut());
        }
        read.map_ok(|()| buffer.filled().len())
    })
}

/// Ready when no earlier message blocks reading, or with the end of the connection.
fn poll_settled(
    stream: &TcpStream,
    session: &mut Session,
    cx: &mut Context<'_>,
) -> Poll<Option<End>> {
    loop {
        let handed_over = session.poll_hand_over(cx);
        if let Some(pongs) = session.intake.backlog.take_pongs() {
            session.intake.connection.send_wire(pongs.freeze());
        }
        if let Poll::Ready(Some(end)) = handed_over {
            return Poll::Ready(Some(end));
        }
        let end = match session.intake.connection.poll_direct(cx) {
            Poll::Pending => return handed_over,
            Poll::Ready(DirectEvent::Close(close)) => Some(End::Close(close)),
            Poll::Ready(DirectEvent::Broken | DirectEvent::Ended(..)) => Some(End::Gone),
            Poll::Ready(DirectEvent::Blocked) => {
                std::task::ready!(poll_blocked(stream, session, cx))
            }
        };
        if end.is_some() {
            return Poll::Ready(end);
        }
    }
}

/// Ready when the client takes more. Does not read meanwhile, so that a client that floods without
/// reading waits too. Gives up as soon as the connection is to end.
fn poll_blocked(
    stream: &TcpStream,
    session: &mut Session,
    cx: &mut Context<'_>,
) -> Poll<Option<End>> {
    if let Poll::Ready(ready) = stream.poll_write_ready(cx) {
        session.intake.connection.unblock();
        // A client that takes frames is alive, even though nothing is read from it meanwhile.
        session.idle.seen(Instant::now());
        return Poll::Ready(ready.err().map(|_| End::Gone));
    }
    if let Poll::Ready(close) = session.intake.connection.poll_closing(cx) {
        return Poll::Ready(Some(End::Close(close)));
    }
    session
        .idle
        .poll(cx)
        .map(|()| Some(End::Close(Close::TIMEOUT)))
}

/// Writes the last frame and, if it is the server's close, waits for the client's, so that the last
/// frames are not lost with the connection.
async fn say_goodbye(stream: &TcpStream, frame: &[u8], end: &End) {
    let mut left = frame;
    while !left.is_empty() {
        match stream
            .writable()
            .await
            .and_then(|()| stream.try_write(left))
        {
            Ok(written) => left = &left[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
    if matches!(end, End::Closed(_)) {
        return;
    }
    let mut scrap = [0; 1024];
    loop {
        match stream
            .readable()
            .await
            .and_then(|()| stream.try_read(&mut scrap))
        {
            Ok(read @ 1..) if has_close(&mut scrap[..read]) => return,
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}
