use std::{fmt, sync::Arc};

use super::{
    Adapter, Health, StartError, Subscriber, SubscriberId,
    distributed::Distributed,
    registry::{Batch, Registry},
};
#[cfg(any(feature = "long-poll", feature = "presence"))]
use super::{
    BoxFuture, PublishError,
    node_message::{NodeHandler, Peer},
};
use crate::{
    error::Error,
    protocol::{Broadcast, Topic},
};

/// The topics of all nodes: those of this process, and the connection to the other nodes if there
/// is one. Mirrors `Phoenix.PubSub`.
pub(crate) struct PubSub {
    local: Arc<Registry>,
    others: Option<Distributed>,
}

impl PubSub {
    /// Creates a PubSub that is local to this process.
    pub(crate) fn embedded(batch: Batch) -> Arc<Self> {
        Arc::new(PubSub {
            local: Arc::new(Registry::new(batch)),
            others: None,
        })
    }

    /// Creates a PubSub of this process and the nodes that the adapter reaches.
    pub(crate) fn with(adapter: Box<dyn Adapter>, batch: Batch) -> Result<Arc<Self>, StartError> {
        let local = Arc::new(Registry::new(batch));
        let others = Some(Distributed::start(adapter, &local)?);
        Ok(Arc::new(PubSub { local, others }))
    }

    /// Returns the id of a new subscriber.
    pub(crate) fn new_id(&self) -> SubscriberId {
        self.local.new_id()
    }

    /// Prepares a subscription: once this completes, broadcasts of other nodes arrive here. Does
    /// not wait if there are no other nodes or they are unreachable.
    pub(crate) async fn prepare(self: &Arc<Self>, topic: &Topic) -> Prepared {
        let Some(others) = &self.others else {
            return Prepared(None);
        };
        others.acquire(topic);
        let prepared = Prepared(Some((self.clone(), topic.clone())));
        others.confirmed(topic).await;
        prepared
    }

    /// Waits as [`PubSub::prepare`] does, for a topic that is already subscribed.
    pub(crate) async fn confirmed(&self, topic: &Topic) {
        if let Some(others) = &self.others {
            others.confirmed(topic).await;
        }
    }

    /// Subscribes until the guard is dropped. Broadcasts of other nodes may take a moment to
    /// arrive: see [`PubSub::prepare`].
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        topic: Topic,
        id: SubscriberId,
        subscriber: Arc<dyn Subscriber>,
    ) -> Subscription {
        let prepared = self.others.as_ref().map(|others| {
            others.acquire(&topic);
            (self.clone(), topic.clone())
        });
        self.subscribe_then(Prepared(prepared), topic, id, subscriber, || ())
    }

    /// Subscribes, and runs `first` before any broadcast can reach the subscriber. Messages that
    /// `first` queues precede those the topic delivers, and no later broadcast is missed.
    pub(crate) fn subscribe_then(
        self: &Arc<Self>,
        mut prepared: Prepared,
        topic: Topic,
        id: SubscriberId,
        subscriber: Arc<dyn Subscriber>,
        first: impl FnOnce(),
    ) -> Subscription {
        debug_assert!(
            prepared.0.as_ref().is_none_or(|(_, ready)| *ready == topic),
            "prepared for another topic"
        );
        self.local
            .subscribe_then(topic.clone(), id, subscriber, first);
        // From here on the subscription releases what preparing acquired.
        prepared.0 = None;
        Subscription {
            pubsub: self.clone(),
            topic,
            id,
        }
    }

    /// Delivers to the subscribers of this process, except `from`.
    pub(crate) fn deliver(&self, from: Option<SubscriberId>, broadcast: &Broadcast) {
        self.local.deliver(from, broadcast);
    }

    /// Makes a broadcast under the topic's lock and delivers it to the subscribers of this process:
    /// `make` runs after every earlier subscription, and before any later one.
    #[cfg(feature = "presence")]
    pub(crate) fn deliver_then(&self, topic: &Topic, make: impl FnOnce() -> Option<Broadcast>) {
        self.local.deliver_then(topic, make);
    }

    /// Delivers to the subscribers of all nodes, except `from`. Those of this process come first,
    /// whatever the outcome for the other nodes.
    pub(crate) async fn broadcast(
        &self,
        from: Option<SubscriberId>,
        broadcast: &Broadcast,
    ) -> Result<(), Error> {
        self.local.deliver(from, broadcast);
        if let Some(others) = &self.others {
            others.broadcast(broadcast).await.map_err(Error::Publish)?;
        }
        Ok(())
    }

    /// Delivers to the subscribers of one node.
    pub(crate) async fn direct_broadcast(
        &self,
        node: &str,
        broadcast: &Broadcast,
    ) -> Result<(), Error> {
        if node == self.node() {
            self.local.deliver(None, broadcast);
        } else if let Some(others) = &self.others {
            let sent = others.direct_broadcast(node, broadcast);
            sent.await.map_err(Error::Publish)?;
        }
        Ok(())
    }

    /// Sends a node message from this node's mailbox to that of the same name on another node. The
    /// message is on its way when this returns, or is an error at once.
    #[cfg(any(feature = "long-poll", feature = "presence"))]
    pub(crate) fn send_to(
        &self,
        to: &Peer,
        mailbox: &str,
        body: &[u8],
    ) -> BoxFuture<'static, Result<(), PublishError>> {
        match &self.others {
            Some(others) => others.send_to(to, mailbox, body),
            None => Box::pin(std::future::ready(Err(PublishError::Unreachable))),
        }
    }

    /// Delivers the node messages of this name to `mailbox` from now on. They are sealed with the
    /// keys of `token`.
    #[cfg(any(feature = "long-poll", feature = "presence"))]
    pub(crate) fn open_mailbox(
        &self,
        name: &str,
        token: crate::token::Token,
        mailbox: Arc<dyn NodeHandler>,
    ) {
        if let Some(others) = &self.others {
            others.open_mailbox(name, token, mailbox);
        }
    }

    /// As [`PubSub::send_to`], to all other nodes that have [joined](PubSub::join_group) the mailbox.
    #[cfg(feature = "presence")]
    pub(crate) fn send_to_all(
        &self,
        mailbox: &str,
        body: &[u8],
    ) -> BoxFuture<'static, Result<(), PublishError>> {
        match &self.others {
            Some(others) => others.send_to_all(&group(mailbox), mailbox, body),
            None => Box::pin(std::future::ready(Err(PublishError::Unreachable))),
        }
    }

    /// Receives the node messages to all mailboxes of this name, for good.
    #[cfg(feature = "presence")]
    pub(crate) fn join_group(&self, mailbox: &str) {
        if let Some(others) = &self.others {
            others.acquire(&group(mailbox));
        }
    }

    /// Returns this node's name; empty if there are no other nodes.
    pub(crate) fn node(&self) -> &str {
        self.others.as_ref().map_or("", Distributed::node)
    }

    /// Returns this node as the others address it; `None` if there are no other nodes.
    #[cfg(feature = "long-poll")]
    pub(crate) fn here(&self) -> Option<&Peer> {
        self.others.as_ref().map(Distributed::here)
    }

    pub(crate) fn health(&self) -> Health {
        let others = self.others.as_ref();
        others.map_or_else(Health::embedded, Distributed::health)
    }

    /// Returns the subscribers of a topic in this process.
    pub(crate) fn subscribers(&self, topic: &Topic) -> Vec<Arc<dyn Subscriber>> {
        self.local.subscribers(topic)
    }

    /// Returns the number of subscribers that a topic has in this process.
    pub(crate) fn count(&self, topic: &Topic) -> usize {
        self.local.count(topic)
    }
}

/// Returns the topic that node messages to all mailboxes of a name travel on. Its subscribers hear
/// none of them, and a broadcast on it is not a node message, which is a kind of its own.
#[cfg(feature = "presence")]
fn group(mailbox: &str) -> Topic {
    Topic::from(format!("channel mail {mailbox}"))
}

/// The other nodes' broadcasts of a topic, requested ahead of a subscription. Released if dropped
/// without a subscription.
pub(crate) struct Prepared(Option<(Arc<PubSub>, Topic)>);

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some((pubsub, topic)) = &self.0
            && let Some(others) = &pubsub.others
        {
            others.release(topic);
        }
    }
}

/// A subscription; dropping it ends it.
pub(crate) struct Subscription {
    pubsub: Arc<PubSub>,
    topic: Topic,
    id: SubscriberId,
}

impl Subscription {
    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Waits until broadcasts of other nodes are sure to arrive.
    pub(crate) async fn confirmed(&self) {
        self.pubsub.confirmed(&self.topic).await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.pubsub.local.unsubscribe(&self.topic, self.id);
        if let Some(others) = &self.pubsub.others {
            others.release(&self.topic);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.topic).finish()
    }
}
