use std::time::Duration;

/// A node's connection to the others: see [`Endpoint::health`](crate::Endpoint::health).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// This node's name.
    pub node: String,
    /// The status of the connection to the other nodes.
    pub status: Status,
    /// The time that the last heartbeat took through the engine and back, or the age of the pending
    /// one if that is more: it grows while the engine hangs. `None` before the first heartbeat,
    /// while the engine is unreachable, and without an engine.
    pub lag: Option<Duration>,
    /// The number of topics this node receives.
    pub topics: usize,
    /// The number of messages that wait to be published.
    pub queued: usize,
    /// The number of times the connection was lost.
    pub disconnects: u64,
    /// The number of broadcasts that went to the other nodes.
    pub published: u64,
    /// The number of broadcasts that may not have reached the other nodes, each an error to its
    /// caller, plus those of other nodes that this one was too slow to take, if the engine's client
    /// reports them.
    pub lost: u64,
    /// The number of broadcasts that came from the other nodes.
    pub received: u64,
    /// The number of received messages that are not of this framework, or that are node messages
    /// this node cannot open: see [`EnvelopeError`](super::EnvelopeError).
    pub garbage: u64,
    /// The time since another node of this node's name was last seen; `None` if there was none
    /// within a minute. Two nodes of one name receive each other's
    /// [`direct_broadcast`](crate::Endpoint::direct_broadcast)s; nothing else goes wrong.
    pub namesake: Option<Duration>,
}

/// The status of the connection to the other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// There are no other nodes: PubSub is local to this process.
    Embedded,
    /// The engine answers.
    Up,
    /// The engine is unreachable. This node serves its own clients and keeps trying to reconnect.
    Down {
        /// The time since the connection was lost.
        since: Duration,
        /// The last error.
        error: String,
    },
}

impl Health {
    fn new(node: impl Into<String>, status: Status) -> Self {
        Health {
            node: node.into(),
            status,
            lag: None,
            topics: 0,
            queued: 0,
            disconnects: 0,
            published: 0,
            lost: 0,
            received: 0,
            garbage: 0,
            namesake: None,
        }
    }

    pub(super) fn embedded() -> Self {
        Health::new("", Status::Embedded)
    }

    /// Creates the health of a node that reaches the others, for an [`Adapter`](super::Adapter) to
    /// fill in. The endpoint adds the counts of broadcasts and topics.
    pub fn up(node: impl Into<String>) -> Self {
        Health::new(node, Status::Up)
    }

    /// Creates the health of a node that does not reach the others, with the duration and the
    /// reason.
    pub fn down(node: impl Into<String>, since: Duration, error: impl Into<String>) -> Self {
        let error = error.into();
        Health::new(node, Status::Down { since, error })
    }

    /// Returns true unless this node is cut off from the others.
    pub fn is_up(&self) -> bool {
        !matches!(self.status, Status::Down { .. })
    }
}
