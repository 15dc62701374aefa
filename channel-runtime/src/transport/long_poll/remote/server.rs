//! Requests of other nodes for sessions here.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    RemoteSessions,
    rpc_frame::{Answer, ChunkError, Pieces, Request, RpcFrame, pieces},
};
use crate::telemetry::{line, shown};
use crate::{
    pubsub::{Peer, PublishError},
    transport::long_poll::{
        answer::{self, status},
        handle::{Answered, Asked, Ended, Handle},
        publish::publish,
        sessions::Ticket,
    },
};

/// The time after which the other node is told that its request has arrived; most are answered by
/// then.
const SOON: Duration = Duration::from_millis(50);

/// The node and the number of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    node: Peer,
    call: u64,
}

/// A request in progress.
#[derive(Default)]
pub(super) struct Hosted {
    cancelled: CancellationToken,
    body: Option<Body>,
}

/// The published body, as it arrives.
struct Body {
    pieces: Pieces,
    whole: oneshot::Sender<Result<Vec<u8>, u16>>,
}

impl RemoteSessions {
    pub(super) fn host(self: &Arc<Self>, from: &Peer, call: u64, request: Request, bytes: &[u8]) {
        let node = from.clone();
        let caller = Caller { node, call };
        match request {
            Request::Poll { token, window_ms } => {
                let window = Duration::from_millis(window_ms).min(self.options.poll_time());
                self.serve(
                    caller,
                    &token,
                    async move |remote, caller, ticket, session| {
                        remote.host_poll(&caller, &ticket, &session, window).await;
                    },
                );
            }
            Request::Publish { token, is_batch } => {
                self.serve(caller, &token, async move |remote, caller, _, session| {
                    remote.host_publish(&caller, &session, is_batch).await;
                });
            }
            Request::Body(piece) => {
                let mut hosted = self.hosted.lock();
                let body = hosted
                    .get_mut(&caller)
                    .and_then(|hosted| hosted.body.take());
                let Some(mut body) = body else { return };
                let whole = match body.pieces.take(piece, bytes) {
                    Ok(None) => {
                        // Put it back for the next piece.
                        if let Some(hosted) = hosted.get_mut(&caller) {
                            hosted.body = Some(body);
                        }
                        return;
                    }
                    Ok(Some(whole)) => Ok(whole),
                    Err(ChunkError::TooLarge) => Err(status::TOO_LARGE),
                    Err(ChunkError::Missing) => Err(status::ERROR),
                };
                let _gone = body.whole.send(whole);
            }
            Request::Cancel => {
                if let Some(hosted) = self.hosted.lock().get(&caller) {
                    hosted.cancelled.cancel();
                }
            }
        }
    }

    /// Serves a request in a task of its own, until it is done or cancelled. A request that arrives
    /// twice is served once.
    fn serve<F>(
        self: &Arc<Self>,
        caller: Caller,
        token: &str,
        work: impl FnOnce(Arc<RemoteSessions>, Caller, Ticket, Handle) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let ticket = self.tokens.decrypt::<Ticket>(token).ok();
        let found = ticket.and_then(|ticket| {
            let session = self.sessions.get(ticket.id)?;
            Some((ticket, session))
        });
        let Some((ticket, session)) = found else {
            return self.tell(&caller, Answer::Done(status::GONE));
        };
        let cancelled = CancellationToken::new();
        {
            let mut hosted = self.hosted.lock();
            if hosted.contains_key(&caller) {
                return;
            }
            let cancelled = cancelled.clone();
            let body = None;
            hosted.insert(caller.clone(), Hosted { cancelled, body });
        }
        let place = Place(self.clone(), caller.clone());
        let work = work(self.clone(), caller, ticket, session);
        self.tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = work => {}
            }
        });
    }

    async fn host_poll(
        &self,
        caller: &Caller,
        ticket: &Ticket,
        session: &Handle,
        window: Duration,
    ) {
        let asked = Asked {
            taken: ticket.taken,
            call: Some(caller.call),
        };
        let draining = self.draining.cancelled();
        let polled = self.promptly(caller, session.poll(asked, window, draining));
        let done = match polled.await {
            Err(Ended) => status::GONE,
            Ok(Answered { frames, .. }) if frames.is_empty() => status::NO_CONTENT,
            Ok(Answered { frames, number }) => {
                let messages = answer::messages(frames);
                let number = number.unwrap_or_default();
                match self.send(caller, number, messages.get().as_bytes()).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(node = &*line(&caller.node.node), error = %shown(&error), "messages for a client of another node are kept");
                        status::ERROR
                    }
                }
            }
        };
        self.tell(caller, Answer::Done(done));
    }

    async fn host_publish(&self, caller: &Caller, session: &Handle, is_batch: bool) {
        let body = async {
            let (whole, body) = oneshot::channel();
            let pieces = Pieces::new(self.options.max_body_bytes);
            if let Some(hosted) = self.hosted.lock().get_mut(caller) {
                hosted.body = Some(Body { pieces, whole });
            }
            self.tell(caller, Answer::Ready);
            body.await.unwrap_or(Err(status::GONE))
        };
        let published = publish(session, &self.options, is_batch, body);
        let published = self.promptly(caller, published).await;
        self.tell(caller, Answer::Done(published.err().unwrap_or(status::OK)));
    }

    /// Awaits the work, and acknowledges the request to the other node if the work takes longer
    /// than `SOON`.
    async fn promptly<T>(&self, caller: &Caller, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Ok(done) = timeout(SOON, &mut work).await {
            return done;
        }
        self.tell(caller, Answer::Alive);
        work.await
    }

    /// Sends the messages of a poll piece by piece.
    async fn send(
        &self,
        caller: &Caller,
        number: u32,
        messages: &[u8],
    ) -> Result<(), PublishError> {
        for (piece, bytes) in pieces(messages) {
            let frame = RpcFrame::Answer(Answer::Messages { number, piece });
            self.write(&caller.node, caller.call, &frame, bytes).await?;
        }
        Ok(())
    }

    /// Sends an answer without waiting for its delivery.
    fn tell(&self, caller: &Caller, answer: Answer) {
        drop(self.write(&caller.node, caller.call, &RpcFrame::Answer(answer), &[]));
    }
}

/// A request's entry among those in progress; removed when dropped.
struct Place(Arc<RemoteSessions>, Caller);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.hosted.lock().remove(&self.1);
    }
}
