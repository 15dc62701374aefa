//! Drives any stream other than plain TCP, such as TLS: this task reads and writes.

use crate::telemetry::shown;
use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use futures_util::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    time::timeout,
};

use super::{CLOSING, End, Session, encode, has_close, last_frame};
use crate::{
    connection::{Close, Event},
    protocol::Frame,
};

/// The maximum number of bytes gathered for one write, unless a single frame is larger.
const WRITE: usize = 16 * 1024;

/// The size of a connection's read buffer, in bytes.
const READ: usize = 4096;

pub(super) async fn run<I: AsyncRead + AsyncWrite>(io: I, mut session: Session) {
    let io = pin!(io);
    let (mut reader, mut writer) = tokio::io::split(io);
    let end = serve(&mut reader, &mut writer, &mut session).await;
    // The channels end now, not after the closing handshake.
    session.end(&end);
    let goodbye = async {
        if let Some(frame) = last_frame(&end) {
            writer.write_all(&frame).await?;
            writer.flush().await?;
        }
        let mut scrap = [0; 1024];
        if matches!(end, End::Close(_)) {
            while let Ok(read @ 1..) = reader.read(&mut scrap).await
                && !has_close(&mut scrap[..read])
            {}
        }
        // Over TLS, an unannounced end looks like an attack.
        writer.shutdown().await
    };
    if let Ok(Err(error)) = timeout(CLOSING, goodbye).await {
        tracing::debug!(error = %shown(&error), "a client was gone before the end");
    }
}

async fn serve<I: AsyncRead + AsyncWrite>(
    reader: &mut ReadHalf<I>,
    writer: &mut WriteHalf<I>,
    session: &mut Session,
) -> End {
    let mut buffer = vec![0; READ];
    loop {
        let is_held_up = session.held_up;
        let next = tokio::select! {
            next = poll_fn(|cx| poll_next(session, cx)) => next,
            read = reader.read(&mut buffer), if !is_held_up => Next::Read(read.unwrap_or(0)),
        };
        match next {
            Next::HandedOver(end) => {
                if let Some(pongs) = session.intake.backlog.take_pongs()
                    && let Some(end) = write(writer, session, pongs).await
                {
                    return end;
                }
                if let Some(end) = end {
                    return end;
                }
                session.held_up = false;
            }
            Next::Event(Event::Close(close)) => return End::Close(close),
            Next::Event(Event::Frame(frame)) => {
                let batch = gather(session, &frame);
                if let Some(end) = write(writer, session, batch).await {
                    return end;
                }
            }
            Next::Read(0) => return End::Gone,
            Next::Read(read) => {
                session.decode(&mut buffer[..read]);
                session.held_up = true;
            }
            // If the server itself ran late, the timeout and the client's data are found together.
            Next::Idle => match reader.read(&mut buffer).now_or_never() {
                Some(Ok(read @ 1..)) => {
                    session.decode(&mut buffer[..read]);
                    session.held_up = true;
                }
                _ => return End::Close(Close::TIMEOUT),
            },
        }
    }
}

/// The next event.
enum Next {
    /// No earlier message waits any more.
    HandedOver(Option<End>),
    Event(Event),
    Read(usize),
    /// The client has been silent for too long.
    Idle,
}

/// Returns the next event besides reading. Messages that cannot be handed over yet do not delay
/// writes.
fn poll_next(session: &mut Session, cx: &mut Context<'_>) -> Poll<Next> {
    if session.held_up
        && let Poll::Ready(end) = session.poll_hand_over(cx)
    {
        return Poll::Ready(Next::HandedOver(end));
    }
    if let Poll::Ready(event) = session.intake.connection.poll_next(cx) {
        return Poll::Ready(Next::Event(event));
    }
    match session.held_up {
        true => Poll::Pending,
        false => session.idle.poll(cx).map(|()| Next::Idle),
    }
}

/// Collects a frame and those that wait behind it.
fn gather(session: &mut Session, first: &Frame) -> BytesMut {
    let mut batch = BytesMut::from(encode(first));
    while batch.len() < WRITE
        && let Some(frame) = session.intake.connection.try_next()
    {
        batch.extend_from_slice(&encode(&frame));
    }
    batch
}

/// Writes, but gives up as soon as the connection is to end: a client that does not read must not
/// delay it.
async fn write<I: AsyncRead + AsyncWrite>(
    writer: &mut WriteHalf<I>,
    session: &mut Session,
    bytes: BytesMut,
) -> Option<End> {
    let closing = session.intake.connection.closing();
    let written = async {
        writer.write_all(&bytes).await?;
        writer.flush().await
    };
    tokio::select! {
        biased;
        written = written => written.err().map(|_| End::Gone),
        // A close cannot follow a half-written frame.
        _ = closing => Some(End::Gone),
        () = poll_fn(|cx| session.idle.poll(cx)) => Some(End::Gone),
    }
}
