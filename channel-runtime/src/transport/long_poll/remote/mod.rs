//! Requests of this node's clients for sessions of other nodes, and those of other nodes for
//! sessions here.
//!
//! ```text
//! node of the request                                node of the session
//! Poll, with the client's token            →
//!                                          ←  Alive, where there is nothing yet
//!                                          ←  Messages …, or Done: in vain, or no such session
//! Publish, with the token                  →
//!                                          ←  Alive, where somebody else publishes; Ready
//! Body …                                   →
//!                                          ←  Done: how it went
//! Cancel, once the client is gone          →
//! ```
//!
//! Letters are sealed (see `pubsub::node_message`): only nodes that share a secret key can read and write
//! them, each counts once, and for the one process that it was written to. Another one that has its
//! name, be it beside it or after it, says that it is a stranger.
//!
//! A frame may get lost, with the engine. A request that is not answered at all is made again, ten
//! times in ten seconds, then its node counts as gone. An answer that is lost costs nothing: see
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

/// One socket's polled sessions, those of this node and the way to the others'.
pub(crate) struct RemoteSessions {
    mailbox: String,
    /// The mailboxes belong to it.
    pubsub: Weak<PubSub>,
    sessions: Sessions,
    tokens: Token,
    options: LongPollOptions,
    tasks: TaskTracker,
    draining: CancellationToken,
    half_received: Arc<HalfReceived>,
    /// Requests of this node's clients, by their calls.
    asked: Mutex<HashMap<u64, Asked>>,
    /// Requests of other nodes.
    hosted: Mutex<HashMap<Caller, Hosted>>,
    next_call: AtomicU64,
    /// How many tokens came that no key opens.
    unknown: AtomicU64,
    /// How many requests another node did not answer.
    silent: AtomicU64,
}

impl RemoteSessions {
    /// Hears other nodes from now on. `token` makes tokens of a salt.
    pub(crate) fn open(
        path: &str,
        options: LongPollOptions,
        pubsub: &Arc<PubSub>,
        token: impl Fn(&str) -> Token,
        tasks: TaskTracker,
        draining: CancellationToken,
        half_received: Arc<HalfReceived>,
    ) -> Arc<Self> {
        // A socket's tokens are of a kind of their own, so that none opens a session of another.
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
        let frames = Arc::new(Letters(Arc::downgrade(&remote)));
        pubsub.open_mailbox(&remote.mailbox, seal, frames);
        remote
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(super) fn tokens(&self) -> &Token {
        &self.tokens
    }

    /// The node of a session, where that is another one.
    pub(super) fn host_of<'t>(&self, ticket: &'t Ticket) -> Option<&'t Peer> {
        let pubsub = self.pubsub.upgrade()?;
        let (here, host) = (pubsub.here()?, ticket.host.as_ref()?);
        (host.origin != here.origin).then_some(host)
    }

    /// A client's request finds no session. Where it brings a token that no key opens, nodes may
    /// have other keys.
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

    /// A node did not answer.
    fn is_silent(&self, node: &str) {
        telemetry::silent(node, self.silent.fetch_add(1, Ordering::Relaxed) + 1);
    }

    /// The frame is under way when this returns.
    fn write(
        &self,
        to: &Peer,
        call: u64,
        frame: &RpcFrame,
        body: &[u8],
    ) -> BoxFuture<'static, Result<(), PublishError>> {
        match self.pubsub.upgrade() {
            Some(pubsub) => pubsub.mail(to, &self.mailbox, &encode(call, frame, body)),
            None => Box::pin(std::future::ready(Err(PublishError::Unreachable))),
        }
    }
}

/// The polled sessions of an endpoint's sockets, by the paths of their mounts.
#[derive(Default)]
pub(crate) struct AllRemoteSessions(HashMap<String, Arc<RemoteSessions>>);

impl AllRemoteSessions {
    /// Hears other nodes from now on.
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
    /// How many sessions of long-poll clients there are on this node. Each is a connection too,
    /// until it has ended; then it may wait for its last messages to be fetched.
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

/// No number of an earlier process with this node's name.
fn first_call() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// The mailbox, which does not keep its remote.
struct Letters(Weak<RemoteSessions>);

impl NodeHandler for Letters {
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

/// A node with the right key wrote it, so it is of another version.
fn unreadable(from: &Peer) {
    tracing::warn!(
        node = &*crate::telemetry::line(&from.node),
        "a frame of another node that cannot be read: it runs another version"
    );
}
