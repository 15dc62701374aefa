//! Log lines, spans and metrics of connects, joins and messages.
//!
//! Metrics go through the [`metrics`] facade; [`describe_metrics`] passes their descriptions to a
//! recorder. The example `notifications` uses Prometheus.
#![doc = include_str!("docs/metrics.md")]

mod describe;
mod filter;
mod shown;

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use axum::http::{HeaderValue, request::Parts};
use tracing::{Level, Span};

pub use self::{describe::describe_metrics, filter::FilterParameters};
pub(crate) use self::{
    filter::FILTERED,
    shown::{line, shown, shown_to},
};

/// A level to log at, or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Not logged at all.
    Off,
    /// Logged at this level.
    At(Level),
}

/// Emits an event or a span whose level is known only at run time.
macro_rules! at_level {
    ($level:expr, $what:ident, $($rest:tt)*) => {
        match $level {
            Level::ERROR => tracing::$what!(Level::ERROR, $($rest)*),
            Level::WARN => tracing::$what!(Level::WARN, $($rest)*),
            Level::INFO => tracing::$what!(Level::INFO, $($rest)*),
            Level::DEBUG => tracing::$what!(Level::DEBUG, $($rest)*),
            _ => tracing::$what!(Level::TRACE, $($rest)*),
        }
    };
}
pub(crate) use at_level;

/// Records an accepted or refused connect.
pub(crate) fn connected(
    socket: &'static str,
    transport: &'static str,
    refused: Option<&dyn fmt::Display>,
    took: Duration,
) {
    let outcome = if refused.is_none() { "ok" } else { "refused" };
    metrics::counter!("channel_connects_total", "outcome" => outcome).increment(1);
    metrics::histogram!("channel_connect_seconds").record(took.as_secs_f64());
    match refused {
        None => tracing::info!(socket, transport, outcome, took = ?took, "connect"),
        Some(why) => {
            tracing::info!(socket, transport, outcome, reason = %shown(&why), took = ?took, "connect")
        }
    }
}

/// Records an opened connection.
pub(crate) fn opened() {
    metrics::gauge!("channel_connections").increment(1.0);
}

/// Records a closed connection.
pub(crate) fn closed() {
    metrics::gauge!("channel_connections").decrement(1.0);
}

/// Records the reason a connection ended.
pub(crate) fn disconnected(reason: &'static str) {
    metrics::counter!("channel_disconnects_total", "reason" => reason).increment(1);
}

/// Returns the span a `#[connect]` runs in.
pub(crate) fn connect_span(socket: &'static str, transport: &'static str) -> Span {
    tracing::info_span!("connect", socket, transport)
}

/// Records a client that was refused before its socket was asked.
pub(crate) fn turned_away(transport: &'static str, why: &dyn fmt::Display) {
    metrics::counter!("channel_connects_total", "outcome" => "refused").increment(1);
    tracing::info!(transport, reason = %shown(why), "connect refused");
}

/// Logs a request to one of the transports, without its query.
pub(crate) fn transport_request(level: LogLevel, transport: &'static str, request: &Parts) {
    if let LogLevel::At(level) = level {
        let (method, path) = (shown(&request.method), &*line(request.uri.path()));
        at_level!(level, event, transport, %method, path, "request");
    }
}

/// Warns that a page of a forbidden origin has tried to connect.
pub(crate) fn origin_refused(origin: &HeaderValue, check: &dyn fmt::Debug) {
    /// The maximum number of bytes of a header that a log line shows.
    const MOST: usize = 200;
    let bytes = origin.as_bytes();
    let origin = bytes[..bytes.len().min(MOST)].escape_ascii();
    tracing::warn!(
        origin = %shown(&origin),
        allowed = ?check,
        "a page may not connect: its origin is not allowed; if it is yours, name it in \
         `EndpointBuilder::url` or in the socket's `check_origin`"
    );
}

/// Warns that the endpoint has no room for another connection.
pub(crate) fn endpoint_full(max_connections: usize) {
    tracing::warn!(
        max_connections,
        "a client is refused: the endpoint has as many connections as `max_connections` allows"
    );
}

/// Warns that the official client meets a socket's `timeout` only if none of its messages is late.
pub(crate) fn short_timeout(path: &str, timeout: Duration, heartbeat: Duration) {
    tracing::warn!(
        path,
        ?timeout,
        ?heartbeat,
        "`timeout` is too close to the interval of the official client's heartbeat, whose \
         connections will be closed again and again"
    );
}

/// Warns that a poll may last as long as the official client waits, which then gives the poll up.
#[cfg(feature = "long-poll")]
pub(crate) fn long_window(path: &str, window: Duration, client: Duration) {
    tracing::warn!(
        path,
        ?window,
        ?client,
        "`window` is too close to the time after which the official client gives up a poll"
    );
}

/// Calls a custom function, such as an origin check; returns `None` when it panics.
pub(crate) fn caught<T>(what: &'static str, run: impl FnOnce() -> T) -> Option<T> {
    let caught = catch_unwind(AssertUnwindSafe(run));
    caught
        .inspect_err(|panic| {
            tracing::error!(
                what,
                panic = &*line(panic_message(&**panic)),
                "a function of the endpoint's configuration panicked"
            );
        })
        .ok()
}

/// Records a panic in a socket's own code: in its connect, which refuses the client, or in a
/// handler of a raw socket, which ends the connection.
pub(crate) fn socket_panicked(socket: &'static str, panic: &(dyn Any + Send)) {
    tracing::error!(
        socket,
        panic = &*line(panic_message(panic)),
        "a socket panicked"
    );
}

/// Returns the message of a panic, if it is text.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
