//! An HTTP server that drains the endpoint when it shuts down.
//!
//! [`Endpoint::serve`](crate::Endpoint::serve) is `axum::serve` plus the needs of a server of
//! sockets: SIGTERM and ctrl-c shut it down in order, clients have time limits and their number is
//! bounded by the process's files ([`ServeOptions`]), and the shutdown also waits for WebSockets.
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

mod accept;
mod connection;
mod listen;
mod signal;
mod telemetry;

use std::{
    fmt,
    future::IntoFuture,
    io,
    panic::resume_unwind,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{Router, serve::Listener};
use futures_util::future::{BoxFuture, pending};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    task::JoinError,
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

pub use self::{
    accept::accept,
    listen::{ListenError, listen},
    signal::shutdown_signal,
};
use self::{connection::Connections, signal::Signals};
use crate::{
    endpoint::Endpoint,
    options::{MAX_TIMEOUT, ServeOptions},
};

/// The limits of all servers of an endpoint.
#[derive(Default)]
pub(crate) struct ServeLimits {
    options: ServeOptions,
    /// The permits for connections of all servers; set by the first of them.
    places: OnceLock<Arc<Semaphore>>,
}

impl ServeLimits {
    pub(crate) fn new(options: ServeOptions) -> Self {
        ServeLimits {
            options,
            places: OnceLock::new(),
        }
    }

    /// Creates the permits. Files that channels may keep open are not available to connections.
    fn places(&self, endpoint: &Endpoint) -> Arc<Semaphore> {
        let places = || {
            let mounts = endpoint.mounts();
            let kept = mounts.iter().map(|(_, mount)| mount.open_files(endpoint));
            let kept = kept.max().unwrap_or(0);
            Arc::new(Semaphore::new(self.options.places(kept)))
        };
        self.places.get_or_init(places).clone()
    }
}

/// A configured server: see [`Endpoint::serve`]. It runs when awaited.
#[must_use = "a server does nothing unless awaited"]
pub struct Serve<L> {
    endpoint: Endpoint,
    listener: L,
    app: Router,
    until: Until,
    /// The head timeout of this server, instead of the endpoint's.
    head: Option<Duration>,
}

/// A future that resolves at the shutdown, to one that resolves when it must be immediate.
type Until = BoxFuture<'static, io::Result<BoxFuture<'static, ()>>>;

/// A permit for one connection.
struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        telemetry::opened();
        Place { _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        telemetry::closed();
    }
}

impl Endpoint {
    /// Serves an application until SIGTERM or ctrl-c asks the process to stop, or until the
    /// endpoint is drained in another way. It then shuts down in order: it accepts nothing new,
    /// answers requests that have begun, and [drains](Endpoint::drain) all sockets.
    ///
    /// Signals are handled from this call on, not only once it is awaited. Handlers find the
    /// client's address as `axum::extract::ConnectInfo`, channels in
    /// [`ConnectInfo::peer_addr`](crate::ConnectInfo). The server speaks HTTP/1.1; leave HTTP/2 to
    /// a proxy.
    ///
    /// Any [`axum::serve::Listener`] works, such as one that speaks TLS. Do handshakes in its
    /// streams, as `examples/tls` does, and not in its `accept`, so that they are counted and time
    /// out.
    ///
    /// During the shutdown, clients that delay it have a quarter of the drain's
    /// [deadline](crate::DrainOptions::deadline) to send the rest of a head or a body, and to take
    /// more of an answer. A second signal ends the process at once, without destructors, with the
    /// status that a shell reports for it: 143 for SIGTERM, 130 for ctrl-c.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn serve<L: Listener>(&self, listener: L, app: Router) -> Serve<L> {
        let signals = Signals::listen();
        let until = async {
            let mut signals = signals?;
            signals.next().await;
            let again: BoxFuture<'static, ()> = Box::pin(async move {
                let status = signals.next().await;
                tracing::warn!(status, "asked to stop a second time: the process ends");
                std::process::exit(status);
            });
            Ok(again)
        };
        self.server(listener, app, Box::pin(until))
    }

    /// As [`Endpoint::serve`], until a custom future is ready; signals keep their own effect.
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
            let never: BoxFuture<'static, ()> = Box::pin(pending());
            Ok(never)
        };
        self.server(listener, app, Box::pin(until))
    }

    fn server<L: Listener>(&self, listener: L, app: Router, until: Until) -> Serve<L> {
        Serve {
            endpoint: self.clone(),
            listener,
            app,
            until,
            head: None,
        }
    }
}

impl<L: Listener> Serve<L> {
    /// As [`ServeOptions::head_timeout`], for this server only.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head = Some(timeout.min(MAX_TIMEOUT));
        self
    }

    /// Returns the address it listens on.
    ///
    /// # Errors
    ///
    /// The listener's error.
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
            mut until,
            head,
        } = self;
        let limits = endpoint.extension::<ServeLimits>();
        let mut times = limits.options.times(endpoint.drain_deadline() / 4);
        times.head = head.unwrap_or(times.head);
        let places = limits.places(&endpoint);
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        // Also cancelled when this future is dropped.
        let _over = over.clone().drop_guard();
        let tasks = TaskTracker::new();
        let connections = Connections {
            app,
            times,
            stop: stop.clone(),
            over,
        };
        let draining = endpoint.draining();
        let answering = tasks.clone();
        // A separate task, so that it runs among those it spawns and not on another thread.
        let mut accepting = AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let permit = match places.clone().try_acquire_owned() {
                    Err(TryAcquireError::NoPermits) => {
                        telemetry::full();
                        places.clone().acquire_owned().await
                    }
                    Ok(permit) => Ok(permit),
                    Err(TryAcquireError::Closed) => return,
                };
                let Ok(permit) = permit else { return };
                let (io, address) = accept::next(&mut listener).await;
                let place = Place::new(permit);
                let served = connections.clone().serve(io, address, answering.token());
                tokio::spawn(async move {
                    served.await;
                    drop(place);
                });
            }
        }));
        let stopped = tokio::select! {
            stopped = &mut until => Some(stopped),
            () = draining => None,
            accepted = &mut accepting => match accepted.map_err(JoinError::try_into_panic) {
                Err(Ok(panic)) => resume_unwind(panic),
                Ok(()) | Err(Err(_)) => None,
            },
        };
        let (again, stopped): (Option<Until>, _) = match stopped {
            Some(Ok(again)) => (Some(Box::pin(async { Ok(again) })), Ok(())),
            Some(Err(error)) => (None, Err(error)),
            // It shuts down for another reason: a signal that comes now is the first.
            None => (Some(until), Ok(())),
        };
        let _again = again.map(|again| {
            AbortOnDropHandle::new(tokio::spawn(async {
                if let Ok(again) = again.await {
                    again.await;
                }
            }))
        });
        accepting.abort();
        // No client connects from here on: the listener is gone with its task.
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
