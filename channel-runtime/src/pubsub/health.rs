use std::time::Duration;

/// How a node is connected to the others: see [`Endpoint::health`](crate::Endpoint::health).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// This node's name.
    pub node: String,
    /// Whether the other nodes can be reached.
    pub status: Status,
    /// How long the last message to oneself took through the engine and back, or for how long the
    /// next one has been on its way if that is more already: it grows while the engine hangs.
    /// `None` before the first, while the engine is out of reach, and where there is none.
    pub lag: Option<Duration>,
    /// How many topics this node receives.
    pub topics: usize,
    /// How many messages wait to be published.
    pub queued: usize,
    /// How often the connection was lost.
    pub disconnects: u64,
    /// Broadcasts that went to the other nodes.
    pub published: u64,
    /// Broadcasts that may not have reached the other nodes, each an error to its caller, and
    /// those of other nodes that this one was too slow to take, where the engine's client says so.
    pub lost: u64,
    /// Broadcasts that came from the other nodes.
    pub received: u64,
    /// What came and was no message of this framework, or a letter of a node that this one cannot
    /// open: see [`EnvelopeError`](super::EnvelopeError).
    pub garbage: u64,
    /// How long ago another node was heard that has this one's name; `None` when there was none
    /// within a minute. Two nodes of one name get each other's
    /// [`direct_broadcast`](crate::Endpoint::direct_broadcast)s, and nothing else goes wrong.
    pub namesake: Option<Duration>,
}

/// Whether the other nodes can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// There are no other nodes: the PubSub of this process is all there is.
    Embedded,
    /// The engine answers.
    Up,
    /// The engine is out of reach. This node serves its own clients and goes on trying.
    Down {
        /// For how long.
        since: Duration,
        /// What went wrong last.
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

    /// A node that reaches the others: where an [`Adapter`](super::Adapter) begins. The counts of
    /// broadcasts and of topics are filled in by the endpoint.
    pub fn up(node: impl Into<String>) -> Self {
        Health::new(node, Status::Up)
    }

    /// A node that does not reach the others, for how long, and why.
    pub fn down(node: impl Into<String>, since: Duration, error: impl Into<String>) -> Self {
        let error = error.into();
        Health::new(node, Status::Down { since, error })
    }

    /// Whether this node is not cut off from the others.
    pub fn is_up(&self) -> bool {
        !matches!(self.status, Status::Down { .. })
    }
}
