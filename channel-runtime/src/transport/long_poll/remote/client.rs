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

/// How long the other node may take to say that a request has come, each of so many times, before
/// it counts as gone. In all that is longer than a node may need to come back to an engine that was
/// away, and than a machine may be too busy to run it: a session is not lost to either.
const REACH: Duration = Duration::from_secs(1);
const ATTEMPTS: u32 = 10;

/// The same where another node has answered that has its name: it has restarted, or there are two.
const WITH_STRANGER: u32 = 2;

/// How long to wait before an engine is tried again that was out of reach.
const AGAIN: Duration = Duration::from_millis(100);

/// How long a poll waits at most while this node goes down.
const DRAINING: Duration = Duration::from_secs(1);

/// How many answers to one request wait to be looked at.
const ANSWERS: usize = 16;

/// Why a client gets nothing.
#[derive(Debug)]
pub(in crate::transport::long_poll) enum RpcError {
    /// The session is gone, or its node is.
    Gone,
    /// The engine between the nodes is out of reach.
    Unreachable,
}

/// A request that waits for the other node.
pub(super) struct Asked {
    node: Peer,
    pieces: Pieces,
    news: mpsc::Sender<RpcEvent>,
}

/// What the other node has said.
#[derive(Debug)]
enum RpcEvent {
    Alive,
    Ready,
    /// A node of the same name.
    Stranger,
    Messages(u32, Vec<u8>),
    Done(u16),
}

impl RemoteSessions {
    /// Polls a session of another node; what comes, and its number. `None` when nothing comes in
    /// time.
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
            // The other node says nothing: the client finds out from a node that stays.
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
        // The other node's answer at the end of the window is on its way for a moment.
        let until = until + (window / 4).min(REACH);
        loop {
            match news {
                Some(RpcEvent::Messages(number, bytes)) => {
                    // What is no JSON is lost, and comes again.
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
        // Nothing of the body is read before it is this client's turn.
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

    /// Another node has said something of a request.
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
                // With a piece missing there is no answer, and the next poll gets it again.
                Ok(None) | Err(_) => return,
            },
        };
        // More than a node says: nobody listens to that.
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

/// One request to another node; dropped before its end, it is taken back.
struct Call {
    remote: Arc<RemoteSessions>,
    node: Peer,
    id: u64,
    news: mpsc::Receiver<RpcEvent>,
    /// How often it was made.
    made: u32,
    is_done: bool,
}

impl Call {
    fn to(remote: &Arc<RemoteSessions>, node: &Peer) -> Self {
        let (id, node) = (remote.next_call(), node.clone());
        let (news, heard) = mpsc::channel(ANSWERS);
        let asked = Asked {
            node: node.clone(),
            // A node's outbox bounds what it sends.
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

    /// Makes the request, until the other node says something.
    async fn begin(
        &mut self,
        until: Instant,
        request: impl Fn() -> Request,
    ) -> Result<RpcEvent, RpcError> {
        let (mut silent, mut attempts) = (0, ATTEMPTS);
        while silent < attempts {
            if self.reach(until, &request).await? {
                // The engine was away: for the other node it may still be.
                silent = 0;
            }
            let heard_until = Instant::now() + REACH;
            while let Some(news) = self.next(heard_until).await {
                match news {
                    // Its process is likely to be the next one after that of the session.
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

    /// Waits for the engine where it is out of reach, and says whether it was. That it has taken
    /// the request says nothing of the other node.
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
        // A request that was made before its time was over is made once more all the same.
        let until = until.max(Instant::now() + REACH);
        let reached = timeout_at(until, reached).await;
        reached.map_err(|_| RpcError::Unreachable)
    }

    async fn next(&mut self, until: Instant) -> Option<RpcEvent> {
        let news = timeout_at(until, self.news.recv()).await.ok()?;
        self.is_done = matches!(news, Some(RpcEvent::Messages(..) | RpcEvent::Done(_)));
        news
    }

    /// Sends a body, one piece after the other.
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
        // Of a request that was made more than once, another copy may still be served.
        if !self.is_done || self.made > 1 {
            let frame = RpcFrame::Request(Request::Cancel);
            // It is under way; without it, the other node finds out in time.
            drop(self.remote.write(&self.node, self.id, &frame, &[]));
        }
    }
}
