use std::{fmt, sync::Arc, time::Duration};

use axum::{
    http::HeaderName,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

#[cfg(feature = "long-poll")]
use super::LongPollOptions;
use super::config::ConfigFile;
#[cfg(doc)]
use crate::endpoint::Endpoint;
#[cfg(feature = "token")]
use crate::session::CookieSession;
use crate::{
    connection::{ConnectError, ConnectInfoKey, OutboxLimits, SlowConsumer},
    error::ConfigError,
    origin::CheckOrigin,
    protocol::Serializers,
    telemetry::{self, LogLevel},
};

/// The options of a socket: its limits and times.
///
/// ```
/// use std::time::Duration;
/// use channel_runtime::{SlowConsumer, SocketOptions};
///
/// let options = SocketOptions::new("/socket/{tenant}")
///     .timeout(Duration::from_secs(90))
///     .max_frame_size(64 * 1024)
///     .slow_consumer(SlowConsumer::DropNewest);
/// ```
///
/// # From a configuration file
///
/// In any format that serde reads. A key has the name of its setter, with the unit if it has one:
/// `timeout_ms`, `mailbox_wait_ms`, `max_frame_size_bytes`, `max_message_size_bytes`. A missing key
/// has the setter's default; an unknown key and a value that cannot work are errors.
///
/// | key | value |
/// |---|---|
/// | `slow_consumer` | `"disconnect"`, `"drop_newest"` or `"drop_oldest"` |
/// | `serializers` | version requirements, each with `"v1"` or `"v2"`: `{"~> 2.0.0": "v2"}` |
/// | `transport_log` | `"off"`, `"error"`, `"warn"`, `"info"`, `"debug"` or `"trace"` |
/// | `check_origin` | `false` for [`CheckOrigin::off`], `true` for [`CheckOrigin::host`], `"conn"` for [`CheckOrigin::connection`], or a list |
/// | `connect_info` | names of [`ConnectInfoKey`]s in lower case: `["peer_addr", "x_headers"]` |
/// | `session` | `{"cookie": "_my_app", "max_age_s": 1209600}` |
/// | `long_poll` | `{"window_ms": 10000}`: see [`LongPollOptions`](crate::LongPollOptions) |
///
/// ```
/// use channel_runtime::SocketOptions;
///
/// let file = r#"{
///     "path": "/socket/{tenant}",
///     "timeout_ms": 90000,
///     "max_frame_size_bytes": 65536,
///     "check_origin": ["https://example.com", "//*.example.org"],
///     "connect_info": ["peer_addr", "user_agent", "x_headers"],
///     "transport_log": "debug"
/// }"#;
/// let options: SocketOptions = serde_json::from_str(file)?;
/// let options = options.error_handler(|error| error.status());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "ConfigFile")]
pub struct SocketOptions {
    pub(crate) path: String,
    pub(crate) timeout: Duration,
    pub(crate) max_frame_size: usize,
    pub(crate) max_message_size: usize,
    pub(crate) max_channels: usize,
    pub(crate) mailbox_messages: usize,
    pub(crate) mailbox_bytes: usize,
    pub(crate) mailbox_wait: Duration,
    pub(crate) outbox_frames: usize,
    pub(crate) outbox_bytes: usize,
    pub(crate) slow_consumer: SlowConsumer,
    pub(crate) serializers: Serializers,
    pub(crate) websocket: bool,
    #[cfg(feature = "long-poll")]
    pub(crate) long_poll: Option<LongPollOptions>,
    pub(crate) transport_log: LogLevel,
    pub(crate) check_origin: CheckOrigin,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) auth_token: bool,
    pub(crate) connect_info: Vec<ConnectInfoKey>,
    #[cfg(feature = "token")]
    pub(crate) session: Option<CookieSession>,
    pub(crate) error_handler: Option<ErrorHandler>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions {
            path: "/socket".to_owned(),
            timeout: Duration::from_secs(60),
            max_frame_size: 16 << 20,
            max_message_size: 16 << 20,
            max_channels: 100,
            mailbox_messages: 256,
            mailbox_bytes: 32 << 20,
            mailbox_wait: Duration::from_secs(5),
            outbox_frames: usize::MAX,
            outbox_bytes: 16 << 20,
            slow_consumer: SlowConsumer::default(),
            serializers: Serializers::default(),
            websocket: true,
            #[cfg(feature = "long-poll")]
            long_poll: None,
            transport_log: LogLevel::Off,
            check_origin: CheckOrigin::default(),
            subprotocols: Vec::new(),
            auth_token: false,
            connect_info: vec![ConnectInfoKey::PeerAddr],
            #[cfg(feature = "token")]
            session: None,
            error_handler: None,
        }
    }
}

impl From<&str> for SocketOptions {
    /// Returns the default options at this path.
    fn from(path: &str) -> Self {
        SocketOptions::new(path)
    }
}

impl SocketOptions {
    /// Returns the default options for a socket at this path.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        SocketOptions::default().path(path)
    }

    /// Sets the path at which the socket is mounted. Default: `/socket`. `/socket/{tenant}` adds
    /// the parameter `tenant` to those of the client. The WebSocket is at `<path>/websocket`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the time that a client may send nothing, not even a heartbeat or a ping, before its
    /// connection is closed with code 1002. Default: 60 seconds.
    ///
    /// Keep it well above the interval of the clients' heartbeats, which is 30 seconds in the
    /// official one: a client whose heartbeat is as late as the limit is closed, connects again,
    /// and so on. Below 40 seconds, [`build`](crate::EndpointBuilder::build) warns in the log.
    /// and so on. Below 40 seconds, [`build`](crate::EndpointBuilder::build) warns in the log.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the largest WebSocket frame that a client may send, in bytes. Default: 16 MiB. A larger
    /// one closes the connection with code 1009 before it is read.
    #[must_use]
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.max_frame_size = bytes;
        self
    }

    /// Sets the largest message, with all its fragments, in bytes. Default: 16 MiB.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets the number of channels that one connection may have joined. Default: 100. The next join
    /// is refused with `too many channels joined`.
    #[must_use]
    pub fn max_channels(mut self, channels: usize) -> Self {
        self.max_channels = channels;
        self
    }

    /// Sets the number of messages of the server's own code that may wait for a busy channel.
    /// Default: 256. The next `cast` or `call` is an error. The limit for the client's own messages
    /// is [`mailbox_bytes`](Self::mailbox_bytes), and for broadcasts that the channel intercepts or
    /// subscribes to [`outbox_bytes`](Self::outbox_bytes).
    #[must_use]
    pub fn mailbox_messages(mut self, messages: usize) -> Self {
        self.mailbox_messages = messages;
        self
    }

    /// Sets the number of bytes of a client's messages that may wait for its channels, all
    /// together. Default: 32 MiB. A message counts 256 bytes more than its own; one larger than the
    /// limit is still taken when no other waits.
    ///
    /// A client may send ahead of its channels: as long as there is room, everything it sends is
    /// read, and each channel handles its messages in order. Without room nothing more is read: the
    /// client's own connection holds it back, or its POST is not answered yet; heartbeats and its
    /// other channels wait with it. After [`mailbox_wait`](Self::mailbox_wait) without room,
    /// messages are refused with `channel overloaded`. All clients together are bounded by
    /// [`EndpointBuilder::mailbox_bytes`](crate::EndpointBuilder::mailbox_bytes).
    #[must_use]
    pub fn mailbox_bytes(mut self, bytes: usize) -> Self {
        self.mailbox_bytes = bytes;
        self
    }

    /// Sets the time that a message waits for room. Default: 5 seconds. Then it is refused with
    /// `channel overloaded`, as are those behind it for which there is no room either; with zero,
    /// at once. The messages of one POST of a polling client wait for this time all together.
    ///
    /// Nothing of the client is read meanwhile, so keep it well below the time after which clients
    /// give up on a heartbeat or a POST; for the official client that is 10 seconds and more.
    #[must_use]
    pub fn mailbox_wait(mut self, time: Duration) -> Self {
        self.mailbox_wait = time;
        self
    }

    /// Sets the number of frames that may wait for a client that reads slowly. Default: unlimited,
    /// since [`outbox_bytes`](Self::outbox_bytes) bounds them.
    #[must_use]
    pub fn outbox_frames(mut self, frames: usize) -> Self {
        self.outbox_frames = frames;
        self
    }

    /// Sets the number of bytes that may wait for a client that reads slowly. Default: 16 MiB. One
    /// frame larger than that still fits an empty outbox.
    ///
    /// Each frame counts 128 bytes more than its own, for its place, and a broadcast counts in full
    /// for each client. As many bytes of broadcasts again may wait for the channels of a connection
    /// that intercept them or subscribe to them. The [`SlowConsumer`] policy handles frames that do
    /// not fit. All connections together are bounded by
    /// [`EndpointBuilder::outbox_bytes`](crate::EndpointBuilder::outbox_bytes).
    #[must_use]
    pub fn outbox_bytes(mut self, bytes: usize) -> Self {
        self.outbox_bytes = bytes;
        self
    }

    /// Sets the policy for a client that reads more slowly than it is sent to.
    #[must_use]
    pub fn slow_consumer(mut self, policy: SlowConsumer) -> Self {
        self.slow_consumer = policy;
        self
    }

    /// Sets the supported versions of the protocol. Mirrors the `:serializer` option.
    #[must_use]
    pub fn serializers(mut self, serializers: Serializers) -> Self {
        self.serializers = serializers;
        self
    }

    /// Serves a WebSocket at `<path>/websocket`, or not. Default: `true`. Mirrors `websocket:
    /// false`.
    #[must_use]
    pub fn websocket(mut self, on: bool) -> Self {
        self.websocket = on;
        self
    }

    /// Also serves clients that poll, at `<path>/longpoll`. Default: off. Mirrors the `:longpoll`
    /// option.
    #[cfg(feature = "long-poll")]
    #[must_use]
    pub fn long_poll(mut self, options: LongPollOptions) -> Self {
        self.long_poll = Some(options);
        self
    }

    /// Sets the level at which every request to the socket's transports is logged, with its method
    /// and path. Default: off. The query stays out of the log. Mirrors `:transport_log`.
    #[must_use]
    pub fn transport_log(mut self, level: LogLevel) -> Self {
        self.transport_log = level;
        self
    }

    /// Sets the pages that may connect. Default: those of the endpoint's own host. Others get
    /// status 403. Mirrors `:check_origin`.
    #[must_use]
    pub fn check_origin(mut self, check: CheckOrigin) -> Self {
        self.check_origin = check;
        self
    }

    /// Sets the supported WebSocket subprotocols, the preferred one first. Default: none. A client
    /// that offers only others gets status 403, one that offers none is accepted. Mirrors
    /// `:subprotocols`.
    #[must_use]
    pub fn subprotocols<I>(mut self, subprotocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.subprotocols = subprotocols.into_iter().map(Into::into).collect();
        self
    }

    /// Accepts an auth token that clients send besides their parameters, so that it shows in no log
    /// of a proxy. Default: off. `#[connect]` finds it in
    /// [`ConnectInfo::auth_token`](crate::ConnectInfo::auth_token). Mirrors `:auth_token`.
    ///
    /// phoenix.js sends its `authToken` option as a subprotocol, and over long-poll as a header;
    /// the subprotocol `phoenix` is then supported as well. A token that cannot be decoded gets
    /// status 400.
    #[must_use]
    pub fn auth_token(mut self, on: bool) -> Self {
        self.auth_token = on;
        self
    }

    /// Sets the details of a client in [`ConnectInfo`](crate::ConnectInfo). Default: its address.
    /// Mirrors `:connect_info`.
    #[must_use]
    pub fn connect_info(mut self, keys: impl IntoIterator<Item = ConnectInfoKey>) -> Self {
        self.connect_info = keys.into_iter().collect();
        self
    }

    /// Sets the cookie whose session the socket sees, in
    /// [`ConnectInfo::session`](crate::ConnectInfo::session). Default: none. Mirrors `connect_info:
    /// [session: …]`.
    ///
    /// A client that does not send the session's CSRF token as the parameter `_csrf_token` is
    /// accepted without a session. Sessions of other libraries, such as tower-sessions, reach
    /// `#[connect]` in the request's [`Extensions`](crate::Extensions); guard them with
    /// [`check_origin`](Self::check_origin).
    #[cfg(feature = "token")]
    #[must_use]
    pub fn session(mut self, cookie: CookieSession) -> Self {
        self.session = Some(cookie);
        self
    }

    /// Sets the answer to a client that is refused, over WebSocket. Default: an empty answer with
    /// the error's [status](ConnectError::status). Mirrors `:error_handler`.
    ///
    /// A long-poll client gets the status alone, since it reads nothing else. A handler that panics
    /// leaves the plain answer. [`Endpoint::refusal`] returns its answer in a test.
    ///
    /// ```
    /// use axum::{http::StatusCode, response::IntoResponse};
    /// use channel_runtime::{SocketOptions, transport::ConnectError};
    ///
    /// let options = SocketOptions::default().error_handler(|error| match error {
    ///     ConnectError::Refused(refusal) if refusal.reason() == Some("rate_limit") => {
    ///         (StatusCode::TOO_MANY_REQUESTS, "later").into_response()
    ///     }
    ///     other => other.status().into_response(),
    /// });
    /// ```
    #[must_use]
    pub fn error_handler<R: IntoResponse>(
        mut self,
        handler: impl Fn(&ConnectError) -> R + Send + Sync + 'static,
    ) -> Self {
        self.error_handler = Some(ErrorHandler(Arc::new(move |error| {
            handler(error).into_response()
        })));
        self
    }

    pub(crate) fn outbox(&self) -> OutboxLimits {
        OutboxLimits {
            frames: self.outbox_frames,
            bytes: self.outbox_bytes,
            policy: self.slow_consumer,
        }
    }

    /// Checks the options, once, when the endpoint is built.
    pub(crate) fn prepare(&mut self) -> Result<(), ConfigError> {
        let limits = [
            ("timeout", self.timeout.is_zero()),
            ("max_frame_size", self.max_frame_size == 0),
            ("max_message_size", self.max_message_size == 0),
            ("max_channels", self.max_channels == 0),
            ("mailbox_messages", self.mailbox_messages == 0),
            ("mailbox_bytes", self.mailbox_bytes == 0),
            ("outbox_frames", self.outbox_frames == 0),
            ("outbox_bytes", self.outbox_bytes == 0),
        ];
        if let Some((name, _)) = limits.into_iter().find(|(_, zero)| *zero) {
            return Err(ConfigError::Zero(name));
        }
        if self.timeout > MAX_TIMEOUT {
            return Err(ConfigError::TooLong("timeout"));
        }
        if self.mailbox_wait > MAX_TIMEOUT {
            return Err(ConfigError::TooLong("mailbox_wait"));
        }
        if let Some(subprotocol) = self
            .subprotocols
            .iter()
            .find(|name| HeaderName::from_bytes(name.as_bytes()).is_err())
        {
            return Err(ConfigError::Subprotocol(subprotocol.clone()));
        }
        if self.auth_token && !self.subprotocols.iter().any(|name| name == PHOENIX) {
            self.subprotocols.push(PHOENIX.to_owned());
        }
        #[cfg(feature = "long-poll")]
        if let Some(options) = &self.long_poll {
            options.check()?;
        }
        self.check_origin.check()
    }

    /// Warns of options that work, but not with the official client.
    pub(crate) fn warn(&self) {
        let path = &self.path;
        if self.websocket && self.timeout < HEARTBEAT + MARGIN {
            telemetry::short_timeout(path, self.timeout, HEARTBEAT);
        }
        #[cfg(feature = "long-poll")]
        if let Some(options) = &self.long_poll {
            options.warn(path);
        }
    }
}

/// The interval of phoenix.js' heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The delay of a heartbeat on a network that stalls, or in a tab that sleeps.
const MARGIN: Duration = Duration::from_secs(10);

/// The subprotocol that phoenix.js asks for besides its auth token.
const PHOENIX: &str = "phoenix";

/// One year: a longer time is a mistake, and a clock may overflow.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The handler that answers a refused client.
#[derive(Clone)]
pub(crate) struct ErrorHandler(pub(crate) Arc<dyn Fn(&ConnectError) -> Response + Send + Sync>);

impl fmt::Debug for ErrorHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorHandler")
    }
}
