//! Server-sent events: a live request that stays open.

use super::params::Request;
use super::respond::{self, Cache, Reply, up_to_date};
use crate::engine::{Engine, Shape, Stage, Waiting};
use crate::offset::Offset;
use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

struct Events {
    _waiting: Waiting,
    engine: Arc<Engine>,
    shape: Arc<Shape>,
    stage: watch::Receiver<Stage>,
    after: Offset,
    end: Instant,
    keep_alive: Instant,
}

/// Streams the messages behind the offset, then each change. It closes after a minute, so that
/// caches may collapse requests, and when the shape ends: the answer to the client's next request
/// names the new handle.
pub(super) fn stream(
    engine: &Arc<Engine>,
    shape: &Arc<Shape>,
    request: &Request,
    after: Offset,
) -> Response<Body> {
    let config = &engine.config;
    let end = shape.end();
    let reply = Reply {
        config,
        shape,
        request,
        end,
        lsn: Some(engine.lsn()),
        cache: Cache::Sse,
    };
    let headers = reply.headers(true);
    let now = Instant::now();
    let mut receiver = shape.watch();
    receiver.mark_unchanged();
    let events = Events {
        _waiting: Waiting::new(engine),
        engine: engine.clone(),
        shape: shape.clone(),
        stage: receiver,
        after,
        end: now + config.sse_timeout,
        keep_alive: now + config.sse_keep_alive,
    };
    let body = stream::unfold(events, |mut events| async {
        let bytes = events.next().await?;
        Some((Ok::<_, Infallible>(bytes), events))
    });
    respond::stream(headers, Body::from_stream(body))
}

impl Events {
    /// The next events; a reader that is slow gets them when it asks, from the log.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !matches!(*self.stage.borrow_and_update(), Stage::Live(_)) {
                return None;
            }
            let lsn = self.engine.lsn();
            if let Some(bytes) = self.events(lsn) {
                self.keep_alive = Instant::now() + self.engine.config.sse_keep_alive;
                return Some(bytes);
            }
            let until = self.end.min(self.keep_alive);
            match timeout_at(until, self.stage.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) if Instant::now() >= self.end => {
                    sleep_until(self.end).await;
                    return None;
                }
                Err(_) => {
                    self.keep_alive = Instant::now() + self.engine.config.sse_keep_alive;
                    return Some(Bytes::from_static(b": keep-alive\n\n"));
                }
            }
        }
    }

    fn events(&mut self, lsn: u64) -> Option<Bytes> {
        let messages = self.shape.messages(self.after);
        let (end, _) = messages.last()?;
        let end = *end;
        let mut text = Vec::new();
        for (_, message) in &messages {
            event(&mut text, message);
        }
        self.after = end;
        if end == self.shape.end() {
            event(&mut text, up_to_date(lsn.max(end.tx)).as_bytes());
        }
        Some(text.into())
    }
}

fn event(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json);
    out.extend_from_slice(b"\n\n");
}
