//! Over a TCP connection: whoever sends writes. This task reads, and sees to what is left.

use std::{
    future::poll_fn,
    io::{self, ErrorKind, IoSlice},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{net::TcpStream, time::timeout};

use super::{BUFFER, CLOSING, End, Session, TIMEOUT, encode, has_close, last_frame};
use crate::socket::{DirectEvent, TryWrite};

impl TryWrite for TcpStream {
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [slice] => TcpStream::try_write(self, slice),
            slices => self.try_write_vectored(slices),
        }
    }
}

/// `read` is what has come from the client already.
pub(super) async fn run(stream: TcpStream, read: Bytes, mut session: Session) {
    // A small frame must not wait until the client has acknowledged the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let stream = Arc::new(stream);
    session.connection.write_directly(stream.clone(), encode);
    session.decode(&mut read.to_vec());
    // Even when empty, it holds on to the buffer that HTTP was read into.
    drop(read);
    let end = serve(&stream, &mut session).await;
    // What waits goes out before the close, as far as the client takes it.
    let whole = session.connection.flush();
    // The channels end now, not after the closing handshake.
    drop(session);
    if let Some(frame) = last_frame(&end).filter(|_| whole) {
        // Boxed, so that an open connection is no larger for its end.
        let _late = Box::pin(timeout(CLOSING, say_goodbye(&stream, &frame, &end))).await;
    }
}

/// What wakes the task.
enum Woken {
    /// Messages have been read.
    Read,
    Direct(DirectEvent),
    Gone,
    Idle,
}

async fn serve(stream: &TcpStream, session: &mut Session) -> End {
    loop {
        let end = session.hand_over().await;
        let pongs = std::mem::take(&mut session.pongs);
        if !pongs.is_empty() {
            session.connection.send_wire(pongs.freeze());
        }
        if let Some(end) = end {
            return end;
        }
        match poll_fn(|cx| poll(stream, session, cx)).await {
            Woken::Read => {}
            Woken::Direct(DirectEvent::Close(close)) => return End::Close(close),
            Woken::Direct(DirectEvent::Blocked) => {
                match Box::pin(writable(stream, session)).await {
                    Some(end) => return end,
                    None => session.connection.unblock(),
                }
            }
            Woken::Direct(DirectEvent::Broken | DirectEvent::Ended(..)) | Woken::Gone => {
                return End::Gone;
            }
            Woken::Idle => return End::Close(TIMEOUT),
        }
    }
}

fn poll(stream: &TcpStream, session: &mut Session, cx: &mut Context<'_>) -> Poll<Woken> {
    if let Poll::Ready(event) = session.connection.poll_direct(cx) {
        return Poll::Ready(Woken::Direct(event));
    }
    while let Poll::Ready(ready) = stream.poll_read_ready(cx) {
        let read = BUFFER.with_borrow_mut(|buffer| {
            let read = ready.and_then(|()| stream.try_read(buffer))?;
            session.decode(&mut buffer[..read]);
            Ok::<_, io::Error>(read)
        });
        match read {
            Ok(1..) => return Poll::Ready(Woken::Read),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return Poll::Ready(Woken::Gone),
        }
    }
    session.idle.poll(cx).map(|()| Woken::Idle)
}

/// Waits until the client takes more, and reads nothing meanwhile: who floods and does not read
/// waits too. Gives up as soon as the connection is to end.
async fn writable(stream: &TcpStream, session: &mut Session) -> Option<End> {
    let closing = session.connection.closing();
    tokio::select! {
        ready = stream.writable() => ready.err().map(|_| End::Gone),
        close = closing => Some(End::Close(close)),
        () = poll_fn(|cx| session.idle.poll(cx)) => Some(End::Close(TIMEOUT)),
    }
}

/// Writes the last frame and, where it is the server's close, waits for the client's, so that
/// the last frames are not lost with the connection.
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
