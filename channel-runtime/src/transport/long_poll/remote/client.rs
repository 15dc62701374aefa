//! Requests of this node's clients for sessions of other nodes.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use serde_json::value::RawValue;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    RemoteSessions,
    rpc_frame::{Answer, Pieces, Request, RpcFrame, pieces},
};
use crate::{
    pubsub::{Peer, PublishError},
    transport::long_poll::{answer::status, body, telemetry::forwarded},
};

/// The time the other node may take to acknowledge one attempt of a request. After `ATTEMPTS` of
/// them it counts as gone. The total exceeds the time in which a node reconnects to its engine, and
/// in which a busy machine gets to run it, so neither loses a session.
const REACH: Duration = Duration::from_secs(1);
const ATTEMPTS: u32 = 10;

/// The number of attempts once another node of the same name has answered: the node has restarted,
/// or two nodes share the name.
const WITH_STRANGER: u32 = 2;

/// The pause before an unreachable engine is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// The maximum time that a poll waits while this node drains.
const DRAINING: Duration = Duration::from_secs(1);

/// The maximum number of queued events for one request.
const ANSWERS: usize = 16;

/// The reason a client gets no answer.
#[derive(Debug)]
pub(in crate::transport::long_poll) enum RpcError {
    /// The session has ended, or its node is gone.
    Gone,
    /// The engine between the nodes is unreachable.
    Unreachable,
}

/// A request that waits for the other node.
pub(super) struct Asked {
    node: Peer,
    pieces: Pieces,
    news: mpsc::Sender<RpcEvent>,
}

/// An event that the other node has reported.
#[derive(Debug)]
enum RpcEvent {
    Alive,
    Ready,
    /// A node of the same name has answered.
    Stranger,
    Messages(u32, Vec<u8>),
    Done(u16),
}

impl RemoteSessions {
    /// Polls a session of another node; returns the messages and their number, or `None` if no
    /// message arrives in time.
    pub(in crate::transport::long_poll) async fn poll(
        self: &Arc<Self>,
        token: &str,
        host: &Peer,
    ) -> Result<Option<(u32, Box<RawValue>)>, RpcError> {
        let was_draining = self.draining.is_cancelled();
        let window = match was_draining {
            true => self.options.poll_time().min(DRAINING),
            false => self.options.poll_time(),
        };
        let polled = tokio::select! {
            polled = self.poll_for(window, token, host) => polled,
            () = self.draining.cancelled(), if !was_draining => Ok(None),
            // The other node does not answer; the client learns more from a node that stays.
            () = sleep(DRAINING * 2), if was_draining => Ok(None),
        };
        forwarded("poll", outcome(polled.as_ref().err()));
        polled
    }

    async fn poll_for(
        self: &Arc<Self>,
        window: Duration,
        token: &str,
        host: &Peer,
    ) -> Result<Option<(u32, Box<RawValue>)>, RpcError> {
        let until = Instant::now() + window;
        let mut call = Call::to(self, host);
        let request = || Request::Poll {
            token: token.to_owned(),
            window_ms: millis(until - Instant::now()),
        };
        let mut news = Some(call.begin(until, request).await?);
        // Allow a moment for the answer that the other node sends at the end of the window.
        let until = until + (window / 4).min(REACH);
        loop {
            match news {
                Some(RpcEvent::Messages(number, bytes)) => {
                    // Messages that are not JSON are lost, and sent again.
                    let messages = serde_json::from_slice(&bytes).ok();
                    return Ok(messages.map(|messages| (number, messages)));
                }
                Some(RpcEvent::Done(status::GONE)) => return Err(RpcError::Gone),
                Some(RpcEvent::Done(status::NO_CONTENT)) | None => return Ok(None),
                Some(RpcEvent::Done(_)) => return Err(RpcError::Unreachable),
                Some(RpcEvent::Alive | RpcEvent::Ready | RpcEvent::Stranger) => {
                    news = call.next(until).await
                }
            }
        }
    }

    /// Publishes to a session of another node.
    ///
    /// # Errors
    ///
    /// The status of the request.
    pub(in crate::transport::long_poll) async fn publish(
        self: &Arc<Self>,
        token: &str,
        host: &Peer,
        is_batch: bool,
        body: Body,
    ) -> Result<(), u16> {
        let published = self.publish_body(token, host, is_batch, body).await;
        let missed = match published {
            Err(status::GONE) => Some(&RpcError::Gone),
            Err(status::ERROR) => Some(&RpcError::Unreachable),
            _ => None,
        };
        forwarded("publish", outcome(missed));
        published
    }

    async fn publish_body(
        self: &Arc<Self>,
        token: &str,
        host: &Peer,
        is_batch: bool,
        body: Body,
    ) -> Result<(), u16> {
        let options = &self.options;
        body::check_length(&body, options.max_body_bytes)?;
        let until = Instant::now() + options.poll_time();
        let mut call = Call::to(self, host);
        let request = || Request::Publish {
            token: token.to_owned(),
            is_batch,
        };
        let begun = call.begin(until, request).await;
        let mut news = begun.map_err(|missed| match missed {
            RpcError::Gone => status::GONE,
            RpcError::Unreachable => status::ERROR,
        })?;
        // The body is read only when it is this client's turn.
        while !matches!(news, RpcEvent::Ready) {
            if let RpcEvent::Done(status) = news {
                return Err(status);
            }
            news = call.next(until).await.ok_or(status::TIMEOUT)?;
        }
        let read = body::read(body, options.max_body_bytes, &self.half_received);
        let read = timeout(options.body_time(), read).await;
        let bytes = read.map_err(|_| status::TIMEOUT)??;
        call.send(&bytes).await?;
        let until = Instant::now() + options.poll_time();
        loop {
            match call.next(until).await.ok_or(status::TIMEOUT)? {
                RpcEvent::Done(status::OK) => return Ok(()),
                RpcEvent::Done(status) => return Err(status),
                _ => {}
            }
        }
    }

    /// Takes an answer of another node.
    pub(super) fn answered(&self, from: &Peer, call: u64, answer: Answer, body: &[u8]) {
        let mut asked = self.asked.lock();
        let Some(asked) = asked.get_mut(&call) else {
            return;
        };
        let is_stranger = answer == Answer::Stranger;
        if asked.node.node != from.node || is_stranger == (asked.node.origin == from.origin) {
            return;
        }
        let news = match answer {
            Answer::Alive => RpcEvent::Alive,
            Answer::Ready => RpcEvent::Ready,
            Answer::Stranger => RpcEvent::Stranger,
            Answer::Done(status) => RpcEvent::Done(status),
            Answer::Messages { number, piece } => match asked.pieces.take(piece, body) {
                Ok(Some(messages)) => RpcEvent::Messages(number, messages),
                // If a piece is missing there is no answer, and the next poll gets the messages
                // again.
                Ok(None) | Err(_) => return,
            },
        };
        // The queue is full: the rest exceeds what a node sends, so it is dropped.
        let _full = asked.news.try_send(news);
    }
}

fn outcome(missed: Option<&RpcError>) -> &'static str {
    match missed {
        None => "answered",
        Some(RpcError::Gone) => "gone",
        Some(RpcError::Unreachable) => "unreachable",
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One request to another node; cancelled if it is dropped before it is done.
struct Call {
    remote: Arc<RemoteSessions>,
    node: Peer,
    id: u64,
    news: mpsc::Receiver<RpcEvent>,
    /// The number of attempts so far.
    made: u32,
    is_done: bool,
}

impl Call {
    fn to(remote: &Arc<RemoteSessions>, node: &Peer) -> Self {
        let (id, node) = (remote.next_call(), node.clone());
        let (news, heard) = mpsc::channel(ANSWERS);
        let asked = Asked {
            node: node.clone(),
            // The other node's outbox bounds the messages.
            pieces: Pieces::new(usize::MAX),
            news,
        };
        remote.asked.lock().insert(id, asked);
        Call {
            remote: remote.clone(),
            node,
            id,
            news: heard,
            made: 0,
            is_done: false,
        }
    }

    /// Repeats the request until the other node answers.
    async fn begin(
        &mut self,
        until: Instant,
        request: impl Fn() -> Request,
    ) -> Result<RpcEvent, RpcError> {
        let (mut silent, mut attempts) = (0, ATTEMPTS);
        while silent < attempts {
            if self.reach(until, &request).await? {
                // The engine was unreachable; for the other node it may still be.
                silent = 0;
            }
            let heard_until = Instant::now() + REACH;
            while let Some(news) = self.next(heard_until).await {
                match news {
                    // This process has probably replaced the session's.
                    RpcEvent::Stranger => attempts = WITH_STRANGER,
                    news => return Ok(news),
                }
            }
            silent += 1;
        }
        if attempts == ATTEMPTS {
            self.remote.is_silent(&self.node.node);
        }
        Err(RpcError::Gone)
    }

    /// Sends the request, waiting for the engine while it is unreachable; returns true if it was.
    /// That the engine has taken the request says nothing about the other node.
    async fn reach(
        &mut self,
        until: Instant,
        request: impl Fn() -> Request,
    ) -> Result<bool, RpcError> {
        self.made += 1;
        let reached = async {
            let mut was_away = false;
            loop {
                let frame = RpcFrame::Request(request());
                match self.remote.write(&self.node, self.id, &frame, &[]).await {
                    Ok(()) => return was_away,
                    Err(_) => sleep(AGAIN).await,
                }
                was_away = true;
            }
        };
        // Even after the deadline, a repeated request is sent once more.
        let until = until.max(Instant::now() + REACH);
        let reached = timeout_at(until, reached).await;
        reached.map_err(|_| RpcError::Unreachable)
    }

    async fn next(&mut self, until: Instant) -> Option<RpcEvent> {
        let news = timeout_at(until, self.news.recv()).await.ok()?;
        self.is_done = matches!(news, Some(RpcEvent::Messages(..) | RpcEvent::Done(_)));
        news
    }

    /// Sends a body piece by piece.
    async fn send(&self, bytes: &[u8]) -> Result<(), u16> {
        for (piece, bytes) in pieces(bytes) {
            let frame = RpcFrame::Request(Request::Body(piece));
            let sent = self.remote.write(&self.node, self.id, &frame, bytes).await;
            sent.map_err(|error| match error {
                PublishError::TooLarge { .. } => status::TOO_LARGE,
                _ => status::ERROR,
            })?;
        }
        Ok(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.remote.asked.lock().remove(&self.id);
        // If the request was made more than once, another copy may still be served.
        if !self.is_done || self.made > 1 {
            let frame = RpcFrame::Request(Request::Cancel);
            // The cancel is on its way; if it gets lost, the other node times out.
            drop(self.remote.write(&self.node, self.id, &frame, &[]));
        }
    }
}
