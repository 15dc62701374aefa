//! Log lines, spans and metrics: what is said of connects, joins and messages, and how.
//!
//! Metrics, through the [`metrics`] facade: counters `channel_connects_total{outcome}`,
//! `channel_joins_total{channel,outcome}`, `channel_messages_total{channel}`,
//! `channel_panics_total{channel}`, `channel_slow_consumer_total` and
//! `channel_messages_dropped_total{channel}`; histograms in seconds `channel_connect_seconds`,
//! `channel_join_seconds{channel}` and `channel_handle_in_seconds{channel}`.
//!
//! Of other nodes: counters `channel_pubsub_published_total`, `channel_pubsub_lost_total{reason}`,
//! `channel_pubsub_received_total`, `channel_pubsub_garbage_total` and
//! `channel_pubsub_disconnects_total`; the gauge `channel_pubsub_up`;
//! histograms in seconds `channel_pubsub_lag_seconds` and `channel_pubsub_down_seconds`. Of
//! long-poll requests for sessions of other nodes: `channel_longpoll_forwarded_total{kind,outcome}`,
//! the kinds `poll` and `publish`, the outcomes `answered`, `gone` and `unreachable`.
//!
//! Of uploads whose writer is in a `Count`: counters `channel_upload_bytes_total{upload}` and
//! `channel_upload_files_total{upload,outcome}`, where the outcome is `started` first, and then
//! `done`, `cancelled` or `failed`.

pub(crate) mod cluster;
mod filter;
mod shown;
#[cfg(feature = "uploads")]
pub(crate) mod uploads;

use std::{
    any::Any,
    cell::Cell,
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use axum::http::{HeaderValue, request::Parts};
use metrics::{IntoF64, Key, Label, Metadata, with_recorder};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Level, Span, level_filters::LevelFilter};

pub use self::filter::FilterParameters;
pub(crate) use self::{
    filter::FILTERED,
    shown::{line, shown, shown_to},
};
use crate::{
    Payload, Topic,
    channel::{Answer, Channel, LogLevel, panic_message},
    transport::CheckOrigin,
};

/// Of the metrics that are not recorded by a macro.
static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));

/// An event or a span whose level is known at run time only.
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

/// A payload as a log may show it: secrets masked, binary data as its size. Nothing is parsed
/// unless the line is written.
struct Params<'a>(&'a Payload, &'a FilterParameters);

impl fmt::Display for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// What a log line shows of a payload at most, in bytes of JSON.
        const MOST: usize = 4096;
        let Params(payload, filter) = self;
        match payload.as_json() {
            None => write!(f, "[{} bytes]", payload.len()),
            Some(json) if json.len() > MOST => write!(f, "[{} bytes of JSON]", json.len()),
            Some(_) => match payload.decode::<Value>() {
                // Masked, it may be longer.
                Ok(value) => shown_to(&filter.mask(value), 2 * MOST).fmt(f),
                Err(_) => write!(f, "[{} bytes of JSON]", payload.len()),
            },
        }
    }
}

/// A connect was accepted or refused.
pub(crate) fn connected(socket: &'static str, transport: &'static str, ok: bool, took: Duration) {
    let outcome = if ok { "ok" } else { "refused" };
    metrics::counter!("channel_connects_total", "outcome" => outcome).increment(1);
    metrics::histogram!("channel_connect_seconds").record(took.as_secs_f64());
    tracing::info!(socket, transport, outcome, took = ?took, "connect");
}

/// The span a `#[connect]` runs in.
pub(crate) fn connect_span(socket: &'static str, transport: &'static str) -> Span {
    tracing::info_span!("connect", socket, transport)
}

/// The span a `#[join]` runs in.
pub(crate) fn join_span<C: Channel>() -> Span {
    match C::OPTIONS.log_join {
        LogLevel::Off => Span::none(),
        LogLevel::At(level) => at_level!(level, span, "join"),
    }
}

/// A join was answered.
pub(crate) fn joined<C: Channel>(
    topic: &Topic,
    outcome: &'static str,
    took: Duration,
    params: &Payload,
    filter: &FilterParameters,
) {
    let labels = [("channel", C::NAME), ("outcome", outcome)];
    metrics::counter!("channel_joins_total", &labels).increment(1);
    metrics::histogram!("channel_join_seconds", "channel" => C::NAME).record(took.as_secs_f64());
    if let LogLevel::At(level) = C::OPTIONS.log_join {
        let (topic, params) = (shown(topic), Params(params, filter));
        at_level!(level, event, channel = C::NAME, %topic, outcome, took = ?took, %params, "join");
    }
}

thread_local! {
    /// When the last handler of this thread began.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs what may run handlers in place, and says what time it is: as one of them has read the
/// clock, or else by reading it.
#[cfg(feature = "websocket")]
pub(crate) fn with_time_of_handlers<T>(run: impl FnOnce() -> T) -> (T, Instant) {
    BEGAN.set(None);
    let done = run();
    (done, BEGAN.take().unwrap_or_else(Instant::now))
}

/// The seconds since then, for which the clock is read only where they are recorded.
struct Since(Instant);

impl IntoF64 for Since {
    fn into_f64(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// One run of a `#[handle_in]`.
pub(crate) struct HandleIn<'a, C> {
    topic: &'a Topic,
    event: &'a str,
    /// Kept only where the log may show them.
    params: Option<Payload>,
    started: Instant,
    channel: PhantomData<C>,
}

impl<'a, C: Channel> HandleIn<'a, C> {
    // Made when compiled: the macros of `metrics` would make them again for every message, since
    // a channel's name is no literal.
    const LABELS: &'static [Label] = &[Label::from_static_parts("channel", C::NAME)];
    const MESSAGES: &'static Key = &Key::from_static_parts("channel_messages_total", Self::LABELS);
    const SECONDS: &'static Key =
        &Key::from_static_parts("channel_handle_in_seconds", Self::LABELS);

    pub(crate) fn begin(topic: &'a Topic, event: &'a str, params: &Payload) -> Self {
        let shown = match C::OPTIONS.log_handle_in {
            LogLevel::Off => false,
            LogLevel::At(level) => level <= LevelFilter::current(),
        };
        let params = shown.then(|| params.clone());
        let started = Instant::now();
        BEGAN.set(Some(started));
        HandleIn {
            topic,
            event,
            params,
            started,
            channel: PhantomData,
        }
    }

    /// The span the handler runs in.
    pub(crate) fn span(&self) -> Span {
        match C::OPTIONS.log_handle_in {
            LogLevel::Off => Span::none(),
            LogLevel::At(level) => at_level!(level, span, "handle_in", event = &*line(self.event)),
        }
    }

    pub(crate) fn finish(self, answer: &Answer, filter: &FilterParameters) {
        with_recorder(|recorder| {
            recorder
                .register_counter(Self::MESSAGES, &METADATA)
                .increment(1);
            recorder
                .register_histogram(Self::SECONDS, &METADATA)
                .record(Since(self.started));
        });
        if let (LogLevel::At(level), Some(params)) = (C::OPTIONS.log_handle_in, &self.params) {
            let status = answer
                .reply
                .as_ref()
                .map_or("", |(status, _)| status.as_str());
            let (topic, event) = (shown(self.topic), &*line(self.event));
            let (status, params) = (&*line(status), Params(params, filter));
            let took = self.started.elapsed();
            at_level!(
                level, event, channel = C::NAME, %topic, event, status, took = ?took, %params,
                "handle_in"
            );
        }
    }
}

/// A client was not let in before its socket was asked.
pub(crate) fn turned_away(transport: &'static str, why: &dyn fmt::Display) {
    metrics::counter!("channel_connects_total", "outcome" => "refused").increment(1);
    tracing::info!(transport, why = %shown(why), "connect refused");
}

/// A request to one of the transports, without its query.
pub(crate) fn transport_request(level: LogLevel, transport: &'static str, request: &Parts) {
    if let LogLevel::At(level) = level {
        let (method, path) = (shown(&request.method), &*line(request.uri.path()));
        at_level!(level, event, transport, %method, path, "request");
    }
}

/// A page of an origin that is not allowed has tried to connect.
pub(crate) fn origin_refused(origin: &HeaderValue, check: &CheckOrigin) {
    /// What a log line shows of a header at most, in bytes.
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

/// All places of the endpoint are taken.
pub(crate) fn endpoint_full(max_connections: usize) {
    tracing::warn!(
        max_connections,
        "a client is refused: the endpoint has as many connections as `max_connections` allows"
    );
}

/// A socket's `timeout` is met by the official client only when nothing is ever late.
pub(crate) fn short_timeout(path: &str, timeout: Duration, heartbeat: Duration) {
    tracing::warn!(
        path,
        ?timeout,
        ?heartbeat,
        "`timeout` is too close to the interval of the official client's heartbeat, whose \
         connections will be closed again and again"
    );
}

/// A poll may wait as long as the official client does, which then takes it for broken.
#[cfg(feature = "longpoll")]
pub(crate) fn long_window(path: &str, window: Duration, client: Duration) {
    tracing::warn!(
        path,
        ?window,
        ?client,
        "`window` is too close to the time after which the official client gives up a poll"
    );
}

/// What a function of the user's gives, such as an origin check; `None` when it panics.
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

/// A socket's own code panicked: its connect, which refuses the client, or a handler of a raw
/// socket, which ends the connection.
pub(crate) fn socket_panicked(socket: &'static str, panic: &(dyn Any + Send)) {
    tracing::error!(
        socket,
        panic = &*line(panic_message(panic)),
        "a socket panicked"
    );
}

/// A panic has been caught; the channel ends, the process goes on.
pub(crate) fn channel_panicked<C: Channel>(what: &'static str, panic: &(dyn Any + Send)) {
    metrics::counter!("channel_panics_total", "channel" => C::NAME).increment(1);
    tracing::error!(
        channel = C::NAME,
        what,
        panic = &*line(panic_message(panic)),
        "a channel panicked"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_params(payload: &Payload) -> String {
        Params(payload, FilterParameters::built_in()).to_string()
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let json = r#"{"a":[{"api_token":"x"}],"Password":{"is":"y"},"body":"token"}"#;
        let payload = Payload::from_json_text(json).unwrap();
        let shown = shown_params(&payload);
        assert_eq!(
            shown,
            r#"{"Password":"[FILTERED]","a":[{"api_token":"[FILTERED]"}],"body":"token"}"#
        );
    }

    #[test]
    fn binary_and_huge_payloads_are_shown_by_their_size() {
        assert_eq!(shown_params(&Payload::binary(vec![0; 7])), "[7 bytes]");
        let payload = Payload::json(&"x".repeat(5000)).unwrap();
        assert_eq!(shown_params(&payload), "[5002 bytes of JSON]");
    }
}
