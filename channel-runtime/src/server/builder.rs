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
    socket::{ChannelSocket, Mount, MountOf, Mounts, check_path},
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
#[derive(Default)]
#[must_use = "call `build`"]
pub struct EndpointBuilder {
    adapter: Option<Box<dyn Adapter>>,
    mounts: Vec<(String, Result<SocketOptions, ConfigError>, MakeMount)>,
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
type MakeMount = fn(SocketOptions) -> Arc<dyn Mount>;

impl EndpointBuilder {
    /// Mounts a socket at a path, with the default options. Its WebSocket is at
    /// `<path>/websocket`. Mirrors `Phoenix.Endpoint.socket/3`.
    pub fn socket<S: ChannelSocket>(self, path: &str) -> Self {
        self.socket_with::<S>(path, SocketOptions::default())
    }

    /// Mounts a socket at a path, with these options.
    pub fn socket_with<S: ChannelSocket>(mut self, path: &str, options: SocketOptions) -> Self {
        self.mounts.push((path.to_owned(), Ok(options), |options| {
            Arc::new(MountOf::<S>::new(options))
        }));
        self
    }

    /// Mounts a socket where and as a configuration file says.
    pub fn socket_from<S: ChannelSocket>(mut self, mut config: SocketConfig) -> Self {
        let path = std::mem::take(&mut config.path);
        self.mounts.push((path, config.try_into(), |options| {
            Arc::new(MountOf::<S>::new(options))
        }));
        self
    }

    /// Mounts a socket without channels at a path, with the default options.
    pub fn raw_socket<S: RawSocket>(self, path: &str) -> Self {
        self.raw_socket_with::<S>(path, SocketOptions::default())
    }

    /// Mounts a socket without channels at a path, with these options.
    pub fn raw_socket_with<S: RawSocket>(mut self, path: &str, options: SocketOptions) -> Self {
        self.mounts.push((path.to_owned(), Ok(options), |options| {
            Arc::new(RawMount::<S>::new(options))
        }));
        self
    }

    /// Mounts a socket without channels where and as a configuration file says.
    pub fn raw_socket_from<S: RawSocket>(mut self, mut config: SocketConfig) -> Self {
        let path = std::mem::take(&mut config.path);
        self.mounts.push((path, config.try_into(), |options| {
            Arc::new(RawMount::<S>::new(options))
        }));
        self
    }

    /// What a configuration file says of the endpoint: takes the place of what was given
    /// before, key by key.
    pub fn config(mut self, config: EndpointConfig) -> Self {
        self.url = config.url.or(self.url);
        self.max_connections = config.max_connections.or(self.max_connections);
        self.mailbox_bytes = config.mailbox_bytes.or(self.mailbox_bytes);
        self.outbox_bytes = config.outbox_bytes.or(self.outbox_bytes);
        self.receive_bytes = config.receive_bytes.or(self.receive_bytes);
        self.drain = config.drainer.unwrap_or(self.drain);
        self.filter = config.filter_parameters.unwrap_or(self.filter);
        #[cfg(feature = "serve")]
        {
            self.serve = config.serve.unwrap_or(self.serve);
        }
        #[cfg(feature = "uploads")]
        {
            self.uploads = config.uploads.unwrap_or(self.uploads);
        }
        self
    }

    /// The address under which clients reach the endpoint, such as `https://example.com` or
    /// `//localhost`: pages of this host may connect where a socket's
    /// [`check_origin`](SocketOptions::check_origin) asks for the endpoint's. Without one, the
    /// host that a request names counts as the endpoint's. Mirrors `url: [host: …]`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// How many connections may be open at once, over all sockets and transports of this node;
    /// as many as the machine bears unless given. Further clients get status 503, with a
    /// warning in the log, and come again.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
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
    /// # let _ = builder;
    /// ```
    pub fn filter_parameters(mut self, filter: FilterParameters) -> Self {
        self.filter = filter;
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
        self.mailbox_bytes = Some(bytes);
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
        self.outbox_bytes = Some(bytes);
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
        self.receive_bytes = Some(bytes);
        self
    }

    /// How connections are ended at a shutdown. Mirrors the `:drainer` option.
    pub fn drainer(mut self, options: DrainOptions) -> Self {
        self.drain = options;
        self
    }

    /// The limits of [`Endpoint::serve`]: how long clients may take, and how many connections there
    /// may be, those included that have sent nothing.
    #[cfg(feature = "serve")]
    pub fn serve_options(mut self, options: ServeOptions) -> Self {
        self.serve = options;
        self
    }

    /// How many uploads may be open at once, of one socket and of all, so that files which clients
    /// begin and do not end leave room for connections.
    #[cfg(feature = "uploads")]
    pub fn upload_options(mut self, options: UploadOptions) -> Self {
        self.uploads = options;
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
        self.secrets.add(secret.as_ref());
        self
    }

    /// Checks the configuration and makes the endpoint.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the option which cannot work.
    pub fn build(self) -> Result<Endpoint, ConfigError> {
        let mut mounts: Vec<(String, Arc<dyn Mount>)> = Vec::new();
        for (path, options, mount) in self.mounts {
            let mut options = options?;
            check_path(&path, &mounts)?;
            options.prepare()?;
            options.warn(&path);
            let mount = mount(options);
            mount.check()?;
            mounts.push((path, mount));
        }
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
    /// Starts to configure an endpoint.
    pub fn builder() -> EndpointBuilder {
        EndpointBuilder::default()
    }
}

/// The URL of one host.
fn endpoint_url(url: String) -> Result<OriginPattern, ConfigError> {
    let parsed = url.parse::<OriginPattern>().ok();
    let exact = parsed.filter(OriginPattern::is_exact);
    exact.ok_or(ConfigError::Url(url))
}
