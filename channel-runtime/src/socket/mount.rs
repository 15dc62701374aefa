//! Mounts sockets at paths, for every transport.

#[cfg(feature = "test")]
use std::any::{TypeId, type_name};
use std::{fmt::Display, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::{FutureExt, future::BoxFuture};
use tracing::Instrument;

use super::{
    ChannelSocket, ConnectContext, Route,
    channels_handler::{Channels, ChannelsHandler},
    path::{self, Values},
};
use crate::{
    channel::Connected,
    connection::{ClientId, ClientSender, Close, ConnectError, ConnectRequest, Connection, Outbox},
    endpoint::Endpoint,
    error::ConfigError,
    options::SocketOptions,
    protocol::{Broadcast, SharedSerializer, Topic},
    pubsub::{FnSubscriber, Subscription},
    telemetry,
};

/// Runs a socket's own connect code, and records the outcome. A panic refuses the client.
pub(crate) async fn guarded(
    socket: &'static str,
    transport: &'static str,
    open: impl Future<Output = Result<Connection, ConnectError>>,
) -> Result<Connection, ConnectError> {
    let started = Instant::now();
    let connection = AssertUnwindSafe(open)
        .catch_unwind()
        .instrument(telemetry::connect_span(socket, transport))
        .await
        .unwrap_or_else(|panic| {
            telemetry::socket_panicked(socket, &*panic);
            Err(ConnectError::Crashed)
        });
    let refused = connection.as_ref().err().map(|error| error as &dyn Display);
    telemetry::connected(socket, transport, refused, started.elapsed());
    connection
}

/// A socket type with its options, as the endpoint keeps it.
pub(crate) trait Mount: Send + Sync {
    /// Accepts or refuses the client, and opens the connection.
    fn connect(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> BoxFuture<'_, Result<Connection, ConnectError>>;

    /// Returns the options for the built-in transports.
    #[cfg_attr(
        not(any(feature = "websocket", feature = "long-poll")),
        allow(dead_code)
    )]
    fn options(&self) -> &SocketOptions;

    /// Checks that the socket can work with these options.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Returns the number of files that its channels may keep open at once.
    #[cfg(feature = "serve")]
    fn open_files(&self, _endpoint: &Endpoint) -> usize {
        0
    }

    /// Returns `(topic pattern, channel)` pairs.
    fn patterns(&self) -> Vec<(&'static str, &'static str)>;

    fn name(&self) -> &'static str;

    /// Returns the type of the state, and its name.
    #[cfg(feature = "test")]
    fn state(&self) -> (TypeId, &'static str) {
        (TypeId::of::<()>(), "()")
    }
}

/// The state for one client of a test.
#[cfg(feature = "test")]
pub(crate) struct TestState<T>(pub(crate) Arc<T>);

#[cfg(feature = "test")]
impl<T> Clone for TestState<T> {
    fn clone(&self) -> Self {
        TestState(self.0.clone())
    }
}

/// A socket type with its options.
pub(crate) struct MountOf<S: ChannelSocket> {
    options: SocketOptions,
    state: Arc<<S as ChannelSocket>::State>,
    routes: Arc<[Route<S>]>,
}

impl<S: ChannelSocket> MountOf<S> {
    pub(crate) fn new(options: SocketOptions, state: Arc<<S as ChannelSocket>::State>) -> Self {
        MountOf {
            options,
            state,
            routes: S::routes().into(),
        }
    }

    async fn open(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> Result<Connection, ConnectError> {
        let serializer = self.negotiate(&request).ok_or(ConnectError::Version)?;
        let state = self.state_for(&request);
        let cx = ConnectContext {
            request: &request,
            endpoint: &endpoint,
            state: &*state,
        };
        let connecting = S::connect(&cx, &request.params).map_err(ConnectError::Refused)?;
        let user = connecting.run().await.map_err(ConnectError::Refused)?;
        let outbox = Outbox::new(self.options.outbox(), endpoint.connections().outboxes());
        let id = user.id().map(Topic::from);
        let mut info = request.info;
        info.client = ClientId::new(id.clone());
        let disconnect = match id {
            Some(id) => Some(disconnect_on(id, &endpoint, &outbox).await),
            None => None,
        };
        let channels = Channels {
            user: Arc::new(Connected::new(user, state)),
            routes: self.routes.clone(),
        };
        let registered = endpoint.register(&outbox)?;
        let client = ClientSender::new(outbox.clone(), serializer);
        let handler = ChannelsHandler::new(
            Box::new(channels),
            client,
            info,
            endpoint,
            &self.options,
            disconnect,
        );
        Ok(Connection::new(Box::new(handler), outbox, registered))
    }

    /// Returns the state of one connection: the mount's, or the one that a test provides instead.
    fn state_for(&self, request: &ConnectRequest) -> Arc<<S as ChannelSocket>::State> {
        #[cfg(feature = "test")]
        if let Some(given) = request
            .extensions
            .get::<TestState<<S as ChannelSocket>::State>>()
        {
            return given.0.clone();
        }
        #[cfg(not(feature = "test"))]
        let _ = request;
        self.state.clone()
    }

    fn negotiate(&self, request: &ConnectRequest) -> Option<SharedSerializer> {
        let vsn = request.params.get("vsn");
        let (vsn, offered) = (vsn.as_deref().unwrap_or("1.0.0"), &self.options.serializers);
        let serializer = match request.text_only {
            true => offered.negotiate_text(vsn),
            false => offered.negotiate(vsn),
        };
        serializer.filter(|_| !request.params.has_nested("vsn"))
    }
}

/// Ends the connection when `disconnect` is broadcast to the socket's id, on any node.
async fn disconnect_on(topic: Topic, endpoint: &Endpoint, outbox: &Arc<Outbox>) -> Subscription {
    let outbox = Arc::downgrade(outbox);
    let relay = FnSubscriber::new(move |broadcast: &Broadcast| {
        if let Some(outbox) = outbox
            .upgrade()
            .filter(|_| broadcast.event() == "disconnect")
        {
            outbox.close(Close::DISCONNECT);
        }
    });
    let pubsub = endpoint.pubsub();
    let prepared = pubsub.prepare(&topic).await;
    pubsub.subscribe_then(prepared, topic, pubsub.new_id(), Arc::new(relay), || ())
}

impl<S: ChannelSocket> Mount for MountOf<S> {
    fn connect(
        &self,
        endpoint: Endpoint,
        request: ConnectRequest,
    ) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(guarded(
            self.name(),
            request.info.transport,
            self.open(endpoint, request),
        ))
    }

    fn options(&self) -> &SocketOptions {
        &self.options
    }

    fn check(&self) -> Result<(), ConfigError> {
        let mut routes = self.routes.iter();
        routes.try_for_each(|route| route.check(&self.options))
    }

    #[cfg(feature = "serve")]
    fn open_files(&self, endpoint: &Endpoint) -> usize {
        let each = self.routes.iter().map(|route| (route.open_files)(endpoint));
        each.max().unwrap_or(0)
    }

    fn patterns(&self) -> Vec<(&'static str, &'static str)> {
        super::patterns(&self.routes).into_iter().collect()
    }

    fn name(&self) -> &'static str {
        S::NAME
    }

    #[cfg(feature = "test")]
    fn state(&self) -> (TypeId, &'static str) {
        let name = type_name::<<S as ChannelSocket>::State>();
        (TypeId::of::<<S as ChannelSocket>::State>(), name)
    }
}

/// The sockets mounted at the paths of an endpoint.
#[derive(Default)]
pub(crate) struct Mounts(Vec<(String, Arc<dyn Mount>)>);

impl Mounts {
    pub(crate) fn new(mounts: Vec<(String, Arc<dyn Mount>)>) -> Self {
        Mounts(mounts)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(String, Arc<dyn Mount>)> {
        self.0.iter()
    }

    #[cfg(feature = "long-poll")]
    pub(crate) fn long_poll(&self) -> bool {
        self.iter()
            .any(|(_, mount)| mount.options().long_poll.is_some())
    }

    /// Returns the socket mounted at a path, and the values of the path's variables. A path without
    /// variables takes precedence over one with variables.
    pub(crate) fn at<'a>(&'a self, path: &'a str) -> Option<(&'a Arc<dyn Mount>, Values<'a>)> {
        self.iter()
            .filter_map(|(mounted, mount)| Some((mount, path::matches(mounted, path)?)))
            .min_by_key(|(_, values)| values.len())
    }
}

/// Checks that a path can be mounted beside these.
pub(crate) fn check_path(
    path: &str,
    mounts: &[(String, Arc<dyn Mount>)],
) -> Result<(), ConfigError> {
    path::check(path)?;
    match mounts.iter().any(|(known, _)| path::is_same(known, path)) {
        true => Err(ConfigError::DuplicatePath(path.to_owned())),
        false => Ok(()),
    }
}

/// One route of an endpoint: see [`Endpoint::routes`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteInfo {
    /// The path at which the socket is mounted.
    pub path: String,
    /// The socket type.
    pub socket: &'static str,
    /// A topic pattern.
    pub topic: &'static str,
    /// The channel that takes it.
    pub channel: &'static str,
}

impl Endpoint {
    /// Returns the topics that can be joined, socket by socket: the list of `mix phx.routes`.
    pub fn routes(&self) -> Vec<RouteInfo> {
        self.mounts()
            .iter()
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

    /// Opens a connection to the socket mounted at `path`, for your own transports. See
    /// [`transport`](crate::transport). Mirrors `c:Phoenix.Socket.Transport.connect/1`.
    ///
    /// The values of the path's variables are added to the request's parameters: a socket mounted
    /// at `/socket/{tenant}` is reached at `/socket/acme`.
    ///
    /// # Errors
    ///
    /// Returns a [`ConnectError`]: refused, draining, or nothing is mounted there.
    pub async fn connect(
        &self,
        path: &str,
        mut request: ConnectRequest,
    ) -> Result<Connection, ConnectError> {
        if self.is_draining() {
            return Err(ConnectError::Draining);
        }
        let mounts = self.mounts();
        let found = mounts.at(path);
        let (mount, values) = found.ok_or_else(|| ConnectError::NoSocket(path.to_owned()))?;
        self.connections().check_room()?;
        request.params = request.params.with_path(values).filtered(self.filter());
        mount.connect(self.clone(), request).await
    }

    pub(crate) fn mounts(&self) -> Arc<Mounts> {
        self.extension()
    }
}
