//! The distributed half of PubSub, independent of the adapter that carries the messages.

mod envelope;
mod ref_counts;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

pub(crate) use self::envelope::Origin;
#[cfg(any(feature = "long-poll", feature = "presence"))]
pub(super) use self::envelope::seal_message;

pub(super) use self::envelope::{Message, decode};
use self::{
    envelope::{encode, is_from},
    ref_counts::TopicRefCounts,
};
#[cfg(any(feature = "long-poll", feature = "presence"))]
use super::node_message::NodeHandler;
use super::{
    Adapter, EnvelopeError, Health, LocalDelivery, PublishError, Receive, StartError,
    namesake::Namesake,
    node_message::{NodeHandlers, Peer},
    registry::Registry,
};
use crate::{
    protocol::{Broadcast, Topic},
    pubsub::telemetry as cluster,
};

/// This node as a member of the cluster.
pub(super) struct Distributed {
    adapter: Box<dyn Adapter>,
    here: Arc<Peer>,
    namesake: Arc<Namesake>,
    ref_counts: TopicRefCounts,
    counts: Arc<Counts>,
    #[cfg(any(feature = "long-poll", feature = "presence"))]
    mailboxes: Arc<NodeHandlers>,
}

/// The numbers of messages sent and received.
#[derive(Default)]
struct Counts {
    published: AtomicU64,
    lost: AtomicU64,
    received: AtomicU64,
    garbage: AtomicU64,
}

impl Distributed {
    /// Starts the adapter.
    pub(super) fn start(
        adapter: Box<dyn Adapter>,
        local: &Arc<Registry>,
    ) -> Result<Self, StartError> {
        let counts = Arc::new(Counts::default());
        let namesake = Arc::new(Namesake::default());
        let here = Arc::new(Peer {
            node: adapter.node().to_owned(),
            origin: Origin::random(),
        });
        let mailboxes = Arc::new(NodeHandlers::default());
        adapter.start(LocalDelivery::new(Arc::new(Receiver {
            here: here.clone(),
            namesake: namesake.clone(),
            local: Arc::downgrade(local),
            counts: counts.clone(),
            mailboxes: mailboxes.clone(),
        })))?;
        Ok(Distributed {
            adapter,
            here,
            namesake,
            ref_counts: TopicRefCounts::default(),
            counts,
            #[cfg(any(feature = "long-poll", feature = "presence"))]
            mailboxes,
        })
    }

    pub(super) fn node(&self) -> &str {
        self.adapter.node()
    }

    #[cfg(feature = "long-poll")]
    pub(super) fn here(&self) -> &Peer {
        &self.here
    }

    /// Sends to the other nodes. The future resolves to the outcome; dropping it does not stop the
    /// message.
    pub(super) fn broadcast(
        &self,
        broadcast: &Broadcast,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        let message = encode(self.here.origin, broadcast);
        let sent = self.adapter.broadcast(broadcast.topic(), message);
        self.counted(sent)
    }

    /// Sends to one other node.
    pub(super) fn direct_broadcast(
        &self,
        node: &str,
        broadcast: &Broadcast,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        let message = encode(self.here.origin, broadcast);
        let sent = self.adapter.direct_broadcast(node, message);
        self.counted(sent)
    }

    /// Sends a node message to the mailbox of the same name on another node. It is not a broadcast,
    /// so it is not counted as one.
    #[cfg(any(feature = "long-poll", feature = "presence"))]
    pub(super) fn send_to(
        &self,
        to: &Peer,
        mailbox: &str,
        body: &[u8],
    ) -> super::BoxFuture<'static, Result<(), PublishError>> {
        let sealed = self.mailboxes.seal(&self.here, to.origin, mailbox, body);
        let error = match sealed {
            Some(Ok(message)) => return self.adapter.direct_broadcast(&to.node, message),
            Some(Err(error)) => PublishError::Refused(Box::new(error)),
            None => PublishError::Unreachable,
        };
        Box::pin(std::future::ready(Err(error)))
    }

    /// As [`Distributed::send_to`], to the mailboxes of all other nodes that subscribe to the topic.
    #[cfg(feature = "presence")]
    pub(super) fn send_to_all(
        &self,
        topic: &Topic,
        mailbox: &str,
        body: &[u8],
    ) -> super::BoxFuture<'static, Result<(), PublishError>> {
        let sealed = self.mailboxes.seal(&self.here, Origin::ALL, mailbox, body);
        let error = match sealed {
            Some(Ok(message)) => return self.adapter.broadcast(topic, message),
            Some(Err(error)) => PublishError::Refused(Box::new(error)),
            None => PublishError::Unreachable,
        };
        Box::pin(std::future::ready(Err(error)))
    }

    /// Delivers node messages of this name to `mailbox` from now on; `token` has the keys of their
    /// seals.
    #[cfg(any(feature = "long-poll", feature = "presence"))]
    pub(super) fn open_mailbox(
        &self,
        name: &str,
        token: crate::token::Token,
        mailbox: Arc<dyn NodeHandler>,
    ) {
        self.mailboxes.open(name, token, mailbox);
    }

    fn counted(
        &self,
        sent: super::BoxFuture<'static, Result<(), PublishError>>,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        let counts = self.counts.clone();
        async move {
            let outcome = sent.await;
            match &outcome {
                Ok(()) => counts.published.fetch_add(1, Ordering::Relaxed),
                Err(_) => counts.lost.fetch_add(1, Ordering::Relaxed),
            };
            cluster::published(outcome.as_ref().err());
            outcome
        }
    }

    /// Adds a subscriber on this node.
    pub(super) fn acquire(&self, topic: &Topic) {
        self.ref_counts.acquire(topic, &*self.adapter);
    }

    /// Removes a subscriber on this node.
    pub(super) fn release(&self, topic: &Topic) {
        self.ref_counts.release(topic, &*self.adapter);
    }

    /// Waits until broadcasts of other nodes are sure to arrive, if that is not yet known.
    pub(super) async fn confirmed(&self, topic: &Topic) {
        if let Some(confirmed) = self.adapter.confirmed(topic) {
            confirmed.await;
        }
    }

    pub(super) fn health(&self) -> Health {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let adapter = self.adapter.health();
        Health {
            topics: self.ref_counts.topics(),
            published: count(&self.counts.published),
            lost: count(&self.counts.lost) + adapter.lost,
            received: count(&self.counts.received),
            garbage: count(&self.counts.garbage),
            namesake: self.namesake.heard().or(adapter.namesake),
            ..adapter
        }
    }
}

struct Receiver {
    here: Arc<Peer>,
    namesake: Arc<Namesake>,
    local: Weak<Registry>,
    counts: Arc<Counts>,
    mailboxes: Arc<NodeHandlers>,
}

impl Receive for Receiver {
    fn receive(&self, message: Bytes) -> Result<(), EnvelopeError> {
        if is_from(self.here.origin, &message) {
            // This node's subscribers received the message before it left.
            return Ok(());
        }
        let broadcast = self.read(message).inspect_err(|garbage| {
            let count = self.counts.garbage.fetch_add(1, Ordering::Relaxed) + 1;
            cluster::garbage(garbage, count);
        })?;
        let Some(broadcast) = broadcast else {
            return Ok(());
        };
        self.counts.received.fetch_add(1, Ordering::Relaxed);
        cluster::received();
        if let Some(local) = self.local.upgrade() {
            local.deliver(None, &broadcast);
        }
        Ok(())
    }
}

impl Receiver {
    /// Reads a broadcast; a node message is delivered at once.
    fn read(&self, message: Bytes) -> Result<Option<Broadcast>, EnvelopeError> {
        let mail = match decode(message)? {
            Message::Broadcast(broadcast) => return Ok(Some(broadcast)),
            Message::NodeMessage(mail) => mail,
        };
        self.mailboxes.receive(self.here.origin, &mail)?;
        if mail.from.node == self.here.node {
            self.namesake.hear(&self.here.node);
        }
        Ok(None)
    }
}
