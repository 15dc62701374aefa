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

/// How long a connection that was accepted just before the end may take to send its request:
/// whoever connected in time is answered.
const LAST: Duration = Duration::from_millis(500);

/// What all connections of a server share.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) app: Router,
    pub(super) times: Times,
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
        // Not hyper-util's builder for all versions: it waits for the first bytes without a limit.
        // Without hyper's limit of a head, which runs between requests too.
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
            // What has come is read first: a server that is late finds it together with the end
            // of the time in which it had to come.
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
                // It writes once more, and so hears that it is over.
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
