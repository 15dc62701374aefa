use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::EndpointConfig;
#[cfg(feature = "longpoll")]
use crate::transport::AllRemoteSessions;
use crate::{
    connection::{Connections, TotalBudget, batch},
    endpoint::{DrainOptions, Endpoint, Extensions, Inner},
    error::ConfigError,
    options::{SocketConfig, SocketOptions},
    origin::OriginPattern,
    pubsub::{Adapter, PubSub},
    socket::{Mount, MountOf, Mounts, StateFrom, Supplies, check_path},
    telemetry::FilterParameters,
    transport::{RawMount, RawSocket},
};
#[cfg(feature = "serve")]
use crate::{options::ServeOptions, serve::ServeLimits};
#[cfg(feature = "uploads")]
use crate::{options::UploadOptions, upload::OpenUploads};

/// How many bytes all clients together may have sent in part, unless told otherwise.
const RECEIVE_BYTES: usize = 64 << 20;

/// The default limit of bytes that wait for all slow clients together.
const OUTBOX_BYTES: usize = 256 << 20;

/// Configures an [`Endpoint`]: see [`Endpoint::builder`].
///
/// `S` is the state that its sockets need and do not have yet. As of axum's `Router<S>`, it is
/// inferred, and [`EndpointBuilder::with_state`] gives it last.
#[must_use = "call `build`"]
pub struct EndpointBuilder<S = ()> {
    mounts: Vec<(String, Result<SocketOptions, ConfigError>, MakeMount<S>)>,
    settings: Settings,
}

/// All but the sockets.
#[derive(Default)]
struct Settings {
    adapter: Option<Box<dyn Adapter>>,
    drain: DrainOptions,
    #[cfg(feature = "serve")]
    serve: ServeOptions,
    #[cfg(feature = "uploads")]
    uploads: UploadOptions,
    url: Option<String>,
    max_connections: Option<usize>,
    filter: FilterParameters,
    mailbox_bytes: Option<usize>,
    outbox_bytes: Option<usize>,
    receive_bytes: Option<usize>,
    #[cfg(feature = "token")]
    secrets: crate::token::Secrets,
}

/// How many bytes may wait for all channels, unless given.
const MAILBOX_BYTES: usize = 256 << 20;

/// Makes what is mounted, once its options are known to work.
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
    /// Mounts a socket at a path, with the default options. Its WebSocket is at
    /// `<path>/websocket`. Mirrors `Phoenix.Endpoint.socket/3`.
    pub fn socket<K: StateFrom<S>>(self, path: &str) -> Self {
        self.socket_with::<K>(path, SocketOptions::default())
    }

    /// Mounts a socket at a path, with these options.
    pub fn socket_with<K: StateFrom<S>>(mut self, path: &str, options: SocketOptions) -> Self {
        self.mounts
            .push((path.to_owned(), Ok(options), Box::new(mount::<K, S>)));
        self
    }

    /// Mounts a socket where and as a configuration file says.
    pub fn socket_from<K: StateFrom<S>>(mut self, mut config: SocketConfig) -> Self {
        let path = std::mem::take(&mut config.path);
        self.mounts
            .push((path, config.try_into(), Box::new(mount::<K, S>)));
        self
    }

    /// Mounts a socket without channels at a path, with the default options.
    pub fn raw_socket<K: RawSocket>(self, path: &str) -> Self {
        self.raw_socket_with::<K>(path, SocketOptions::default())
    }

    /// Mounts a socket without channels at a path, with these options.
    pub fn raw_socket_with<K: RawSocket>(mut self, path: &str, options: SocketOptions) -> Self {
        self.mounts
            .push((path.to_owned(), Ok(options), Box::new(raw_mount::<K, S>)));
        self
    }

    /// Mounts a socket without channels where and as a configuration file says.
    pub fn raw_socket_from<K: RawSocket>(mut self, mut config: SocketConfig) -> Self {
        let path = std::mem::take(&mut config.path);
        self.mounts
            .push((path, config.try_into(), Box::new(raw_mount::<K, S>)));
        self
    }

    /// What a configuration file says of the endpoint: takes the place of what was given
    /// before, key by key.
    pub fn config(mut self, config: EndpointConfig) -> Self {
        self.settings.url = config.url.or(self.settings.url);
        self.settings.max_connections = config.max_connections.or(self.settings.max_connections);
        self.settings.mailbox_bytes = config.mailbox_bytes.or(self.settings.mailbox_bytes);
        self.settings.outbox_bytes = config.outbox_bytes.or(self.settings.outbox_bytes);
        self.settings.receive_bytes = config.receive_bytes.or(self.settings.receive_bytes);
        self.settings.drain = config.drainer.unwrap_or(self.settings.drain);
        self.settings.filter = config.filter_parameters.unwrap_or(self.settings.filter);
        #[cfg(feature = "serve")]
        {
            self.settings.serve = config.serve.unwrap_or(self.settings.serve);
        }
        #[cfg(feature = "uploads")]
        {
            self.settings.uploads = config.uploads.unwrap_or(self.settings.uploads);
        }
        self
    }

    /// The address under which clients reach the endpoint, such as `https://example.com` or
    /// `//localhost`: pages of this host may connect where a socket's
    /// [`check_origin`](SocketOptions::check_origin) asks for the endpoint's. Without one, the
    /// host that a request names counts as the endpoint's. Mirrors `url: [host: …]`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.settings.url = Some(url.into());
        self
    }

    /// How many connections may be open at once, over all sockets and transports of this node;
    /// as many as the machine bears unless given. Further clients get status 503, with a
    /// warning in the log, and come again.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = Some(connections);
        self
    }

    /// Which parameters of joins, messages and connects the log shows, and which only as
    /// `[FILTERED]`; unless given, passwords, tokens and the like are filtered, see
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
        self.settings.filter = filter;
        self
    }

    /// How many bytes of the clients' messages may wait for channels, of all connections together;
    /// 256 MiB unless given, 4 GiB at most. Each connection may have 16 KiB beside that, so that a
    /// few clients which send far ahead of their channels do not keep out the others.
    ///
    /// Without room, nothing more is read of a connection that has more than that waiting, which
    /// holds its client back; after the socket's
    /// [`mailbox_wait`](SocketOptions::mailbox_wait) its messages are refused with `channel overloaded`.
    /// The limit of one connection is [`SocketOptions::mailbox_bytes`].
    pub fn mailbox_bytes(mut self, bytes: usize) -> Self {
        self.settings.mailbox_bytes = Some(bytes);
        self
    }

    /// How many bytes may wait for slow clients, over all connections of this node; 256 MiB unless
    /// given. [`SocketOptions::outbox_bytes`] bounds one connection, this bounds their sum.
    ///
    /// Each frame counts as in its outbox. One that is broadcast to many is kept once, so its
    /// bytes count once, and for each client that it waits for 128 bytes. Broadcasts that wait for
    /// a channel which intercepts them count for each channel. Up to 16 KiB of a connection do
    /// not count.
    ///
    /// When the budget is spent, the slowest connection goes: the one for which the most bytes
    /// wait, of several the one that has waited for longest. It is closed with code 1013;
    /// where its [`SlowConsumer`](crate::SlowConsumer) policy leaves broadcasts
    /// out, those that wait are left out, and it is closed if that is not enough.
    /// `channel_slow_consumer_total` counts it with the reason `endpoint`; a warning is logged each
    /// time that their number has doubled.
    pub fn outbox_bytes(mut self, bytes: usize) -> Self {
        self.settings.outbox_bytes = Some(bytes);
        self
    }

    /// How many bytes the clients of this node may have sent of messages that are not whole, all
    /// together; 64 MiB unless given. [`SocketOptions::max_frame_size`] and
    /// [`max_message_size`](SocketOptions::max_message_size) bound one connection, this bounds their
    /// sum. Bodies of polling clients count while they come in, and messages that have come whole
    /// while they wait for room. Up to 64 KiB of each do not count.
    ///
    /// When it is spent, those go that have sent nothing more for longest, so that clients which stop
    /// in the middle cannot keep out those which go on; first of all, clients which have joined no
    /// channel. A WebSocket is closed with code 1013, a POST is answered with status 500, and clients
    /// try both again. `channel_half_received_dropped_total` counts them, and a warning is
    /// logged each time that their number has doubled. A message that is alone may come whole, however large it is.
    pub fn receive_bytes(mut self, bytes: usize) -> Self {
        self.settings.receive_bytes = Some(bytes);
        self
    }

    /// How connections are ended at a shutdown. Mirrors the `:drainer` option.
    pub fn drainer(mut self, options: DrainOptions) -> Self {
        self.settings.drain = options;
        self
    }

    /// The limits of [`Endpoint::serve`]: how long clients may take, and how many connections there
    /// may be, those included that have sent nothing.
    #[cfg(feature = "serve")]
    pub fn serve_options(mut self, options: ServeOptions) -> Self {
        self.settings.serve = options;
        self
    }

    /// How many uploads may be open at once, of one socket and of all, so that files which clients
    /// begin and do not end leave room for connections.
    #[cfg(feature = "uploads")]
    pub fn upload_options(mut self, options: UploadOptions) -> Self {
        self.settings.uploads = options;
        self
    }

    /// The secret that the endpoint's tokens are made with: at least 32 random bytes, the same on
    /// every node, and kept out of the repository. Without one, the endpoint makes one that lives
    /// as long as its process: then tokens, and the sessions of long-poll clients, do not survive
    /// a restart. Mirrors `:secret_key_base`.
    ///
    /// To change it, give the new one first and then, in a second call, the old one: tokens are
    /// made with the first and accepted from all.
    #[cfg(feature = "token")]
    pub fn secret_key(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.settings.secrets.add(secret.as_ref());
        self
    }

    /// Connects the endpoint to those of other nodes: what one broadcasts, the subscribers of all
    /// hear. Without an adapter, the endpoint is alone. Mirrors the `:pubsub_server` option.
    ///
    /// See [`pubsub`](crate::pubsub) for what holds across nodes, and what may be lost.
    pub fn pubsub(mut self, adapter: impl Adapter) -> Self {
        self.settings.adapter = Some(Box::new(adapter));
        self
    }

    /// Gives the sockets their state: the one that `#[socket(state = …)]` names, or one that it is
    /// taken from by [`FromRef`](crate::FromRef), so that each socket has its part of it. Called last,
    /// as of axum's `Router`; a state that is missing does not compile.
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
    /// Sockets that are mounted afterwards have a state of their own, given by a further
    /// `with_state`.
    pub fn with_state<T>(self, state: S) -> EndpointBuilder<T> {
        let state = Arc::new(state);
        let with_state = |(path, options, mount): (_, _, MakeMount<S>)| {
            let state = state.clone();
            let mount: MakeMount<T> = Box::new(move |options, _| mount(options, &state));
            (path, options, mount)
        };
        EndpointBuilder {
            mounts: self.mounts.into_iter().map(with_state).collect(),
            settings: self.settings,
        }
    }

    /// Checks the configuration and makes the endpoint.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the option which cannot work.
    pub fn build(self) -> Result<Endpoint, ConfigError>
    where
        (): Supplies<S>,
    {
        let state = ().supply();
        let mut mounts: Vec<(String, Arc<dyn Mount>)> = Vec::new();
        for (path, options, mount) in self.mounts {
            let mut options = options?;
            check_path(&path, &mounts)?;
            options.prepare()?;
            options.warn(&path);
            let mount = mount(options, &state);
            mount.check()?;
            mounts.push((path, mount));
        }
        self.settings.build(mounts)
    }
}

impl Settings {
    fn build(self, mounts: Vec<(String, Arc<dyn Mount>)>) -> Result<Endpoint, ConfigError> {
        self.drain.check()?;
        #[cfg(feature = "serve")]
        self.serve.check()?;
        #[cfg(feature = "uploads")]
        self.uploads.check()?;
        #[cfg(feature = "longpoll")]
        if self.adapter.is_some()
            && self.secrets.is_empty()
            && mounts
                .iter()
                .any(|(_, mount)| mount.options().long_poll.is_some())
        {
            crate::transport::no_secret();
        }
        if self.max_connections == Some(0) {
            return Err(ConfigError::Zero("max_connections"));
        }
        if self.mailbox_bytes == Some(0) {
            return Err(ConfigError::Zero("mailbox_bytes"));
        }
        if self.receive_bytes == Some(0) {
            return Err(ConfigError::Zero("receive_bytes"));
        }
        if self.outbox_bytes == Some(0) {
            return Err(ConfigError::Zero("outbox_bytes"));
        }
        let url = self.url.map(endpoint_url).transpose()?;
        #[cfg(feature = "token")]
        let secrets = self.secrets.or_random()?;
        let pubsub = match self.adapter {
            Some(adapter) => PubSub::with(adapter, batch)?,
            None => PubSub::embedded(batch),
        };
        let (tasks, draining) = (TaskTracker::new(), CancellationToken::new());
        let connections = Connections::new(
            self.max_connections,
            self.outbox_bytes.unwrap_or(OUTBOX_BYTES),
            self.receive_bytes.unwrap_or(RECEIVE_BYTES),
        );
        let extensions = Extensions::default();
        #[cfg(feature = "uploads")]
        let (uploads, of_socket) = self.uploads.places();
        #[cfg(feature = "uploads")]
        extensions.insert(OpenUploads::new(uploads, of_socket));
        #[cfg(feature = "serve")]
        {
            #[cfg(feature = "uploads")]
            let kept = match mounts.iter().any(|(_, mount)| mount.takes_uploads()) {
                true => uploads,
                false => 0,
            };
            #[cfg(not(feature = "uploads"))]
            let kept = 0;
            extensions.insert(ServeLimits::new(self.serve, kept));
        }
        #[cfg(feature = "longpoll")]
        extensions.insert(AllRemoteSessions::open(
            &mounts,
            &pubsub,
            &secrets,
            &tasks,
            &draining,
            &connections,
        ));
        extensions.insert(Mounts::new(mounts));
        extensions.insert(self.drain);
        Ok(Endpoint::new(Inner {
            pubsub,
            tasks,
            draining,
            connections,
            mailbox_budget: TotalBudget::new(self.mailbox_bytes.unwrap_or(MAILBOX_BYTES)),
            url,
            filter: Arc::new(self.filter),
            #[cfg(feature = "token")]
            secrets,
            extensions,
        }))
    }
}

impl Endpoint {
    /// Starts to configure an endpoint.
    pub fn builder<S: Send + Sync + 'static>() -> EndpointBuilder<S> {
        EndpointBuilder::default()
    }
}

/// The URL of one host.
fn endpoint_url(url: String) -> Result<OriginPattern, ConfigError> {
    let parsed = url.parse::<OriginPattern>().ok();
    let exact = parsed.filter(OriginPattern::is_exact);
    exact.ok_or(ConfigError::Url(url))
}
