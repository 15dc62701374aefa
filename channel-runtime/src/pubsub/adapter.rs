//! The contract of the adapters that carry broadcasts to the other nodes.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use thiserror::Error as ThisError;

use super::Health;
use crate::{
    error::{PublishError, StartError},
    protocol::Topic,
};

/// A boxed future, which the waiting methods of an [`Adapter`] return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries broadcasts between the nodes of an application. Mirrors `Phoenix.PubSub.Adapter`.
///
/// An adapter moves bytes and knows nothing of channels. It hands every message that one node
/// publishes to the [`LocalDelivery`] of every other node that has subscribed to the topic. It may
/// also hand the message to the sender's own [`LocalDelivery`], which drops it. Pass an adapter to
/// [`EndpointBuilder::pubsub`].
///
/// The contract:
///
/// * At most once: a message may get lost, but is never delivered twice.
/// * Messages of one topic from one node arrive in the order of the calls to
///   [`broadcast`](Adapter::broadcast), and those from one node to one other in the order of the
///   calls to [`direct_broadcast`](Adapter::direct_broadcast), unless they get lost.
/// * No call blocks. While the other nodes are unreachable, publishing fails at once and
///   subscriptions are remembered for later.
///
/// An adapter that connects the endpoints of one process:
///
/// ```
/// use std::sync::{Arc, Mutex, OnceLock};
/// use channel_runtime::{
///     Bytes, Endpoint, Topic,
///     pubsub::{Adapter, BoxFuture, Health, LocalDelivery, PublishError, StartError},
/// };
///
/// #[derive(Clone, Default)]
/// struct Hub(Arc<Mutex<Vec<(String, LocalDelivery)>>>);
///
/// struct Spoke { hub: Hub, node: String }
///
/// impl Adapter for Spoke {
///     fn node(&self) -> &str { &self.node }
///
///     fn start(&self, local: LocalDelivery) -> Result<(), StartError> {
///         self.hub.0.lock().unwrap().push((self.node.clone(), local));
///         Ok(())
///     }
///
///     fn broadcast(&self, _: &Topic, message: Bytes) -> BoxFuture<'static, Result<(), PublishError>> {
///         for (_, local) in &*self.hub.0.lock().unwrap() {
///             let _ = local.deliver(message.clone()); // counts what is no message
///         }
///         Box::pin(async { Ok(()) })
///     }
///
///     fn direct_broadcast(&self, node: &str, message: Bytes) -> BoxFuture<'static, Result<(), PublishError>> {
///         for (name, local) in &*self.hub.0.lock().unwrap() {
///             if name == node { let _ = local.deliver(message.clone()); }
///         }
///         Box::pin(async { Ok(()) })
///     }
///
///     fn subscribe(&self, _: &Topic) {}
///     fn unsubscribe(&self, _: &Topic) {}
///     fn health(&self) -> Health { Health::up(&self.node) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::default();
/// let node = |name: &str| Endpoint::builder()
///     .pubsub(Spoke { hub: hub.clone(), node: name.into() })
///     .build();
/// let (a, b) = (node("a")?, node("b")?);
/// let mut heard = b.subscribe("news");
/// a.broadcast_raw("news", "flash", Default::default()).await?;
/// assert_eq!(heard.recv().await.event(), "flash");
/// # Ok(())
/// # }
/// ```
///
/// [`EndpointBuilder::pubsub`]: crate::EndpointBuilder::pubsub
pub trait Adapter: Send + Sync + 'static {
    /// Returns this node's name, which [`direct_broadcast`](Adapter::direct_broadcast) takes;
    /// unique among the nodes. Mirrors `c:Phoenix.PubSub.Adapter.node_name/1`.
    fn node(&self) -> &str;

    /// Starts receiving. Called once, when the endpoint is built.
    ///
    /// The adapter is dropped together with the last clone of the endpoint. Its tasks must end
    /// then, and must not hold the endpoint.
    ///
    /// # Errors
    ///
    /// A [`StartError`], which the endpoint's `build` returns.
    fn start(&self, local: LocalDelivery) -> Result<(), StartError>;

    /// Sends a message to all nodes that are subscribed to the topic. Mirrors
    /// `c:Phoenix.PubSub.Adapter.broadcast/4`.
    ///
    /// The message is on its way when this returns. The future resolves to the outcome; dropping it
    /// does not take the message back.
    ///
    /// # Errors
    ///
    /// A [`PublishError`] when the message may not have reached the other nodes.
    fn broadcast(
        &self,
        topic: &Topic,
        message: Bytes,
    ) -> BoxFuture<'static, Result<(), PublishError>>;

    /// Sends a message to one node. An unknown node name is not an error. Mirrors
    /// `c:Phoenix.PubSub.Adapter.direct_broadcast/5`.
    ///
    /// # Errors
    ///
    /// As [`Adapter::broadcast`].
    fn direct_broadcast(
        &self,
        node: &str,
        message: Bytes,
    ) -> BoxFuture<'static, Result<(), PublishError>>;

    /// Subscribes to a topic that has its first subscriber on this node: its messages must arrive
    /// from now on.
    ///
    /// Calls of this and [`Adapter::unsubscribe`] are serialized under a lock, so it must not
    /// block.
    fn subscribe(&self, topic: &Topic);

    /// Unsubscribes from a topic that has lost its last subscriber on this node.
    fn unsubscribe(&self, topic: &Topic);

    /// Returns a future that resolves once messages of a subscribed topic are sure to arrive.
    /// `None` if they already are, or if that cannot be known, such as while the other nodes are
    /// unreachable.
    ///
    /// A client's join is answered after this future, so it must always end soon.
    fn confirmed(&self, _topic: &Topic) -> Option<BoxFuture<'static, ()>> {
        None
    }

    /// Returns whether the other nodes are reachable, and how fast.
    fn health(&self) -> Health;
}

/// The entry point through which an [`Adapter`] delivers messages of other nodes. Cheap to clone;
/// it does not keep the endpoint alive.
#[derive(Clone)]
pub struct LocalDelivery(Arc<dyn Receive>);

impl LocalDelivery {
    pub(super) fn new(receive: Arc<dyn Receive>) -> Self {
        LocalDelivery(receive)
    }

    /// Delivers a message to the subscribers of this node. Does not block.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError`] when the bytes are not a message of this framework. The error is already
    /// counted and logged, so the caller need not handle it.
    pub fn deliver(&self, message: Bytes) -> Result<(), EnvelopeError> {
        self.0.receive(message)
    }
}

impl fmt::Debug for LocalDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalDelivery")
    }
}

/// A receiver of the messages that an adapter delivers.
pub(super) trait Receive: Send + Sync {
    fn receive(&self, message: Bytes) -> Result<(), EnvelopeError>;
}

/// The bytes are not a message of this framework: another program publishes into its namespace, or
/// a node runs another version of it.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The bytes do not begin with the prefix of a message.
    #[error("not a message of this framework")]
    Foreign,
    /// The format version is unknown to this node.
    #[error("a message of the unknown version {0}")]
    Version(u8),
    /// The lengths in the header do not match the message.
    #[error("the message is cut off")]
    CutOff,
    /// A text is not UTF-8, or a payload is not JSON.
    #[error("the {0} is malformed")]
    Malformed(&'static str),
    /// A node message is not sealed.
    #[error("a message of another node that is not sealed: that node runs an older version")]
    Unsealed,
    /// None of the endpoint's secret keys opens a node message.
    #[error(
        "a message of another node that none of this node's secret keys opens: \
         that node has other secret keys, or the message is forged"
    )]
    Forged,
    /// A node message has arrived before.
    #[error("a message of another node that has come before")]
    Replayed,
}
