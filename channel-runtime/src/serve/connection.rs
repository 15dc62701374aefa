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
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};
use tower_service::Service;

use crate::telemetry::shown;
use crate::transport::Handover;

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
    /// Answers requests, and goes on with what one of them has turned the connection into;
    /// `answering` is held until then.
    pub(super) fn serve<I, A>(
        self,
        io: I,
        address: A,
        answering: TaskTrackerToken,
    ) -> impl Future<Output = ()> + Send
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Clone + Send + Sync + 'static,
    {
        let handover = Handover::default();
        // Boxed, so that a connection that is upgraded does not keep what HTTP took.
        let answered = Box::pin(self.answer(io, address, handover.clone()));
        async move {
            answered.await;
            drop(answering);
            let upgraded = handover.take();
            drop(handover);
            if let Some(upgraded) = upgraded {
                upgraded.await;
            }
        }
    }

    async fn answer<I, A>(self, io: I, address: A, upgraded: Handover)
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
            let extensions = request.extensions_mut();
            extensions.insert(ConnectInfo(address.clone()));
            extensions.insert(upgraded.clone());
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
            // What has come is read first: a server that is late finds it together with the end
            // of the time in which it had to come.
            biased;
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
            tracing::debug!(error = %shown(&error), "an HTTP connection ended badly");
        }
    }
}
