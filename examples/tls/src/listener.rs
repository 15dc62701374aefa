//! Connections over TLS.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::serve::Listener;
use channel_runtime::serve::accept;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};

/// A listener of TLS whose streams do the handshake when they are first read: in a task of their
/// own, so that a slow client holds up no other, and within the server's limits of time and number.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, acceptor: TlsAcceptor) -> Self {
        TlsListener { tcp, acceptor }
    }
}

impl Listener for TlsListener {
    type Io = Tls;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Tls, SocketAddr) {
        let (stream, address) = accept(|| self.tcp.accept()).await;
        // A small frame must not wait until the client has acknowledged the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "small frames may wait");
        }
        let accept = Box::new(self.acceptor.accept(stream));
        (Tls::Handshake(accept), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A stream over TLS, from before its handshake.
pub(crate) enum Tls {
    Handshake(Box<Accept<TcpStream>>),
    Stream(Box<TlsStream<TcpStream>>),
}

impl Tls {
    fn poll_stream(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Pin<&mut TlsStream<TcpStream>>>> {
        if let Tls::Handshake(accept) = self {
            let stream = ready!(Pin::new(accept).poll(cx))?;
            *self = Tls::Stream(Box::new(stream));
        }
        match self {
            Tls::Stream(stream) => Poll::Ready(Ok(Pin::new(stream))),
            Tls::Handshake(_) => Poll::Pending,
        }
    }
}

impl AsyncRead for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_stream(cx))?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Tls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_stream(cx))?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            // The server has written nothing of its own yet.
            Tls::Handshake(_) => Poll::Ready(Ok(())),
            Tls::Stream(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            // Dropped as it is: there is no session to end.
            Tls::Handshake(_) => Poll::Ready(Ok(())),
            Tls::Stream(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
