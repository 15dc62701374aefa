//! One HTTP connection, from its accept to its end or its upgrade.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// How long a connection that was accepted just before the end may take to send its request:
/// whoever connected in time is answered.
const LAST: Duration = Duration::from_millis(500);

/// What all connections of a server share.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) app: Router,
    pub(super) head: Duration,
    /// No further requests.
    pub(super) stop: CancellationToken,
    /// Not even answers.
    pub(super) over: CancellationToken,
}

impl Connections {
    pub(super) async fn serve<I, A>(self, io: I, address: A)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Clone + Send + Sync + 'static,
    {
        let Connections {
            app,
            head,
            stop,
            over,
        } = self;
        let asked = Arc::new(AtomicBool::new(false));
        let seen = asked.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            seen.store(true, Ordering::Relaxed);
            request
                .extensions_mut()
                .insert(ConnectInfo(address.clone()));
            app.clone().call(request)
        });
        // Not hyper-util's builder for all versions: it waits for the first bytes without a limit.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head)
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let stopping = async {
            stop.cancelled().await;
            if !asked.load(Ordering::Relaxed) {
                sleep(LAST).await;
            }
        };
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = stopping => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = connection => served,
                    () = over.cancelled() => Ok(()),
                }
            }
            () = over.cancelled() => Ok(()),
        };
        if let Err(error) = served {
            tracing::debug!(%error, "an HTTP connection ended badly");
        }
    }
}
