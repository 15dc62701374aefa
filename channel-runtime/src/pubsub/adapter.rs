//! What carries broadcasts to the other nodes.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use thiserror::Error as ThisError;

use super::Health;
use crate::{
    error::{PublishError, StartError},
    protocol::Topic,
};

/// A future on the heap: what an [`Adapter`] returns where it waits.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries broadcasts between the nodes of an application. Mirrors `Phoenix.PubSub.Adapter`.
///
/// An adapter moves bytes and knows no channels: what it is given on one node it hands to the
/// [`LocalDelivery`] of every other node that has subscribed to the topic. It may hand it to the sender's
/// [`LocalDelivery`] too, which drops it. Give it to [`EndpointBuilder::pubsub`].
///
/// The contract:
///
/// * At most once: a message may get lost, but is not delivered twice.
/// * Messages of one topic from one node arrive in the order of the calls to
///   [`broadcast`](Adapter::broadcast), and those from one node to one other in the order of the
///   calls to [`direct_broadcast`](Adapter::direct_broadcast), unless they get lost.
/// * Nothing blocks. While the other nodes cannot be reached, publishing fails at once and
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
    /// This node's name, which [`direct_broadcast`](Adapter::direct_broadcast) takes; unique
    /// among the nodes. Mirrors `c:Phoenix.PubSub.Adapter.node_name/1`.
    fn node(&self) -> &str;

    /// Begins to receive: called once, when the endpoint is built.
    ///
    /// The adapter is dropped when the last clone of the endpoint is; its tasks must end then,
    /// and must not hold the endpoint.
    ///
    /// # Errors
    ///
    /// A [`StartError`], which the endpoint's `build` returns.
    fn start(&self, local: LocalDelivery) -> Result<(), StartError>;

    /// Sends a message to all nodes that are subscribed to the topic. Mirrors
    /// `c:Phoenix.PubSub.Adapter.broadcast/4`.
    ///
    /// The message is under way when this returns; the future says what became of it, and
    /// dropping it takes nothing back.
    ///
    /// # Errors
    ///
    /// A [`PublishError`] when the message may not have reached the other nodes.
    fn broadcast(
        &self,
        topic: &Topic,
        message: Bytes,
    ) -> BoxFuture<'static, Result<(), PublishError>>;

    /// Sends a message to one node. Nothing is wrong where no node has that name. Mirrors
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

    /// The topic has its first subscriber on this node: its messages must arrive from now on.
    ///
    /// Called in turn with [`Adapter::unsubscribe`], under a lock: it must not block.
    fn subscribe(&self, topic: &Topic);

    /// The topic has lost its last subscriber on this node.
    fn unsubscribe(&self, topic: &Topic);

    /// What to wait for before messages of a subscribed topic are sure to arrive; `None` where
    /// they do already, or where that cannot be known, as while the others are out of reach.
    ///
    /// A client's join is answered after it, so it must end soon whatever happens.
    fn confirmed(&self, _topic: &Topic) -> Option<BoxFuture<'static, ()>> {
        None
    }

    /// Whether the other nodes can be reached, and how fast.
    fn health(&self) -> Health;
}

/// Where an [`Adapter`] hands in what came from other nodes. Cheap to clone; it does not keep
/// the endpoint alive.
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
    /// [`EnvelopeError`] when the bytes are no message of this framework. It is counted and logged
    /// already, so there is nothing to do about it.
    pub fn deliver(&self, message: Bytes) -> Result<(), EnvelopeError> {
        self.0.receive(message)
    }
}

impl fmt::Debug for LocalDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalDelivery")
    }
}

/// Takes what an adapter hands in.
pub(super) trait Receive: Send + Sync {
    fn receive(&self, message: Bytes) -> Result<(), EnvelopeError>;
}

/// Bytes that are no message of this framework: somebody else publishes into its namespace, or a
/// node runs another version of it.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// It does not begin as a message does.
    #[error("not a message of this framework")]
    Foreign,
    /// A version of the format that this node does not know.
    #[error("a message of the unknown version {0}")]
    Version(u8),
    /// The lengths do not fit.
    #[error("the message is cut off")]
    CutOff,
    /// Text that is not UTF-8, or a payload that is not JSON.
    #[error("the {0} is malformed")]
    Malformed(&'static str),
    /// A letter that is not sealed.
    #[error("a letter of another node that is not sealed: that node runs an older version")]
    Unsealed,
    /// A letter that none of the endpoint's secret keys opens.
    #[error(
        "a letter of another node that none of this node's secret keys opens: \
         that node has other secret keys, or the letter is forged"
    )]
    Forged,
    /// A letter that has come before.
    #[error("a letter of another node that has come before")]
    Replayed,
}
