//! From a listener to a drained endpoint: an HTTP server that ends as it should.
//!
//! [`Endpoint::serve`](crate::Endpoint::serve) is `axum::serve` with what a server of sockets
//! needs besides: SIGTERM and ctrl-c end it in order, a client may not take for ever to send the
//! head of a request, and the end waits for WebSockets too.
//!
//! ```no_run
//! # use channel_runtime::{Endpoint, serve::listen};
//! # async fn run(endpoint: Endpoint) -> Result<(), Box<dyn std::error::Error>> {
//! let listener = listen(([127, 0, 0, 1], 4000)).await?;
//! let server = endpoint.serve(listener, endpoint.router());
//! println!("listening on http://{}", server.local_addr()?);
//! server.await?;
//! # Ok(())
//! # }
//! ```

mod connection;
mod listen;
mod signal;

use std::{
    fmt,
    future::IntoFuture,
    io,
    panic::resume_unwind,
    time::{Duration, Instant},
};

use axum::{Router, serve::Listener};
use futures_util::future::BoxFuture;
use tokio::task::JoinError;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use self::connection::Connections;
pub use self::{
    listen::{ListenError, listen},
    signal::shutdown_signal,
};
use crate::endpoint::Endpoint;

/// How long a client may take to send the head of a request, unless the server says otherwise.
const HEAD: Duration = Duration::from_secs(15);

/// A server that is about to run: see [`Endpoint::serve`]. It runs when awaited.
#[must_use = "a server does nothing unless awaited"]
pub struct Serve<L> {
    endpoint: Endpoint,
    listener: L,
    app: Router,
    until: BoxFuture<'static, io::Result<()>>,
    head: Duration,
}

impl Endpoint {
    /// Serves an application until the process is asked to stop, by SIGTERM or ctrl-c, or the
    /// endpoint is drained otherwise; and then ends in order: nothing new is accepted, requests
    /// that have begun are answered, all sockets are [drained](Endpoint::drain).
    ///
    /// The signals are heard from this call on, not only once it is awaited. Handlers find the
    /// client's address as `axum::extract::ConnectInfo`, channels in
    /// [`ConnectInfo::peer_addr`](crate::ConnectInfo). HTTP/1.1 is spoken; HTTP/2 is a proxy's.
    ///
    /// Any [`axum::serve::Listener`] will do, such as one that speaks TLS.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn serve<L: Listener>(&self, listener: L, app: Router) -> Serve<L> {
        let signal = shutdown_signal();
        let until = async {
            signal?.await;
            Ok(())
        };
        self.server(listener, app, Box::pin(until))
    }

    /// As [`Endpoint::serve`], until a future of your own is ready; signals do what they did.
    ///
    /// ```no_run
    /// # use channel_runtime::Endpoint;
    /// # async fn run(endpoint: Endpoint, listener: tokio::net::TcpListener) -> std::io::Result<()> {
    /// let one_hour = tokio::time::sleep(std::time::Duration::from_secs(3600));
    /// endpoint.serve_until(listener, endpoint.router(), one_hour).await
    /// # }
    /// ```
    pub fn serve_until<L: Listener>(
        &self,
        listener: L,
        app: Router,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> Serve<L> {
        let until = async {
            until.await;
            Ok(())
        };
        self.server(listener, app, Box::pin(until))
    }

    fn server<L: Listener>(
        &self,
        listener: L,
        app: Router,
        until: BoxFuture<'static, io::Result<()>>,
    ) -> Serve<L> {
        Serve {
            endpoint: self.clone(),
            listener,
            app,
            until,
            head: HEAD,
        }
    }
}

impl<L: Listener> Serve<L> {
    /// How long a client may take to send the head of a request, from its first byte to its
    /// last, and how long it may be connected without a request; 15 seconds unless given. Its
    /// connection is closed then.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head = timeout;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The listener's.
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }

    async fn run(self) -> io::Result<()>
    where
        L::Addr: Clone + Sync + 'static,
    {
        let Serve {
            endpoint,
            mut listener,
            app,
            until,
            head,
        } = self;
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        // Also when this future is dropped.
        let _over = over.clone().drop_guard();
        let tasks = TaskTracker::new();
        let connections = Connections {
            app,
            head,
            stop: stop.clone(),
            over,
        };
        let draining = endpoint.draining();
        let answering = tasks.clone();
        // A task of its own, so that it runs among those it starts and not on another thread.
        let mut accepting = AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let (io, address) = listener.accept().await;
                let answering = answering.token();
                tokio::spawn(connections.clone().serve(io, address, answering));
            }
        }));
        let stopped = tokio::select! {
            stopped = until => stopped,
            () = draining => Ok(()),
            accepted = &mut accepting => match accepted.map_err(JoinError::try_into_panic) {
                Err(Ok(panic)) => resume_unwind(panic),
                Ok(()) | Err(Err(_)) => Ok(()),
            },
        };
        accepting.abort();
        // Nobody connects from here on: the listener is gone with its task.
        let _aborted = accepting.await;
        stop.cancel();
        tasks.close();
        let started = Instant::now();
        let (answered, ()) = tokio::join!(
            tokio::time::timeout(endpoint.drain_deadline(), tasks.wait()),
            endpoint.drain()
        );
        if answered.is_err() {
            tracing::warn!(requests = tasks.len(), "not answered in time");
        }
        tracing::info!(took = ?started.elapsed(), "stopped");
        stopped
    }
}

impl<L: Listener> IntoFuture for Serve<L>
where
    L::Addr: Clone + Sync + 'static,
{
    type Output = io::Result<()>;
    type IntoFuture = BoxFuture<'static, io::Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<L> fmt::Debug for Serve<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
