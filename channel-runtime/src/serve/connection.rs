//! One HTTP connection, from its accept to its end or its upgrade.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};
use tower_service::Service;

use super::telemetry;
use crate::{
    options::ServeTimes as Times,
    telemetry::shown,
    transport::{Handover, Watch, Watched},
};

/// The time that a connection accepted just before the shutdown may take to send its request, so
/// that clients who connected in time are answered.
const LAST: Duration = Duration::from_millis(500);

/// The state shared by all connections of a server.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) app: Router,
    pub(super) times: Times,
    /// Cancelled when no further requests are accepted.
    pub(super) stop: CancellationToken,
    /// Cancelled when answers end too.
    pub(super) over: CancellationToken,
}

impl Connections {
    /// Answers requests, and then drives the upgraded connection if there is one. `answering` is
    /// held until the upgrade.
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
        // Boxed, so that an upgraded connection does not keep the memory of HTTP.
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
            times,
            stop,
            over,
        } = self;
        let asked = Arc::new(AtomicBool::new(false));
        let seen = asked.clone();
        let watch = Watch::new(times);
        let watched = watch.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            seen.store(true, Ordering::Relaxed);
            let (parts, body) = request.into_parts();
            let (body, answering) = watched.request(body);
            let mut request = Request::from_parts(parts, Body::new(body));
            let extensions = request.extensions_mut();
            extensions.insert(ConnectInfo(address.clone()));
            extensions.insert(upgraded.clone());
            let answer = app.clone().call(request);
            async {
                answer
                    .await
                    .map(|answer| answer.map(|body| answering.with(body)))
            }
        });
        // Not hyper-util's builder for all versions, which waits for the first bytes without a
        // limit. Not hyper's limit for a head, which also runs between requests.
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(Watched::new(io, watch.clone())), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let mut late = pin!(watch.late());
        let stopping = async {
            stop.cancelled().await;
            watch.ending();
            if !asked.load(Ordering::Relaxed) {
                sleep(LAST).await;
            }
        };
        let served = tokio::select! {
            // Data is read first: if the server itself runs late, it finds the data together with
            // the expired deadline.
            biased;
            served = connection.as_mut() => Some(served),
            late = late.as_mut() => {
                telemetry::late(late.name());
                None
            }
            () = stopping => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    served = connection.as_mut() => Some(served),
                    late = late => {
                        telemetry::late(late.name());
                        None
                    }
                    () = over.cancelled() => None,
                }
            }
            () = over.cancelled() => None,
        };
        match served {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::debug!(error = %shown(&error), "an HTTP connection ended badly")
            }
            None => {
                // The connection tries to write once more, and learns that it is over.
                watch.over();
                poll_fn(|cx| {
                    let _broken = connection.as_mut().poll(cx);
                    Poll::Ready(())
                })
                .await;
            }
        }
    }
}
