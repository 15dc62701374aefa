use std::{fmt, path::PathBuf, time::Duration};

use crate::pubsub::StartError;

/// The policy for broadcasts when too many wait for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The broadcast fails at once, with
    /// [`PublishError::QueueFull`](crate::pubsub::PublishError::QueueFull).
    Refuse,
    /// The caller waits for room, at most this long, and then the broadcast fails. If the caller
    /// stops waiting, the broadcast does not go to the other nodes. Concurrent waiters are not
    /// served in order.
    Wait(Duration),
}

/// The options of an adapter: names, limits and times.
///
/// ```
/// use std::time::Duration;
/// use channel_runtime::pubsub::{ClusterOptions, Overflow};
///
/// let options = ClusterOptions::new()
///     .namespace("shop")
///     .node("web-1")
///     .overflow(Overflow::Wait(Duration::from_millis(100)));
/// ```
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    pub(crate) namespace: String,
    pub(crate) node: Option<String>,
    pub(crate) queue_messages: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) overflow: Overflow,
    pub(crate) max_message: usize,
    pub(crate) timeout: Duration,
    pub(crate) subscribe_timeout: Duration,
    pub(crate) unsubscribe_delay: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) login: Option<Login>,
}

/// The credentials for NATS, if they are not in its URL.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "nats"),
    expect(dead_code, reason = "the options are those of Redis too")
)]
pub(crate) enum Login {
    /// A `.creds` file.
    Credentials(PathBuf),
    /// A file with the seed of an NKey.
    NKeyFile(PathBuf),
    /// The seed of an NKey.
    NKey(Secret),
}

/// Text that is never logged.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "nats"),
    expect(dead_code, reason = "the options are those of Redis too")
)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions {
            namespace: "channel".to_owned(),
            node: None,
            queue_messages: 1024,
            queue_bytes: 64 << 20,
            overflow: Overflow::Refuse,
            max_message: 8 << 20,
            timeout: Duration::from_secs(5),
            subscribe_timeout: Duration::from_secs(1),
            unsubscribe_delay: Duration::from_secs(1),
            heartbeat: Duration::from_secs(5),
            backoff: (Duration::from_millis(50), Duration::from_secs(5)),
            root_certificates: None,
            client_certificate: None,
            login: None,
        }
    }
}

impl ClusterOptions {
    /// Creates the default options.
    pub fn new() -> Self {
        ClusterOptions::default()
    }

    /// Sets the prefix of this application's names in the engine, so that two applications can
    /// share one; `channel` by default. Letters, digits, `-` and `_`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets this node's name, unique among the nodes. The default is made of the host name, the
    /// process id and a random number. If two nodes share a name, the log and
    /// [`Health::namesake`](crate::pubsub::Health::namesake) report it.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// Sets how many broadcasts may wait for the engine; 1024 by default.
    #[must_use]
    pub fn queue_messages(mut self, messages: usize) -> Self {
        self.queue_messages = messages;
        self
    }

    /// Sets how many bytes may wait for the engine; 64 MiB by default.
    #[must_use]
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Sets the policy for a full queue; [`Overflow::Refuse`] by default.
    #[must_use]
    pub fn overflow(mut self, policy: Overflow) -> Self {
        self.overflow = policy;
        self
    }

    /// Sets the size of the largest broadcast that goes to other nodes, in bytes with its topic and
    /// event; 8 MiB by default, or the engine's limit if that is less (NATS: 1 MiB unless
    /// configured).
    ///
    /// Redis cuts off a subscriber that is 32 MiB behind (`client-output-buffer-limit`).
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Sets how long the engine may take to answer before the node reconnects; 5 seconds by
    /// default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a client's join waits for the engine to confirm the node's first subscription
    /// of its topic; one second by default. After that the client joins anyway, and may miss
    /// broadcasts of other nodes until the engine has caught up.
    #[must_use]
    pub fn subscribe_timeout(mut self, most: Duration) -> Self {
        self.subscribe_timeout = most;
        self
    }

    /// Sets how long a topic stays subscribed after its last subscriber on this node has left; one
    /// second by default.
    #[must_use]
    pub fn unsubscribe_delay(mut self, unsubscribe_delay: Duration) -> Self {
        self.unsubscribe_delay = unsubscribe_delay;
        self
    }

    /// Sets how often the node sends a message to itself through the engine, to measure the lag and
    /// to detect a dead connection; every 5 seconds by default.
    #[must_use]
    pub fn heartbeat(mut self, period: Duration) -> Self {
        self.heartbeat = period;
        self
    }

    /// Sets how long to wait before reconnecting: `first` after the first failure, twice as long
    /// after each further one, at most `most`; 50 milliseconds and 5 seconds by default. Each wait
    /// varies by a quarter, so that nodes do not reconnect in step.
    #[must_use]
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.backoff = (first, most);
        self
    }

    /// Sets a file with the PEM certificates to trust for TLS, instead of the system's: those of
    /// your own authority, or the engine's own if it is self-signed. If the URL does not ask for
    /// TLS, this is an error with Redis, and NATS must speak TLS anyway.
    ///
    /// This file and those below are read at every connection, so that they can be replaced while
    /// the node runs. A bad file is an error when the adapter is created.
    #[must_use]
    pub fn root_certificates(mut self, file: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(file.into());
        self
    }

    /// Sets the PEM files of the certificate, with its chain, and of its key, by which the engine
    /// authenticates this node: mutual TLS.
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.client_certificate = Some((certificate.into(), key.into()));
        self
    }

    /// For NATS: sets a `.creds` file, with the user's JWT and the seed of its key. If this and the
    /// two below are combined, the last one counts; none of them can be combined with a user or a
    /// token in the URL.
    #[must_use]
    pub fn credentials_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.login = Some(Login::Credentials(file.into()));
        self
    }

    /// For NATS: sets a file with the seed of a user's NKey, `SU…`.
    #[must_use]
    pub fn nkey_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.login = Some(Login::NKeyFile(file.into()));
        self
    }

    /// For NATS: sets the seed of a user's NKey, `SU…`. It appears in no `Debug` output and no log.
    #[must_use]
    pub fn nkey(mut self, seed: impl Into<String>) -> Self {
        self.login = Some(Login::NKey(Secret(seed.into())));
        self
    }

    pub(super) fn check(&self) -> Result<(), StartError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.namespace.is_empty() || !self.namespace.chars().all(plain) {
            return Err(StartError::new(format!(
                "the namespace {:?} may hold letters, digits, `-` and `_` only",
                self.namespace
            )));
        }
        if self.node.as_deref() == Some("") {
            return Err(StartError::new("a node's name cannot be empty"));
        }
        let zero = [
            ("queue_messages", self.queue_messages == 0),
            ("queue_bytes", self.queue_bytes == 0),
            ("max_message", self.max_message == 0),
            ("timeout", self.timeout.is_zero()),
            ("heartbeat", self.heartbeat.is_zero()),
            ("backoff", self.backoff.0.is_zero()),
        ];
        match zero.into_iter().find(|(_, zero)| *zero) {
            Some((name, _)) => Err(StartError::new(format!("`{name}` must be more than zero"))),
            None => Ok(()),
        }
    }

    pub(super) fn node_name(&self) -> String {
        self.node.clone().unwrap_or_else(|| {
            let host = gethostname::gethostname();
            // Containers may share the host name and the process id.
            let random = &super::unique()[..8];
            format!("{}-{}-{random}", host.to_string_lossy(), std::process::id())
        })
    }
}
