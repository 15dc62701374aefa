//! The endpoint: sockets at their paths, and broadcasts from anywhere.

mod admission;
mod builder;
mod cluster;
mod config;
mod drain;
mod options;
mod path;
mod subscription;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::admission::Admission;
pub use self::{
    builder::EndpointBuilder,
    config::{EndpointConfig, SerializerName, SocketConfig},
    drain::DrainOptions,
    options::SocketOptions,
    subscription::EndpointSubscription,
};
use crate::{
    Broadcast, Close, Error, Event, Payload, Topic,
    pubsub::{PubSub, SubscriberId},
    socket::Outbox,
    transport::{ConnectError, Mount},
};

/// Where sockets are mounted and broadcasts come from: one for an application, cheap to clone.
///
/// Mirrors `Phoenix.Endpoint`, as far as channels go.
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

struct Inner {
    pubsub: Arc<PubSub>,
    mounts: Vec<(String, Arc<dyn Mount>)>,
    /// The tasks of channels and connections, to wait for at the end.
    tasks: TaskTracker,
    connections: Mutex<HashMap<u64, Weak<Outbox>>>,
    next_connection: AtomicU64,
    draining: CancellationToken,
    admission: Admission,
    drain: DrainOptions,
    #[cfg(feature = "token")]
    secrets: crate::token::Secrets,
    #[cfg(feature = "uploads")]
    uploads: crate::upload::Registry,
    #[cfg(feature = "longpoll")]
    /// By the path of their mount.
    long_poll: HashMap<String, Arc<crate::transport::Relay>>,
    /// The tasks that flush the connections' outboxes, from the first that needs them.
    #[cfg(feature = "websocket")]
    lanes: std::sync::OnceLock<crate::socket::Lanes>,
}

/// One route of an endpoint: see [`Endpoint::routes`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteInfo {
    /// Where the socket is mounted.
    pub path: String,
    /// The socket type.
    pub socket: &'static str,
    /// A topic pattern.
    pub topic: &'static str,
    /// The channel that takes it.
    pub channel: &'static str,
}

impl Endpoint {
    /// Starts to configure an endpoint.
    pub fn builder() -> EndpointBuilder {
        EndpointBuilder::default()
    }

    fn new(
        pubsub: Arc<PubSub>,
        mounts: Vec<(String, Arc<dyn Mount>)>,
        admission: Admission,
        drain: DrainOptions,
        #[cfg(feature = "token")] secrets: crate::token::Secrets,
    ) -> Self {
        let (tasks, draining) = (TaskTracker::new(), CancellationToken::new());
        #[cfg(feature = "longpoll")]
        let polled = mounts.iter().filter_map(|(path, mount)| {
            let options = mount.options().long_poll.clone()?;
            let token = |salt: &str| crate::Token::of(&secrets, salt);
            let (tasks, draining) = (tasks.clone(), draining.clone());
            let relay = crate::transport::Relay::open;
            let relay = relay(path, options, &pubsub, token, tasks, draining);
            Some((path.clone(), relay))
        });
        Endpoint(Arc::new(Inner {
            #[cfg(feature = "longpoll")]
            long_poll: polled.collect(),
            pubsub,
            mounts,
            tasks,
            connections: Mutex::default(),
            #[cfg(feature = "websocket")]
            lanes: std::sync::OnceLock::new(),
            next_connection: AtomicU64::new(1),
            draining,
            admission,
            drain,
            #[cfg(feature = "token")]
            secrets,
            #[cfg(feature = "uploads")]
            uploads: crate::upload::Registry::default(),
        }))
    }

    /// Tokens of one kind, made with the endpoint's
    /// [secret key](EndpointBuilder::secret_key). Mirrors `Phoenix.Token` with an endpoint as
    /// its first argument.
    #[cfg(feature = "token")]
    pub fn token(&self, salt: &str) -> crate::Token {
        crate::Token::of(&self.0.secrets, salt)
    }

    /// Sends an event to all subscribers of a topic, on every node. Mirrors
    /// `c:Phoenix.Endpoint.broadcast/3`.
    ///
    /// The subscribers of this node get it before anything waits. Cancel safe: what was sent was
    /// sent to all.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], before anybody gets it, or [`Error::Publish`], when other nodes may not
    /// have got it: see [`pubsub`](crate::pubsub).
    pub async fn broadcast<E: Event>(
        &self,
        topic: impl Into<Topic>,
        event: &E,
    ) -> Result<(), Error> {
        self.publish(None, topic.into(), event).await
    }

    /// As [`Endpoint::broadcast`], without one subscriber: a channel's is
    /// [`ChannelRef::id`](crate::ChannelRef::id). Mirrors `c:Phoenix.Endpoint.broadcast_from/4`.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::broadcast`].
    pub async fn broadcast_from<E: Event>(
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
    pub fn local_broadcast<E: Event>(
        &self,
        topic: impl Into<Topic>,
        event: &E,
    ) -> Result<(), Error> {
        self.publish_local(None, topic.into(), event)
    }

    /// Sends a payload that has no event type, such as one that came over HTTP.
    ///
    /// # Errors
    ///
    /// [`Error::Publish`]: none in this process alone.
    pub async fn broadcast_raw(
        &self,
        topic: impl Into<Topic>,
        event: impl AsRef<str>,
        payload: Payload,
    ) -> Result<(), Error> {
        let broadcast = Broadcast::new(topic, event, payload);
        self.0.pubsub.broadcast(None, &broadcast).await
    }

    pub(crate) async fn publish<E: Event>(
        &self,
        from: Option<SubscriberId>,
        topic: Topic,
        event: &E,
    ) -> Result<(), Error> {
        let broadcast = Broadcast::new(topic, E::NAME, event.to_payload()?);
        self.0.pubsub.broadcast(from, &broadcast).await
    }

    pub(crate) fn publish_local<E: Event>(
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

    /// Hears the broadcasts of a topic outside of any channel, until the subscription is
    /// dropped. Those of other nodes may take a moment to arrive: see
    /// [`EndpointSubscription::confirmed`]. Mirrors `c:Phoenix.Endpoint.subscribe/2`.
    pub fn subscribe(&self, topic: impl Into<Topic>) -> EndpointSubscription {
        EndpointSubscription::new(&self.0.pubsub, topic.into())
    }

    /// Ends every connection whose `#[id]` is `id`, with close code 1001; the clients reconnect.
    /// Mirrors `Endpoint.broadcast("users:1", "disconnect", %{})`.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::broadcast_raw`].
    pub async fn disconnect(&self, id: &str) -> Result<(), Error> {
        self.broadcast_raw(id, "disconnect", Payload::empty()).await
    }

    /// The topics that can be joined, socket by socket: what `mix phx.routes` lists.
    pub fn routes(&self) -> Vec<RouteInfo> {
        let mounts = self.0.mounts.iter();
        mounts
            .flat_map(|(path, mount)| {
                mount
                    .patterns()
                    .into_iter()
                    .map(|(topic, channel)| RouteInfo {
                        path: path.clone(),
                        socket: mount.name(),
                        topic,
                        channel,
                    })
            })
            .collect()
    }

    /// How many subscribers a topic has on this node.
    pub fn subscriber_count(&self, topic: &str) -> usize {
        self.0.pubsub.count(&Topic::from(topic))
    }

    /// How many sessions of long-poll clients there are on this node. Each is a connection too,
    /// until it has ended; then it may wait for its last messages to be fetched.
    #[cfg(feature = "longpoll")]
    pub fn long_poll_session_count(&self) -> usize {
        self.0
            .long_poll
            .values()
            .map(|relay| relay.sessions().count())
            .sum()
    }

    #[cfg(feature = "longpoll")]
    pub(crate) fn long_poll(&self, path: &str) -> Option<Arc<crate::transport::Relay>> {
        self.0.long_poll.get(path).cloned()
    }

    #[cfg(feature = "uploads")]
    pub(crate) fn uploads(&self) -> &crate::upload::Registry {
        &self.0.uploads
    }

    /// How many connections are open on this node.
    pub fn connection_count(&self) -> usize {
        self.0.connections.lock().len()
    }

    pub(crate) fn pubsub(&self) -> &Arc<PubSub> {
        &self.0.pubsub
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    #[cfg(any(feature = "websocket", feature = "longpoll", feature = "test"))]
    pub(crate) fn mounts(&self) -> &[(String, Arc<dyn Mount>)] {
        &self.0.mounts
    }

    /// Takes one of the endpoint's places for a connection.
    pub(crate) fn register(&self, outbox: &Arc<Outbox>) -> Result<Registered, ConnectError> {
        let id = self.0.next_connection.fetch_add(1, Ordering::Relaxed);
        let mut connections = self.0.connections.lock();
        self.has_room(connections.len())?;
        connections.insert(id, Arc::downgrade(outbox));
        drop(connections);
        // Draining may have begun between the check at the door and here.
        if self.is_draining() {
            outbox.close(Close::DRAINING);
        }
        Ok(Registered {
            endpoint: self.clone(),
            id,
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.0.mounts.iter().map(|(path, _)| path).collect();
        f.debug_struct("Endpoint")
            .field("sockets", &paths)
            .finish_non_exhaustive()
    }
}

/// A connection's place in the endpoint's list.
pub(crate) struct Registered {
    endpoint: Endpoint,
    id: u64,
}

#[cfg(feature = "websocket")]
impl Registered {
    /// The lane that flushes the connection's outbox.
    pub(crate) fn lane(&self) -> Arc<crate::socket::Lane> {
        self.endpoint
            .0
            .lanes
            .get_or_init(crate::socket::Lanes::start)
            .lane(self.id)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.endpoint.0.connections.lock().remove(&self.id);
    }
}
