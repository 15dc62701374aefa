use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::EndpointConfig;
#[cfg(feature = "serve")]
use crate::options::ServeOptions;
#[cfg(feature = "long-poll")]
use crate::transport::AllRemoteSessions;
use crate::{
    connection::{Connections, TotalBudget, batch},
    endpoint::{DrainOptions, Endpoint, Extensions, Inner},
    error::ConfigError,
    options::SocketOptions,
    origin::OriginPattern,
    pubsub::{Adapter, PubSub},
    socket::{Mount, MountOf, Mounts, StateFrom, Supplies, check_path},
    telemetry::FilterParameters,
    transport::{RawMount, RawSocket},
};

/// The default for the bytes of half-received messages, of all clients together.
const RECEIVE_BYTES: usize = 64 << 20;

/// The default for the bytes that may wait for all slow clients together.
const OUTBOX_BYTES: usize = 256 << 20;

/// The default for the bytes that may wait for all channels together.
const MAILBOX_BYTES: usize = 256 << 20;

/// Configures an [`Endpoint`]: see [`Endpoint::builder`].
///
/// `S` is the state that its sockets still need. As with axum's `Router<S>`, it is inferred, and
/// [`EndpointBuilder::with_state`] provides it last.
#[must_use = "call `build`"]
pub struct EndpointBuilder<S = ()> {
    mounts: Vec<(SocketOptions, MakeMount<S>)>,
    settings: Settings,
}

/// All settings except the sockets.
#[derive(Default)]
struct Settings {
    config: EndpointConfig,
    adapter: Option<Box<dyn Adapter>>,
    #[cfg(feature = "token")]
    secrets: crate::token::Secrets,
}

/// Mounts a socket type, once its options have been checked and its state is available.
type MakeMount<S> = Box<dyn FnOnce(SocketOptions, &S) -> Arc<dyn Mount> + Send + Sync>;

fn mount<K: StateFrom<S>, S>(options: SocketOptions, state: &S) -> Arc<dyn Mount> {
    Arc::new(MountOf::<K>::new(options, K::state_from(state)))
}

fn raw_mount<K: RawSocket, S>(options: SocketOptions, _: &S) -> Arc<dyn Mount> {
    Arc::new(RawMount::<K>::new(options))
}

impl<S> Default for EndpointBuilder<S> {
    fn default() -> Self {
        EndpointBuilder {
            mounts: Vec::new(),
            settings: Settings::default(),
        }
    }
}

impl<S: Send + Sync + 'static> EndpointBuilder<S> {
    /// Mounts a socket at a path with the default options, or with [`SocketOptions`]. Its WebSocket
    /// is at `<path>/websocket`. Mirrors `Phoenix.Endpoint.socket/3`.
    ///
    /// ```
    /// # use channel_runtime::{Endpoint, SocketOptions, prelude::*};
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
    /// let file = r#"{"path": "/admin", "max_channels": 3}"#;
    /// let admin: SocketOptions = serde_json::from_str(file)?;
    /// let endpoint = Endpoint::builder()
    ///     .socket::<UserSocket>("/socket")
    ///     .socket::<UserSocket>(SocketOptions::new("/mobile").outbox_bytes(1 << 20))
    ///     .socket::<UserSocket>(admin)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn socket<K: StateFrom<S>>(mut self, options: impl Into<SocketOptions>) -> Self {
        self.mounts.push((options.into(), Box::new(mount::<K, S>)));
        self
    }

    /// Mounts a socket without channels; the options are those of [`EndpointBuilder::socket`].
    pub fn raw_socket<K: RawSocket>(mut self, options: impl Into<SocketOptions>) -> Self {
        self.mounts
            .push((options.into(), Box::new(raw_mount::<K, S>)));
        self
    }

    /// Applies the endpoint's part of a configuration file. Its keys override earlier settings one
    /// by one.
    pub fn config(mut self, config: EndpointConfig) -> Self {
        self.settings.config = config.or(self.settings.config);
        self
    }

    /// Sets the URL under which clients reach the endpoint, such as `https://example.com` or
    /// `//localhost`. Pages of this host may connect if a socket's
    /// [`check_origin`](SocketOptions::check_origin) asks for the endpoint's host. Without a URL,
    /// the host of each request counts as the endpoint's. Mirrors `url: [host: …]`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.settings.config.url = Some(url.into());
        self
    }

    /// Sets how many connections may be open at once, over all sockets and transports of this node;
    /// unlimited by default. Further clients get status 503, with a warning in the log, and retry.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.config.max_connections = Some(connections);
        self
    }

    /// Sets which parameters of joins, messages and connects the log shows, and which it replaces
    /// with `[FILTERED]`. By default passwords, tokens and the like are filtered, see
    /// [`FilterParameters`]. Mirrors `config :phoenix, :filter_parameters`.
    ///
    /// ```
    /// use channel_runtime::{Endpoint, FilterParameters};
    ///
    /// let more = FilterParameters::default().also(["iban"]);
    /// let builder = Endpoint::builder().filter_parameters(more);
    /// # let _ = builder.build();
    /// ```
    pub fn filter_parameters(mut self, filter: FilterParameters) -> Self {
        self.settings.config.filter_parameters = Some(filter);
        self
    }

    /// Sets how many bytes of the clients' messages may wait for channels, of all connections
    /// together; 256 MiB by default, 4 GiB at most. Each connection may use another 16 KiB, so that
    /// a few clients which send far ahead of their channels do not keep out the others.
    ///
    /// When the budget is spent, a connection that exceeds its own 16 KiB is not read, which slows
    /// its client down. After the socket's [`mailbox_wait`](SocketOptions::mailbox_wait) its
    /// messages are refused with `channel overloaded`. The limit of one connection is
    /// [`SocketOptions::mailbox_bytes`].
    pub fn mailbox_bytes(mut self, bytes: usize) -> Self {
        self.settings.config.mailbox_bytes = Some(bytes);
        self
    }

    /// Sets how many bytes may wait for slow clients, over all connections of this node; 256 MiB by
    /// default. [`SocketOptions::outbox_bytes`] limits one connection, this limits their sum.
    ///
    /// Each frame counts as in its outbox. A frame broadcast to many clients is stored once, so its
    /// bytes count once, plus 128 bytes for each client that it waits for. Broadcasts that wait for
    /// a channel which intercepts them count for each channel. Up to 16 KiB per connection do not
    /// count.
    ///
    /// When the budget is spent, the slowest connection is evicted: the one with the most waiting
    /// bytes, and among equals the one that has waited longest. It is closed with code 1013. If its
    /// [`SlowConsumer`](crate::SlowConsumer) policy drops broadcasts, the waiting ones are dropped
    /// first, and it is closed only if that is not enough. `channel_slow_consumer_total` counts it
    /// with the reason `endpoint`; a warning is logged whenever their number has doubled.
    pub fn outbox_bytes(mut self, bytes: usize) -> Self {
        self.settings.config.outbox_bytes = Some(bytes);
        self
    }

    /// Sets how many bytes of incomplete messages the clients of this node may have sent, all
    /// together; 64 MiB by default. [`SocketOptions::max_frame_size`] and
    /// [`max_message_size`](SocketOptions::max_message_size) limit one connection, this limits
    /// their sum. The bodies of long-poll clients count while they arrive, and complete messages
    /// while they wait for room. Up to 64 KiB of each do not count.
    ///
    /// When the budget is spent, the clients that have been silent longest are evicted, so that
    /// stalled clients cannot keep out active ones; clients that have joined no channel go first. A
    /// WebSocket is closed with code 1013, a POST is answered with status 500, and clients retry
    /// after both. `channel_half_received_dropped_total` counts them, and a warning is logged
    /// whenever their number has doubled. A message that is the only one may complete, however
    /// large it is.
    pub fn receive_bytes(mut self, bytes: usize) -> Self {
        self.settings.config.receive_bytes = Some(bytes);
        self
    }

    /// Sets how connections are closed at a shutdown. Mirrors the `:drainer` option.
    pub fn drainer(mut self, options: DrainOptions) -> Self {
        self.settings.config.drainer = Some(options);
        self
    }

    /// Sets the limits of [`Endpoint::serve`]: how long clients may take, and how many connections
    /// may be open, including those that have sent nothing.
    #[cfg(feature = "serve")]
    pub fn serve_options(mut self, options: ServeOptions) -> Self {
        self.settings.config.serve = Some(options);
        self
    }

    /// Sets how many uploads may be open at once, of one socket and of all, so that unfinished
    /// files of clients leave room for connections.
    #[cfg(feature = "upload")]
    pub fn upload_options(mut self, options: crate::upload::UploadOptions) -> Self {
        self.settings.config.uploads = Some(options);
        self
    }

    /// Sets the secret of the endpoint's tokens: at least 32 random bytes, the same on every node,
    /// and kept out of the repository. Without one, the endpoint generates a secret for the
    /// lifetime of its process; tokens, and the sessions of long-poll clients, then do not survive
    /// a restart. Mirrors `:secret_key_base`.
    ///
    /// To rotate it, pass the new secret first and then, in a second call, the old one: tokens are
    /// created with the first and accepted from all.
    #[cfg(feature = "token")]
    pub fn secret_key(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.settings.secrets.add(secret.as_ref());
        self
    }

    /// Connects the endpoint to those of other nodes: a broadcast on one reaches the subscribers of
    /// all. Without an adapter, the endpoint is alone. Mirrors the `:pubsub_server` option.
    ///
    /// See [`pubsub`](crate::pubsub) for the guarantees across nodes, and for what may be lost.
    pub fn pubsub(mut self, adapter: impl Adapter) -> Self {
        self.settings.adapter = Some(Box::new(adapter));
        self
    }

    /// Provides the state of the sockets: the type that `#[socket(state = …)]` names, or one from
    /// which it is extracted by [`FromRef`](crate::FromRef), so that each socket gets its part.
    /// Call it last, as with axum's `Router`; a missing state does not compile.
    ///
    /// ```
    /// use channel_runtime::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct App { greeting: &'static str }
    ///
    /// struct UserSocket;
    ///
    /// #[socket(channels = [Room], state = App)]
    /// impl UserSocket {
    ///     #[connect]
    ///     fn connect() -> Self { UserSocket }
    /// }
    ///
    /// struct Room;
    ///
    /// #[channel("room:*", socket = UserSocket)]
    /// impl Room {
    ///     #[join]
    ///     fn join(app: &App) -> (Self, &'static str) { (Room, app.greeting) }
    /// }
    ///
    /// let endpoint = Endpoint::builder()
    ///     .socket::<UserSocket>("/socket")
    ///     .with_state(App { greeting: "hello" })
    ///     .build()?;
    /// # Ok::<(), channel_runtime::ConfigError>(())
    /// ```
    ///
    /// Sockets mounted afterwards have a separate state, provided by a further `with_state`.
    pub fn with_state<T>(self, state: S) -> EndpointBuilder<T> {
        let state = Arc::new(state);
        let with_state = |(options, mount): (_, MakeMount<S>)| {
            let state = state.clone();
            let mount: MakeMount<T> = Box::new(move |options, _| mount(options, &state));
            (options, mount)
        };
        EndpointBuilder {
            mounts: self.mounts.into_iter().map(with_state).collect(),
            settings: self.settings,
        }
    }

    /// Checks the configuration and creates the endpoint.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the invalid option.
    pub fn build(self) -> Result<Endpoint, ConfigError>
    where
        (): Supplies<S>,
    {
        let mounts = mount_all(self.mounts, &().supply())?;
        self.settings.build(mounts)
    }
}

impl Settings {
    fn build(self, mounts: Mounts) -> Result<Endpoint, ConfigError> {
        let config = self.config;
        config.check()?;
        #[cfg(feature = "long-poll")]
        if self.adapter.is_some() && self.secrets.is_empty() && mounts.long_poll() {
            crate::transport::no_secret();
        }
        let url = config.url.clone().map(endpoint_url).transpose()?;
        #[cfg(feature = "token")]
        let secrets = self.secrets.or_random()?;
        let pubsub = match self.adapter {
            Some(adapter) => PubSub::with(adapter, batch)?,
            None => PubSub::embedded(batch),
        };
        let (tasks, draining) = (TaskTracker::new(), CancellationToken::new());
        let connections = Connections::new(
            config.max_connections,
            config.outbox_bytes.unwrap_or(OUTBOX_BYTES),
            config.receive_bytes.unwrap_or(RECEIVE_BYTES),
        );
        let extensions = Extensions::default();
        config.install(&extensions)?;
        #[cfg(feature = "long-poll")]
        extensions.insert(AllRemoteSessions::open(
            &mounts,
            &pubsub,
            &secrets,
            &tasks,
            &draining,
            &connections,
        ));
        extensions.insert(mounts);
        Ok(Endpoint::new(Inner {
            pubsub,
            tasks,
            draining,
            connections,
            mailbox_budget: TotalBudget::new(config.mailbox_bytes.unwrap_or(MAILBOX_BYTES)),
            url,
            filter: Arc::new(config.filter_parameters.unwrap_or_default()),
            #[cfg(feature = "token")]
            secrets,
            extensions,
        }))
    }
}

impl Endpoint {
    /// Returns a builder for an endpoint.
    pub fn builder<S: Send + Sync + 'static>() -> EndpointBuilder<S> {
        EndpointBuilder::default()
    }
}

fn mount_all<S>(
    mounts: Vec<(SocketOptions, MakeMount<S>)>,
    state: &S,
) -> Result<Mounts, ConfigError> {
    let mut mounted: Vec<(String, Arc<dyn Mount>)> = Vec::new();
    for (mut options, mount) in mounts {
        let path = options.path.clone();
        check_path(&path, &mounted)?;
        options.prepare()?;
        options.warn();
        let mount = mount(options, state);
        mount.check()?;
        mounted.push((path, mount));
    }
    Ok(Mounts::new(mounted))
}

/// Parses the URL of a single host.
fn endpoint_url(url: String) -> Result<OriginPattern, ConfigError> {
    let parsed = url.parse::<OriginPattern>().ok();
    let exact = parsed.filter(OriginPattern::is_exact);
    exact.ok_or(ConfigError::Url(url))
}
