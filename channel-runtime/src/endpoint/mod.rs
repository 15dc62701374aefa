//! The endpoint: the sockets at their paths, and broadcasts from anywhere.

mod drain;
mod extensions;
mod subscription;

use std::{fmt, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::extensions::Extensions;
pub use self::{drain::DrainOptions, subscription::EndpointSubscription};
#[cfg(feature = "token")]
use crate::token::{Secrets, Token};
use crate::{
    connection::{Close, ConnectError, Connections, Outbox, Registered, TotalBudget},
    error::Error,
    origin::OriginPattern,
    protocol::{Broadcast, Event, Payload, Topic},
    pubsub::{Health, PubSub, SubscriberId},
    telemetry::FilterParameters,
};

/// The hub of an application: sockets are mounted on it, and server code broadcasts through it.
/// Cheap to clone.
///
/// Mirrors `Phoenix.Endpoint`, as far as channels are concerned.
///
/// ```no_run
/// # use channel_runtime::{Endpoint, prelude::*};
/// # pub struct Room;
/// # #[channel("room:*")]
/// # impl Room {
/// #     #[join]
/// #     fn join() -> Self { Room }
/// # }
/// # pub struct UserSocket;
/// # #[socket(channels = [Room])]
/// # impl UserSocket {
/// #     #[connect]
/// #     fn connect() -> Self { UserSocket }
/// # }
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::builder().socket::<UserSocket>("/socket").build()?;
/// let app: axum::Router = endpoint.router();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
/// axum::serve(listener, app).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

/// The parts of an endpoint.
pub(crate) struct Inner {
    pub(crate) pubsub: Arc<PubSub>,
    /// The tasks of channels and connections, which the drain waits for.
    pub(crate) tasks: TaskTracker,
    pub(crate) draining: CancellationToken,
    pub(crate) connections: Connections,
    /// The budget of messages that wait for the channels of all connections.
    pub(crate) mailbox_budget: Arc<TotalBudget>,
    /// The URL under which clients reach the endpoint.
    pub(crate) url: Option<OriginPattern>,
    pub(crate) filter: Arc<FilterParameters>,
    #[cfg(feature = "token")]
    pub(crate) secrets: Secrets,
    /// The values of the layers above, one per type.
    pub(crate) extensions: Extensions,
}

impl Endpoint {
    pub(crate) fn new(inner: Inner) -> Self {
        Endpoint(Arc::new(inner))
    }

    /// Returns the value that a layer above keeps here; its default if nothing is stored yet.
    pub(crate) fn extension<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.0.extensions.get()
    }

    pub(crate) fn mailbox_budget(&self) -> &Arc<TotalBudget> {
        &self.0.mailbox_budget
    }

    /// Returns the tokens of one kind, made with the endpoint's [secret
    /// key](crate::EndpointBuilder::secret_key). Mirrors `Phoenix.Token` with an endpoint as its
    /// first argument.
    #[cfg(feature = "token")]
    pub fn token(&self, salt: &str) -> Token {
        Token::of(&self.0.secrets, salt)
    }

    /// Sends an event to all subscribers of a topic, on every node. Mirrors
    /// `c:Phoenix.Endpoint.broadcast/3`.
    ///
    /// The subscribers of this node receive it before anything waits. Cancel safe: what has been
    /// sent reaches all subscribers.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], in which case no subscriber receives it, or [`Error::Publish`], when
    /// other nodes may not have received it: see [`pubsub`](crate::pubsub).
    pub async fn broadcast<E: Event + ?Sized>(
        &self,
        topic: impl Into<Topic>,
        event: &E,
    ) -> Result<(), Error> {
        self.publish(None, topic.into(), event).await
    }

    /// As [`Endpoint::broadcast`], except for one subscriber; a channel's id is
    /// [`ChannelRef::id`](crate::ChannelRef::id). Mirrors `c:Phoenix.Endpoint.broadcast_from/4`.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::broadcast`].
    pub async fn broadcast_from<E: Event + ?Sized>(
        &self,
        from: SubscriberId,
        topic: impl Into<Topic>,
        event: &E,
    ) -> Result<(), Error> {
        self.publish(Some(from), topic.into(), event).await
    }

    /// As [`Endpoint::broadcast`], to the subscribers of this node only. Mirrors
    /// `c:Phoenix.Endpoint.local_broadcast/3`.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`].
    pub fn local_broadcast<E: Event + ?Sized>(
        &self,
        topic: impl Into<Topic>,
        event: &E,
    ) -> Result<(), Error> {
        self.publish_local(None, topic.into(), event)
    }

    /// Broadcasts a payload without an event type, such as one that arrived over HTTP.
    ///
    /// # Errors
    ///
    /// [`Error::Publish`]; never without an adapter.
    pub async fn broadcast_raw(
        &self,
        topic: impl Into<Topic>,
        event: impl AsRef<str>,
        payload: Payload,
    ) -> Result<(), Error> {
        let broadcast = Broadcast::new(topic, event, payload);
        self.0.pubsub.broadcast(None, &broadcast).await
    }

    pub(crate) async fn publish<E: Event + ?Sized>(
        &self,
        from: Option<SubscriberId>,
        topic: Topic,
        event: &E,
    ) -> Result<(), Error> {
        let broadcast = Broadcast::new(topic, E::NAME, event.to_payload()?);
        self.0.pubsub.broadcast(from, &broadcast).await
    }

    pub(crate) fn publish_local<E: Event + ?Sized>(
        &self,
        from: Option<SubscriberId>,
        topic: Topic,
        event: &E,
    ) -> Result<(), Error> {
        self.0
            .pubsub
            .deliver(from, &Broadcast::new(topic, E::NAME, event.to_payload()?));
        Ok(())
    }

    /// Subscribes to a topic outside of any channel, until the subscription is dropped. Broadcasts
    /// of other nodes may take a moment to arrive: see [`EndpointSubscription::confirmed`]. The
    /// subscription is also a `Stream`. Mirrors `c:Phoenix.Endpoint.subscribe/2`.
    pub fn subscribe(&self, topic: impl Into<Topic>) -> EndpointSubscription {
        EndpointSubscription::new(&self.0.pubsub, topic.into())
    }

    /// Closes every connection whose `#[id]` is `id`, with close code 1001; the clients reconnect.
    /// Mirrors `Endpoint.broadcast("users:1", "disconnect", %{})`.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::broadcast_raw`].
    pub async fn disconnect(&self, id: &str) -> Result<(), Error> {
        self.broadcast_raw(id, "disconnect", Payload::empty()).await
    }

    /// Returns the number of subscribers that a topic has on this node.
    pub fn subscriber_count(&self, topic: &str) -> usize {
        self.0.pubsub.count(&Topic::from(topic))
    }

    /// Returns the number of open connections on this node.
    pub fn connection_count(&self) -> usize {
        self.0.connections.len()
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.0.connections
    }

    pub(crate) fn pubsub(&self) -> &Arc<PubSub> {
        &self.0.pubsub
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Returns the filter of parameters in the log.
    pub(crate) fn filter(&self) -> &Arc<FilterParameters> {
        &self.0.filter
    }

    /// Returns the configured URL of the endpoint.
    pub(crate) fn url(&self) -> Option<&OriginPattern> {
        self.0.url.as_ref()
    }

    /// Completes once the server shuts down. A response that would never end, such as a stream of
    /// events, watches it in order to end.
    ///
    /// Cancel safe, and borrows nothing.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.draining.clone().cancelled_owned()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.is_cancelled()
    }

    pub(crate) fn begin_draining(&self) {
        self.0.draining.cancel();
        self.0.tasks.close();
    }

    /// Registers a connection, unless `max_connections` are open.
    pub(crate) fn register(&self, outbox: &Arc<Outbox>) -> Result<Registered, ConnectError> {
        let registered = self.0.connections.register(outbox)?;
        // Draining may have begun since the check of the request.
        if self.is_draining() {
            outbox.close(Close::DRAINING);
        }
        Ok(registered)
    }

    /// Returns this node's name among the nodes; empty if there are no other nodes. Mirrors
    /// `Phoenix.PubSub.node_name/1`.
    pub fn node(&self) -> &str {
        self.pubsub().node()
    }

    /// Returns the state of the connection to the other nodes, and the counts of messages sent,
    /// received and lost.
    pub fn health(&self) -> Health {
        self.pubsub().health()
    }

    /// As [`Endpoint::broadcast`], to the subscribers of one node, by its [name](Endpoint::node).
    /// No effect if no node has that name. Mirrors `Phoenix.PubSub.direct_broadcast/5`.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], or [`Error::Publish`] when the message may not have reached the node.
    pub async fn direct_broadcast<E: Event + ?Sized>(
        &self,
        node: &str,
        topic: impl Into<Topic>,
        event: &E,
    ) -> Result<(), Error> {
        let broadcast = Broadcast::new(topic, E::NAME, event.to_payload()?);
        self.pubsub().direct_broadcast(node, &broadcast).await
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("node", &self.node())
            .finish_non_exhaustive()
    }
}
