//! The options of the long-poll transport.

use std::time::Duration;

use serde::Deserialize;

use crate::{error::ConfigError, origin::CheckOrigin, telemetry};

/// The limits and times of a socket that also serves clients that poll: see
/// [`SocketOptions::long_poll`](crate::SocketOptions::long_poll).
///
/// In code, or from a configuration file with serde, where the unit is in the name:
///
/// ```
/// use std::time::Duration;
/// use channel_runtime::LongPollOptions;
///
/// let options = LongPollOptions::default()
///     .window(Duration::from_secs(5))
///     .max_body_bytes(100_000);
/// let file = r#"{"window_ms": 5000, "max_body_bytes": 100000}"#;
/// let read: LongPollOptions = serde_json::from_str(file)?;
/// assert_eq!(format!("{read:?}"), format!("{options:?}"));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # What a client gets
///
/// Each message is a string in the answer's `messages`, with the text that a WebSocket client would
/// get. In version 2 of the protocol a binary payload, which no polling client can decode, is
/// replaced by the JSON `{"base64": "…"}`; so a handler in the client gets an object where it would
/// get an `ArrayBuffer`. A binary frame of a [`RawSocket`](crate::transport::RawSocket) or of your
/// own serializer is a string of base64.
///
/// A session ends when no poll has come for one and a half times the window, or when the server
/// closes the connection. One more poll can still fetch the messages that wait for the client then,
/// unless the server goes down. The next poll opens a new session, as the status 410 tells the
/// client.
///
/// # Who polls
///
/// The official client polls if its socket has `transport: LongPoll`, or if a WebSocket fails and
/// it has `longPollFallbackMs`. It then polls as long as the page lives. A page that had a
/// WebSocket also does so if its first attempt to reconnect fails, as while its server restarts. To
/// poll only where WebSockets are blocked, switch the fallback off once messages have come through:
///
/// ```js
/// room.join().receive("ok", () => {
///   if (socket.transport !== LongPoll) socket.longPollFallbackMs = undefined
/// })
/// ```
///
/// # On several nodes
///
/// A session lives on the node that opened it, and is reached through any other: a load balancer
/// needs no sticky sessions. For that the nodes share a
/// [pubsub adapter](crate::EndpointBuilder::pubsub) and a
/// [secret key](crate::EndpointBuilder::secret_key); give them the same options as well. The node
/// that gets a request passes it on, waits as long as it would for a session of its own, and
/// answers in the same way.
///
/// * Messages on their way to a client through another node are kept until its next poll
///   acknowledges them by the token of the answer; otherwise they come again. A client that keeps
///   sending the token it got first may get its first answer twice.
/// * The messages of a client go to its session's node in pieces of 60 KiB, so `max_body_bytes` is
///   the limit there too. An engine that takes messages of less than 64 KiB is not enough: a larger
///   body is refused with 413, larger messages to the client with 500.
/// * The messages between the nodes are sealed with the secret key: see
///   [`pubsub`](crate::pubsub#who-can-read-and-write-the-namespace).
/// * When the node of a session is dead, the client gets 410 and reopens: its next request gets it
///   after 10 seconds, a poll that is waiting already within the window and 11 seconds, and after
///   two seconds if the node has restarted under the same name. As with a WebSocket that ends, the
///   messages of a request may have been taken then, or not. A node that is silent for less than
///   that, since it is busy or has to connect to the engine again, loses no session.
/// * While the engine is out of reach, requests for sessions of other nodes wait for it, for one
///   window at most. Then they are answered with HTTP status 503 and the status 500, and the
///   official client connects again. An outage shorter than a window ends no session; a body that
///   was in flight when the outage began is answered with 500 as well.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LongPollOptions {
    window_ms: u64,
    token_max_age_s: u64,
    max_sessions: usize,
    pub(crate) max_batch_frames: usize,
    pub(crate) max_body_bytes: usize,
    body_timeout_ms: u64,
    check_origin: Option<CheckOrigin>,
}

impl Default for LongPollOptions {
    fn default() -> Self {
        LongPollOptions {
            window_ms: 10_000,
            token_max_age_s: 1_209_600,
            max_sessions: 16_384,
            max_batch_frames: 100,
            max_body_bytes: 10_000_000,
            body_timeout_ms: 30_000,
            check_origin: None,
        }
    }
}

impl LongPollOptions {
    /// Sets the time that a poll waits for messages. Default: 10 seconds. A client that gives up
    /// sooner takes the connection for broken, so keep it well below the clients' timeout, which is
    /// 20 seconds in the official one. Above 15 seconds, [`build`](crate::EndpointBuilder::build)
    /// warns in the log. Mirrors `:window_ms`.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Sets the time for which a session can be found by its token. Default: two weeks. An answer
    /// through another node brings a new token. Mirrors the `:max_age` of the `:crypto` option,
    /// which is in seconds there too.
    #[must_use]
    pub fn token_max_age(mut self, age: Duration) -> Self {
        self.token_max_age_s = age.as_secs();
        self
    }

    /// Sets the number of sessions of this socket that may be open at the same time. Default:
    /// 16,384. The next client is refused with HTTP status 503.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Sets the number of frames that a client may send in one request. Default: 100, the most that
    /// the official client sends. A request with more is refused as a whole.
    #[must_use]
    pub fn max_batch_frames(mut self, frames: usize) -> Self {
        self.max_batch_frames = frames;
        self
    }

    /// Sets the largest body of a request, in bytes. Default: 10,000,000. A larger one is refused
    /// with HTTP status 413, before it is read if the request states its length.
    #[must_use]
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Sets the time that the body of a request may take to arrive. Default: 30 seconds.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Sets the pages that may poll, if they differ from the socket's own
    /// [`check_origin`](crate::SocketOptions::check_origin). Mirrors the `:check_origin` of
    /// `:longpoll`.
    #[must_use]
    pub fn check_origin(mut self, check: CheckOrigin) -> Self {
        self.check_origin = Some(check);
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let limits = [
            ("window", self.window_ms == 0),
            ("token_max_age", self.token_max_age_s == 0),
            ("max_sessions", self.max_sessions == 0),
            ("max_batch_frames", self.max_batch_frames == 0),
            ("max_body_bytes", self.max_body_bytes == 0),
            ("body_timeout", self.body_timeout_ms == 0),
        ];
        match limits.into_iter().find(|(_, zero)| *zero) {
            Some((name, _)) => Err(ConfigError::Zero(name)),
            None => self
                .check_origin
                .as_ref()
                .map_or(Ok(()), CheckOrigin::check),
        }
    }

    /// Warns of options that work, but not with the official client, of the socket at `path`.
    pub(crate) fn warn(&self, path: &str) {
        let window = self.poll_time();
        if window + MARGIN > CLIENT_TIMEOUT {
            telemetry::long_window(path, window, CLIENT_TIMEOUT);
        }
    }

    pub(crate) fn poll_time(&self) -> Duration {
        bounded(Duration::from_millis(self.window_ms))
    }

    /// Returns the time that a session lives without a poll.
    pub(crate) fn lifetime(&self) -> Duration {
        self.poll_time() * 3 / 2
    }

    pub(crate) fn body_time(&self) -> Duration {
        bounded(Duration::from_millis(self.body_timeout_ms))
    }

    pub(crate) fn token_age(&self) -> Duration {
        Duration::from_secs(self.token_max_age_s)
    }

    /// Returns the check for clients that poll: their own, or else the socket's.
    pub(crate) fn origin<'a>(&'a self, socket: &'a CheckOrigin) -> &'a CheckOrigin {
        self.check_origin.as_ref().unwrap_or(socket)
    }

    pub(crate) fn most_sessions(&self) -> usize {
        self.max_sessions
    }
}

/// The time that phoenix.js waits for the answer to a poll.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(20);

/// The part of it that is left for the network.
const MARGIN: Duration = Duration::from_secs(5);

/// Limits a duration so that adding it to a time stays in the clock's range.
fn bounded(time: Duration) -> Duration {
    time.min(Duration::from_secs(365 * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_references() {
        let read: LongPollOptions = serde_json::from_str("{}").unwrap();
        assert_eq!(
            format!("{read:?}"),
            format!("{:?}", LongPollOptions::default())
        );
        assert_eq!(read.poll_time(), Duration::from_secs(10));
        assert_eq!(read.lifetime(), Duration::from_secs(15));
        assert_eq!(read.token_age(), Duration::from_secs(14 * 86_400));
        assert!(serde_json::from_str::<LongPollOptions>(r#"{"window": 1}"#).is_err());
    }

    #[test]
    fn zeros_are_refused_by_name_and_eternities_are_bounded() {
        let zero = LongPollOptions::default().window(Duration::from_nanos(1));
        let error = zero.check().unwrap_err();
        assert_eq!(error.to_string(), "`window` must be more than zero");
        let eternal = LongPollOptions::default().window(Duration::MAX);
        assert!(eternal.check().is_ok());
        let _in_range = std::time::Instant::now() + eternal.lifetime();
    }
}
