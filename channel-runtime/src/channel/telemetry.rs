//! The log lines and metrics of channels.

use std::{any::Any, cell::Cell, fmt, marker::PhantomData, time::Duration};

use metrics::{IntoF64, Key, Label, Metadata, with_recorder};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Level, Span, level_filters::LevelFilter};

use super::{Answer, Channel, answer::ERROR};
use crate::{
    protocol::{Broadcast, Payload, PayloadError, Refusal, Topic},
    telemetry::{FilterParameters, LogLevel, at_level, line, panic_message, shown, shown_to},
};

/// The metadata of the metrics that no macro records.
static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));

/// A payload as a log may show it: with secrets masked, and binary data as its size. Nothing is
/// parsed unless the line is written.
struct Params<'a>(&'a Payload, &'a FilterParameters);

impl fmt::Display for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The largest number of bytes of JSON that a log line shows of a payload.
        const MOST: usize = 4096;
        let Params(payload, filter) = self;
        match payload.as_json() {
            None => write!(f, "[{} bytes]", payload.len()),
            Some(json) if json.len() > MOST => write!(f, "[{} bytes of JSON]", json.len()),
            Some(_) => match payload.decode::<Value>() {
                // The masked text may be longer.
                Ok(value) => shown_to(&filter.mask(value), 2 * MOST).fmt(f),
                Err(_) => write!(f, "[{} bytes of JSON]", payload.len()),
            },
        }
    }
}

/// Returns the span of a `#[join]`.
pub(crate) fn join_span<C: Channel>() -> Span {
    match C::OPTIONS.log_join {
        LogLevel::Off => Span::none(),
        LogLevel::At(level) => at_level!(level, span, "join"),
    }
}

/// Logs and counts the answer to a join.
pub(crate) fn joined<C: Channel>(
    topic: &Topic,
    outcome: &'static str,
    refusal: Option<&Refusal>,
    took: Duration,
    params: &Payload,
    filter: &FilterParameters,
) {
    let labels = [("channel", C::NAME), ("outcome", outcome)];
    metrics::counter!("channel_joins_total", &labels).increment(1);
    metrics::histogram!("channel_join_seconds", "channel" => C::NAME).record(took.as_secs_f64());
    if let LogLevel::At(level) = C::OPTIONS.log_join {
        let (topic, params) = (shown(topic), Params(params, filter));
        let reason = refusal.and_then(Refusal::reason).map(line);
        let reason = reason.as_deref();
        at_level!(
            level, event, channel = C::NAME, %topic, outcome, reason, took = ?took, %params, "join"
        );
    }
}

/// A joined channel, counted until it is dropped.
pub(crate) struct Joined<C: Channel>(PhantomData<fn() -> C>);

impl<C: Channel> Joined<C> {
    pub(crate) fn new() -> Self {
        metrics::gauge!("channel_channels", "channel" => C::NAME).increment(1.0);
        Joined(PhantomData)
    }
}

impl<C: Channel> Drop for Joined<C> {
    fn drop(&mut self) {
        metrics::gauge!("channel_channels", "channel" => C::NAME).decrement(1.0);
    }
}

thread_local! {
    /// The time at which the last handler of this thread began.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs code that may run handlers in place, and returns the current time: as read by the last
/// handler, or read now.
#[cfg(feature = "websocket")]
pub(crate) fn with_time_of_handlers<T>(run: impl FnOnce() -> T) -> (T, Instant) {
    BEGAN.set(None);
    let done = run();
    (done, BEGAN.take().unwrap_or_else(Instant::now))
}

/// The seconds since then. Reads the clock only if they are recorded.
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
    /// Kept only if the log may show them.
    params: Option<Payload>,
    started: Instant,
    channel: PhantomData<C>,
}

impl<'a, C: Channel> HandleIn<'a, C> {
    // Made at compile time: the macros of `metrics` would make them again for every message, since
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

    /// Returns the span of the handler.
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
            let reason = match &answer.reply {
                Some((status, payload)) if *status == ERROR => reason_of(payload),
                _ => None,
            };
            let reason = reason.as_deref().map(line);
            let reason = reason.as_deref();
            let (status, params) = (&*line(status), Params(params, filter));
            let took = self.started.elapsed();
            at_level!(
                level, event, channel = C::NAME, %topic, event, status, reason, took = ?took,
                %params, "handle_in"
            );
        }
    }
}

/// Returns the `reason` of an error reply, if it has one that is text.
fn reason_of(payload: &Payload) -> Option<String> {
    /// The largest refusal, in bytes, that is parsed.
    const MOST: usize = 4096;
    if payload.len() > MOST {
        return None;
    }
    match payload.decode::<Value>().ok()?.get_mut("reason")?.take() {
        Value::String(reason) => Some(reason),
        _ => None,
    }
}

/// Counts a request to a client, with its outcome.
pub(crate) fn requested<C: Channel>(outcome: &'static str, took: Duration) {
    let labels = [("channel", C::NAME), ("outcome", outcome)];
    metrics::counter!("channel_requests_total", &labels).increment(1);
    metrics::histogram!("channel_request_seconds", "channel" => C::NAME).record(took.as_secs_f64());
}

/// Logs a panic of the decoder of an answer. The request ends, nothing else.
pub(crate) fn decoder_panicked(panic: &(dyn Any + Send)) {
    tracing::error!(
        panic = &*line(panic_message(panic)),
        "the decoder of a client's answer panicked"
    );
}

/// Logs a panic of a stream. Its message gets `no answer`, the channel goes on.
pub(crate) fn stream_panicked(channel: &'static str, panic: &(dyn Any + Send)) {
    metrics::counter!("channel_panics_total", "channel" => channel).increment(1);
    tracing::error!(
        channel,
        panic = &*line(panic_message(panic)),
        "a stream of a channel panicked"
    );
}

/// Logs a panic in the `Drop` of shared state. Nothing else ends.
pub(crate) fn shared_panicked<T>(panic: &(dyn Any + Send)) {
    tracing::error!(
        shared = std::any::type_name::<T>(),
        panic = &*line(panic_message(panic)),
        "the shared state of a topic panicked while it was dropped"
    );
}

/// Logs a panic of a channel. The channel ends, the process goes on.
pub(crate) fn channel_panicked<C: Channel>(what: &'static str, panic: &(dyn Any + Send)) {
    metrics::counter!("channel_panics_total", "channel" => C::NAME).increment(1);
    tracing::error!(
        channel = C::NAME,
        what,
        panic = &*line(panic_message(panic)),
        "a channel panicked"
    );
}

/// A broadcast that a `#[handle_out]` cannot decode: it is not delivered.
pub(super) fn undecodable<C: Channel>(broadcast: &Broadcast, error: &PayloadError) {
    tracing::warn!(
        channel = C::NAME,
        topic = %shown(broadcast.topic()),
        event = &*line(broadcast.event()),
        error = %shown(error),
        "an intercepted broadcast cannot be decoded"
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
