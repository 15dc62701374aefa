//! Options of a [`Sync`](crate::Sync).

use std::time::Duration;

/// Options of a [`Sync`](crate::Sync).
///
/// ```
/// use channel_sync::Config;
/// use std::time::Duration;
/// let config = Config::new().poll_timeout(Duration::from_secs(10)).allow_delete(true);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) poll_timeout: Duration,
    pub(crate) sse_timeout: Duration,
    pub(crate) sse_keep_alive: Duration,
    pub(crate) snapshot_timeout: Duration,
    pub(crate) chunk_bytes: usize,
    pub(crate) max_shape_bytes: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_shapes: usize,
    pub(crate) snapshots: usize,
    pub(crate) allow_delete: bool,
    pub(crate) secret: Option<String>,
    pub(crate) max_age: u32,
    pub(crate) stale_age: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}

impl Config {
    /// The defaults, which are Electric's where it has the same option.
    pub fn new() -> Config {
        Config {
            poll_timeout: Duration::from_secs(20),
            sse_timeout: Duration::from_secs(60),
            sse_keep_alive: Duration::from_secs(21),
            snapshot_timeout: Duration::from_secs(30),
            chunk_bytes: 10 * 1024 * 1024,
            max_shape_bytes: 256 * 1024 * 1024,
            max_bytes: 1024 * 1024 * 1024,
            max_shapes: 100_000,
            snapshots: 16,
            allow_delete: false,
            secret: None,
            max_age: 60,
            stale_age: 300,
        }
    }

    /// How long a live request waits for a change: 20 seconds. Clients give up after 45.
    #[must_use]
    pub fn poll_timeout(mut self, timeout: Duration) -> Config {
        self.poll_timeout = timeout;
        self
    }

    /// How long a stream of server-sent events lasts: 60 seconds. The client comes again.
    #[must_use]
    pub fn sse_timeout(mut self, timeout: Duration) -> Config {
        self.sse_timeout = timeout;
        self
    }

    /// How long a request waits for a snapshot before it is answered 503: 30 seconds.
    #[must_use]
    pub fn snapshot_timeout(mut self, timeout: Duration) -> Config {
        self.snapshot_timeout = timeout;
        self
    }

    /// Bytes at which a chunk of a snapshot or a log ends: 10 MiB.
    #[must_use]
    pub fn chunk_bytes(mut self, bytes: usize) -> Config {
        self.chunk_bytes = bytes.max(1);
        self
    }

    /// Bytes of one shape's snapshot and log: 256 MiB. A shape whose log has more ends, and its
    /// clients begin again with a new snapshot; a snapshot that has more is answered 503.
    #[must_use]
    pub fn max_shape_bytes(mut self, bytes: usize) -> Config {
        self.max_shape_bytes = bytes;
        self
    }

    /// Bytes of all shapes: 1 GiB. Those that were not asked for for longest end.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Config {
        self.max_bytes = bytes;
        self
    }

    /// The number of shapes: 100,000. Those that were not asked for for longest end.
    #[must_use]
    pub fn max_shapes(mut self, shapes: usize) -> Config {
        self.max_shapes = shapes.max(1);
        self
    }

    /// Snapshots that are taken at once: 16. Others wait.
    #[must_use]
    pub fn snapshots(mut self, snapshots: usize) -> Config {
        self.snapshots = snapshots.max(1);
        self
    }

    /// Lets the open API delete shapes; off by default.
    #[must_use]
    pub fn allow_delete(mut self, allow: bool) -> Config {
        self.allow_delete = allow;
        self
    }

    /// The `secret` parameter that the open API asks for. Without one it is open to each client that
    /// reaches it.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Config {
        self.secret = Some(secret.into());
        self
    }

    /// Seconds for which caches keep answers that are not live, and for which they may serve them
    /// while they revalidate: 60 and 300.
    #[must_use]
    pub fn cache_ages(mut self, max_age: u32, stale_age: u32) -> Config {
        self.max_age = max_age;
        self.stale_age = stale_age;
        self
    }
}
