//! The limits of the time and the connections that a server grants its clients.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{MAX_TIMEOUT, open_files};
use crate::error::ConfigError;

/// The limits of [`Endpoint::serve`](crate::Endpoint::serve): the times that a client may take, and
/// the number of connections.
///
/// In code, or from a configuration file with serde, where times are in milliseconds and the
/// unit is in the name:
///
/// ```
/// use std::time::Duration;
/// use channel_runtime::ServeOptions;
///
/// let options = ServeOptions::default()
///     .head_timeout(Duration::from_secs(10))
///     .idle_timeout(Duration::from_secs(125))
///     .max_connections(20_000);
/// let file = r#"{"head_timeout_ms": 10000, "idle_timeout_ms": 125000, "max_connections": 20000}"#;
/// assert_eq!(serde_json::from_str::<ServeOptions>(file)?, options);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeOptions {
    head_timeout_ms: u64,
    idle_timeout_ms: u64,
    body_timeout_ms: u64,
    write_timeout_ms: u64,
    max_connections: Option<usize>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            head_timeout_ms: 15_000,
            idle_timeout_ms: 75_000,
            body_timeout_ms: 60_000,
            write_timeout_ms: 30_000,
            max_connections: None,
        }
    }
}

impl ServeOptions {
    /// Sets the time that a client may take to send the head of a request, from its first byte to
    /// its last. It also limits the time from the connect to the first byte, including the TLS
    /// handshake if that is part of the stream. Default: 15 seconds.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout_ms = millis(timeout);
        self
    }

    /// Sets the time that a connection is kept between an answer and the first byte of the next
    /// request. Default: 75 seconds.
    ///
    /// Keep it longer than the same limit of a proxy in front; otherwise a request may meet a
    /// connection that is being closed. nginx's `keepalive_timeout` of an upstream and the idle
    /// timeout of AWS' load balancers are 60 seconds by default.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout_ms = millis(timeout);
        self
    }

    /// Sets the time that a client may send no byte of a request's body while the application waits
    /// for it. Default: 60 seconds. The time for the whole body is not limited.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout_ms = millis(timeout);
        self
    }

    /// Sets the time that a client may take no byte of an answer. Default: 30 seconds. The time for
    /// the whole answer is not limited, and the time during which an answer waits for the
    /// application does not count.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout_ms = millis(timeout);
        self
    }

    /// Sets the number of connections that may be open at once, over all servers of the endpoint:
    /// WebSockets, requests, idle connections, and those that have sent nothing.
    ///
    /// The default follows from the number of files that the process may open (`RLIMIT_NOFILE`, its
    /// soft limit, when the endpoint is built): an eighth of them and 32 more are left for the
    /// rest, so 864 of 1,024 files are connections. If a socket takes uploads, their files are
    /// subtracted too (`UploadOptions`), which leaves 352. At least 16.
    ///
    /// Further clients wait in the listener's backlog until a place is free, with a warning in the
    /// log: an answer would need a connection, and few of them wait for long, since idle clients
    /// are ended. A balancer sees a server that is slow to accept.
    /// [`EndpointBuilder::max_connections`](crate::EndpointBuilder::max_connections) is the limit
    /// of sockets, whose clients are told with status 503; keep it below this one.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let times = [
            ("head_timeout", self.head_timeout_ms),
            ("idle_timeout", self.idle_timeout_ms),
            ("body_timeout", self.body_timeout_ms),
            ("write_timeout", self.write_timeout_ms),
        ];
        for (name, time) in times {
            match Duration::from_millis(time) {
                Duration::ZERO => return Err(ConfigError::Zero(name)),
                time if time > MAX_TIMEOUT => return Err(ConfigError::TooLong(name)),
                _ => {}
            }
        }
        match self.max_connections {
            Some(0) => Err(ConfigError::Zero("max_connections")),
            _ => Ok(()),
        }
    }

    /// Returns the places of connections, all free, when this many files are kept for other uses.
    pub(crate) fn places(&self, kept: usize) -> usize {
        let places = self
            .max_connections
            .unwrap_or_else(|| share(open_files(), kept));
        places.min(Semaphore::MAX_PERMITS)
    }

    pub(crate) fn times(&self, last: Duration) -> ServeTimes {
        ServeTimes {
            head: Duration::from_millis(self.head_timeout_ms),
            idle: Duration::from_millis(self.idle_timeout_ms),
            body: Duration::from_millis(self.body_timeout_ms),
            write: Duration::from_millis(self.write_timeout_ms),
            last,
        }
    }
}

/// The times that clients may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServeTimes {
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
    pub(crate) body: Duration,
    pub(crate) write: Duration,
    /// The limit of each of these times once the server is to end.
    pub(crate) last: Duration,
}

/// Returns how many of these files may be connections when this many are kept for other uses.
fn share(files: usize, kept: usize) -> usize {
    let rest = (files - files / 8).saturating_sub(32);
    rest.saturating_sub(kept).max(16)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    #[test]
    fn files_are_left_for_all_that_is_no_connection() {
        for (files, places) in [(20, 16), (256, 192), (1024, 864), (1 << 20, 917_472)] {
            assert_eq!(share(files, 0), places);
        }
        assert!(ServeOptions::default().places(0) >= 16);
        assert!(share(usize::MAX, 0) < usize::MAX);
    }

    #[test]
    fn the_files_of_uploads_are_no_connections() {
        for (files, kept, places) in [(1024, 512, 352), (256, 128, 64), (20, 10, 16)] {
            assert_eq!(share(files, kept), places);
        }
    }

    #[test]
    fn limits_that_cannot_work_are_refused_by_name() {
        let (none, ever) = (Duration::ZERO, Duration::MAX);
        let new = ServeOptions::default;
        for (options, name) in [
            (new().head_timeout(none), "head_timeout"),
            (new().idle_timeout(none), "idle_timeout"),
            (new().body_timeout(ever), "body_timeout"),
            (new().write_timeout(ever), "write_timeout"),
            (new().max_connections(0), "max_connections"),
        ] {
            let built = Endpoint::builder().serve_options(options).build();
            let error = built.unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(serde_json::from_str::<ServeOptions>(r#"{"idle_timeout": 1}"#).is_err());
    }

    #[test]
    fn an_idle_connection_outlives_those_of_the_usual_proxies() {
        assert!(ServeOptions::default().times(Duration::ZERO).idle > Duration::from_secs(60));
    }
}
