//! Requests of this node's clients for sessions of other nodes, and those of other nodes for
//! sessions here.
//!
//! ```text
//! node of the request                                node of the session
//! Poll, with the client's token            →
//!                                          ←  Alive, if there is no message yet
//!                                          ←  Messages …, or Done: timed out, or no such session
//! Publish, with the token                  →
//!                                          ←  Alive, if another request publishes; Ready
//! Body …                                   →
//!                                          ←  Done: the status
//! Cancel, once the client is gone          →
//! ```
//!
//! RPC frames are sealed node messages (see `pubsub::node_message`). Only nodes that share a secret
//! key can read and write them, each counts once, and each is addressed to one process. Another
//! process of the same name, running beside it or started later, answers as a stranger.
//!
//! A frame may get lost with the engine. A request without any answer is repeated, ten times in ten
//! seconds; then its node counts as gone. A lost answer costs nothing: see
//! [`Backlog`](super::backlog::Backlog).

mod client;
mod rpc_frame;
mod server;

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) use self::client::RpcError;
use self::{
    client::Asked,
    rpc_frame::{Answer, Request, RpcFrame, decode, encode},
    server::{Caller, Hosted},
};
use super::{Sessions, sessions::Ticket};
use crate::{
    connection::{Connections, HalfReceived},
    endpoint::Endpoint,
    options::LongPollOptions,
    pubsub::{BoxFuture, NodeHandler, Peer, PubSub, PublishError},
    socket::Mounts,
    token::{Secrets, Token, TokenError},
    transport::long_poll::telemetry,
};

/// The long-poll sessions of one socket: those of this node, and access to those of other nodes.
pub(crate) struct RemoteSessions {
    mailbox: String,
    /// The PubSub that owns the mailboxes.
    pubsub: Weak<PubSub>,
    sessions: Sessions,
    tokens: Token,
    options: LongPollOptions,
    tasks: TaskTracker,
    draining: CancellationToken,
    half_received: Arc<HalfReceived>,
    /// Requests of this node's clients, by call number.
    asked: Mutex<HashMap<u64, Asked>>,
    /// Requests of other nodes.
    hosted: Mutex<HashMap<Caller, Hosted>>,
    next_call: AtomicU64,
    /// The number of tokens received that no key opens.
    unknown: AtomicU64,
    /// The number of requests that another node did not answer.
    silent: AtomicU64,
}

impl RemoteSessions {
    /// Starts receiving RPC frames of other nodes. `token` creates tokens from a salt.
    pub(crate) fn open(
        path: &str,
        options: LongPollOptions,
        pubsub: &Arc<PubSub>,
        token: impl Fn(&str) -> Token,
        tasks: TaskTracker,
        draining: CancellationToken,
        half_received: Arc<HalfReceived>,
    ) -> Arc<Self> {
        // Each socket has its own kind of token, so that none opens a session of another socket.
        let name = format!("channel long-poll {path}");
        let remote = Arc::new(RemoteSessions {
            tokens: token(&name).max_age(options.token_age()),
            pubsub: Arc::downgrade(pubsub),
            sessions: Sessions::default(),
            options,
            tasks,
            draining,
            half_received,
            asked: Mutex::default(),
            hosted: Mutex::default(),
            next_call: AtomicU64::new(first_call()),
            unknown: AtomicU64::new(0),
            silent: AtomicU64::new(0),
            mailbox: name,
        });
        let seal = token(&format!("channel mail {path}"));
        let frames = Arc::new(FrameHandler(Arc::downgrade(&remote)));
        pubsub.open_mailbox(&remote.mailbox, seal, frames);
        remote
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(super) fn tokens(&self) -> &Token {
        &self.tokens
    }

    /// Returns the node of a session if it is another one.
    pub(super) fn host_of<'t>(&self, ticket: &'t Ticket) -> Option<&'t Peer> {
        let pubsub = self.pubsub.upgrade()?;
        let (here, host) = (pubsub.here()?, ticket.host.as_ref()?);
        (host.origin != here.origin).then_some(host)
    }

    /// Records a request that finds no session. A token that no key opens suggests that the nodes
    /// have different keys.
    pub(super) fn unknown<'t>(&self, mut tokens: impl Iterator<Item = &'t str>) {
        let has_others = self
            .pubsub
            .upgrade()
            .is_some_and(|pubsub| pubsub.here().is_some());
        let is_unknown = |token| {
            let ticket = self.tokens.decrypt::<Ticket>(token);
            ticket.is_err_and(|error| error == TokenError::Invalid)
        };
        if has_others && tokens.any(is_unknown) {
            telemetry::unknown_token(self.unknown.fetch_add(1, Ordering::Relaxed) + 1);
        }
    }

    /// Records that a node did not answer.
    fn is_silent(&self, node: &str) {
        telemetry::silent(node, self.silent.fetch_add(1, Ordering::Relaxed) + 1);
    }

    /// Sends a frame. It is on its way when this returns.
    fn write(
        &self,
        to: &Peer,
        call: u64,
        frame: &RpcFrame,
        body: &[u8],
    ) -> BoxFuture<'static, Result<(), PublishError>> {
        match self.pubsub.upgrade() {
            Some(pubsub) => pubsub.send_to(to, &self.mailbox, &encode(call, frame, body)),
            None => Box::pin(std::future::ready(Err(PublishError::Unreachable))),
        }
    }
}

/// The long-poll sessions of an endpoint's sockets, by mount path.
#[derive(Default)]
pub(crate) struct AllRemoteSessions(HashMap<String, Arc<RemoteSessions>>);

impl AllRemoteSessions {
    /// Starts receiving RPC frames of other nodes.
    pub(crate) fn open(
        mounts: &Mounts,
        pubsub: &Arc<PubSub>,
        secrets: &Secrets,
        tasks: &TaskTracker,
        draining: &CancellationToken,
        connections: &Connections,
    ) -> Self {
        let polled = mounts.iter().filter_map(|(path, mount)| {
            let options = mount.options().long_poll.clone()?;
            let token = |salt: &str| Token::of(secrets, salt);
            let (tasks, draining) = (tasks.clone(), draining.clone());
            let half_received = connections.half_received().clone();
            let remote =
                RemoteSessions::open(path, options, pubsub, token, tasks, draining, half_received);
            Some((path.clone(), remote))
        });
        AllRemoteSessions(polled.collect())
    }
}

impl Endpoint {
    /// Returns the number of long-poll sessions on this node. Each is also a connection until it
    /// has ended; then it may wait for its last messages to be fetched.
    pub fn long_poll_session_count(&self) -> usize {
        self.extension::<AllRemoteSessions>()
            .0
            .values()
            .map(|remote| remote.sessions().count())
            .sum()
    }

    pub(crate) fn long_poll(&self, path: &str) -> Option<Arc<RemoteSessions>> {
        self.extension::<AllRemoteSessions>().0.get(path).cloned()
    }
}

/// Returns a number that no earlier process with this node's name has begun with.
fn first_call() -> u64 {
    fastrand::u64(..)
}

/// The mailbox for RPC frames, which does not keep its sessions alive.
struct FrameHandler(Weak<RemoteSessions>);

impl NodeHandler for FrameHandler {
    fn receive(&self, from: &Peer, frame: Bytes) {
        let Some(remote) = self.0.upgrade() else {
            return;
        };
        match decode(&frame) {
            Some((call, RpcFrame::Request(request), body)) => {
                remote.host(from, call, request, &body)
            }
            Some((call, RpcFrame::Answer(answer), body)) => {
                remote.answered(from, call, answer, &body)
            }
            None => unreadable(from),
        }
    }

    fn misdirected(&self, from: &Peer, frame: Bytes) {
        let Some(remote) = self.0.upgrade() else {
            return;
        };
        match decode(&frame) {
            Some((call, RpcFrame::Request(Request::Poll { .. } | Request::Publish { .. }), _)) => {
                let frame = RpcFrame::Answer(Answer::Stranger);
                drop(remote.write(from, call, &frame, &[]));
            }
            Some(_) => {}
            None => unreadable(from),
        }
    }
}

impl RemoteSessions {
    fn next_call(&self) -> u64 {
        self.next_call.fetch_add(1, Ordering::Relaxed)
    }
}

/// Records an unreadable frame. A node with the right key sent it, so it runs another version.
fn unreadable(from: &Peer) {
    tracing::warn!(
        node = &*crate::telemetry::line(&from.node),
        "a frame of another node that cannot be read: it runs another version"
    );
}
