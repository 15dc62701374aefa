//! The endpoint as one node among others.

use super::{Endpoint, EndpointBuilder};
use crate::{
    Broadcast, Error, Event, Topic,
    pubsub::{Adapter, Health},
};

impl EndpointBuilder {
    /// Connects the endpoint to those of other nodes: what one broadcasts, the subscribers of all
    /// hear. Without an adapter, the endpoint is alone. Mirrors the `:pubsub_server` option.
    ///
    /// See [`pubsub`](crate::pubsub) for what holds across nodes, and what may be lost.
    pub fn pubsub(mut self, adapter: impl Adapter) -> Self {
        self.adapter = Some(Box::new(adapter));
        self
    }
}

impl Endpoint {
    /// This node's name among the nodes; empty where there are no others. Mirrors
    /// `Phoenix.PubSub.node_name/1`.
    pub fn node(&self) -> &str {
        self.pubsub().node()
    }

    /// Whether the other nodes can be reached, how fast, and what was sent, received and lost.
    pub fn health(&self) -> Health {
        self.pubsub().health()
    }

    /// As [`Endpoint::broadcast`], to the subscribers of one node, by its
    /// [name](Endpoint::node). Nothing happens where no node has that name. Mirrors
    /// `Phoenix.PubSub.direct_broadcast/5`.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], or [`Error::Publish`] when the message may not have reached the node.
    pub async fn direct_broadcast<E: Event>(
        &self,
        node: &str,
        topic: impl Into<Topic>,
        event: &E,
    ) -> Result<(), Error> {
        let broadcast = Broadcast::new(topic, E::NAME, event.to_payload()?);
        self.pubsub().direct_broadcast(node, &broadcast).await
    }
}
