use std::{sync::Arc, time::Duration};

use super::{DrainOptions, Endpoint};
use crate::{
    ChannelSocket, ConfigError, SlowConsumer,
    pubsub::{Adapter, PubSub},
    socket::{MountOf, OutboxLimits},
    transport::{Mount, RawMount, RawSocket},
    wire::Serializers,
};

/// The options of a socket: its limits and times.
///
/// ```
/// use std::time::Duration;
/// use channel_runtime::{SlowConsumer, SocketOptions};
///
/// let options = SocketOptions::default()
///     .timeout(Duration::from_secs(30))
///     .max_frame_size(64 * 1024)
///     .slow_consumer(SlowConsumer::DropNewest);
/// ```
#[derive(Clone, Debug)]
pub struct SocketOptions {
    pub(crate) timeout: Duration,
    pub(crate) max_frame_size: usize,
    pub(crate) max_message_size: usize,
    pub(crate) max_channels: usize,
    pub(crate) inbox_messages: usize,
    pub(crate) inbox_bytes: usize,
    pub(crate) outbox_frames: usize,
    pub(crate) outbox_bytes: usize,
    pub(crate) slow_consumer: SlowConsumer,
    pub(crate) serializers: Serializers,
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions {
            timeout: Duration::from_secs(60),
            max_frame_size: 16 << 20,
            max_message_size: 16 << 20,
            max_channels: 100,
            inbox_messages: 256,
            inbox_bytes: 32 << 20,
            outbox_frames: 1024,
            outbox_bytes: 16 << 20,
            slow_consumer: SlowConsumer::default(),
            serializers: Serializers::default(),
        }
    }
}

impl SocketOptions {
    /// How long a client may send nothing, not even a heartbeat or a ping, before its connection
    /// is closed with code 1002; 60 seconds unless given.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest WebSocket frame a client may send, in bytes; 16 MiB unless given. A larger
    /// one closes the connection with code 1009 before it is read.
    #[must_use]
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.max_frame_size = bytes;
        self
    }

    /// The largest message, all its fragments together, in bytes; 16 MiB unless given.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// How many channels one connection may have joined; 100 unless given. The next join is
    /// refused with `too many channels joined`.
    #[must_use]
    pub fn max_channels(mut self, channels: usize) -> Self {
        self.max_channels = channels;
        self
    }

    /// How many messages may wait for a channel that is busy; 256 unless given. A client's next
    /// message is refused with `channel overloaded`; the next broadcast that the channel
    /// intercepts is dealt with by the [`SlowConsumer`] policy.
    #[must_use]
    pub fn inbox_messages(mut self, messages: usize) -> Self {
        self.inbox_messages = messages;
        self
    }

    /// How many bytes of a client's messages may wait for its channels, all together; 32 MiB
    /// unless given. The next message is refused with `channel overloaded`; one message larger
    /// than that is still taken when no other waits.
    #[must_use]
    pub fn inbox_bytes(mut self, bytes: usize) -> Self {
        self.inbox_bytes = bytes;
        self
    }

    /// How many frames may wait for a client that reads slowly; 1024 unless given.
    #[must_use]
    pub fn outbox_frames(mut self, frames: usize) -> Self {
        self.outbox_frames = frames;
        self
    }

    /// How many bytes may wait for a client that reads slowly; 16 MiB unless given. One frame
    /// larger than that still fits an empty outbox.
    #[must_use]
    pub fn outbox_bytes(mut self, bytes: usize) -> Self {
        self.outbox_bytes = bytes;
        self
    }

    /// What happens when a client reads more slowly than it is sent to.
    #[must_use]
    pub fn slow_consumer(mut self, policy: SlowConsumer) -> Self {
        self.slow_consumer = policy;
        self
    }

    /// The versions of the protocol that are spoken. Mirrors the `:serializer` option.
    #[must_use]
    pub fn serializers(mut self, serializers: Serializers) -> Self {
        self.serializers = serializers;
        self
    }

    pub(crate) fn outbox(&self) -> OutboxLimits {
        OutboxLimits {
            frames: self.outbox_frames,
            bytes: self.outbox_bytes,
            policy: self.slow_consumer,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let limits = [
            ("timeout", self.timeout.is_zero()),
            ("max_frame_size", self.max_frame_size == 0),
            ("max_message_size", self.max_message_size == 0),
            ("max_channels", self.max_channels == 0),
            ("inbox_messages", self.inbox_messages == 0),
            ("inbox_bytes", self.inbox_bytes == 0),
            ("outbox_frames", self.outbox_frames == 0),
            ("outbox_bytes", self.outbox_bytes == 0),
        ];
        match limits.into_iter().find(|(_, zero)| *zero) {
            Some((name, _)) => Err(ConfigError::Zero(name)),
            None => Ok(()),
        }
    }
}

/// Configures an [`Endpoint`]: see [`Endpoint::builder`].
#[derive(Default)]
#[must_use = "call `build`"]
pub struct EndpointBuilder {
    pub(super) adapter: Option<Box<dyn Adapter>>,
    mounts: Vec<(String, SocketOptions, MakeMount)>,
    drain: DrainOptions,
}

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
        self.mounts.push((path.to_owned(), options, |options| {
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
        self.mounts.push((path.to_owned(), options, |options| {
            Arc::new(RawMount::<S>::new(options))
        }));
        self
    }

    /// How connections are ended at a shutdown. Mirrors the `:drainer` option.
    pub fn drainer(mut self, options: DrainOptions) -> Self {
        self.drain = options;
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
            if !path.starts_with('/') || path.ends_with('/') {
                return Err(ConfigError::Path(path));
            }
            if mounts.iter().any(|(known, _)| *known == path) {
                return Err(ConfigError::DuplicatePath(path));
            }
            options.check()?;
            mounts.push((path, mount(options)));
        }
        self.drain.check()?;
        let pubsub = match self.adapter {
            Some(adapter) => PubSub::with(adapter)?,
            None => PubSub::embedded(),
        };
        Ok(Endpoint::new(pubsub, mounts, self.drain))
    }
}
