//! What is said of other nodes.

use super::{EnvelopeError, PublishError};
use crate::telemetry::{line, shown};

/// A broadcast went to the other nodes, or may not have.
pub(crate) fn published(error: Option<&PublishError>) {
    match error {
        None => metrics::counter!("channel_pubsub_published_total").increment(1),
        Some(error) => {
            let reason = error.label();
            metrics::counter!("channel_pubsub_lost_total", "reason" => reason).increment(1);
            tracing::debug!(error = %shown(error), "a broadcast may not have reached the other nodes");
        }
    }
}

/// A topic has its first subscriber on this node.
pub(crate) fn topic_begun() {
    metrics::gauge!("channel_topics").increment(1.0);
}

/// A topic has no subscriber on this node any more.
pub(crate) fn topic_ended() {
    metrics::gauge!("channel_topics").decrement(1.0);
}

/// A broadcast came from another node.
pub(crate) fn received() {
    metrics::counter!("channel_pubsub_received_total").increment(1);
}

/// Something came that is no message: the first is a warning, and then each that doubles the
/// count, so that nobody fills the log from outside.
pub(crate) fn garbage(error: &EnvelopeError, count: u64) {
    metrics::counter!("channel_pubsub_garbage_total").increment(1);
    if count.is_power_of_two() {
        tracing::warn!(error = %shown(error), count, "somebody publishes garbage under this application's names");
    }
}

/// A node reaches the engine, after so long without.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn up(engine: &'static str, node: &str, down: std::time::Duration) {
    metrics::gauge!("channel_pubsub_up").set(1.0);
    metrics::histogram!("channel_pubsub_down_seconds").record(down.as_secs_f64());
    tracing::info!(engine, node = &*line(node), ?down, "pubsub is connected");
}

/// A node does not reach the engine any more.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn down(engine: &'static str, node: &str, why: &dyn std::fmt::Display) {
    metrics::gauge!("channel_pubsub_up").set(0.0);
    metrics::counter!("channel_pubsub_disconnects_total").increment(1);
    tracing::error!(engine, node = &*line(node), why = %shown(why), "pubsub is disconnected; this node serves its own clients");
}

/// Connecting again has failed.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn still_down(engine: &'static str, error: &str) {
    metrics::gauge!("channel_pubsub_up").set(0.0);
    tracing::warn!(engine, error = &*line(error), "pubsub cannot connect yet");
}

/// How long a message takes through the engine and back.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn lag(lag: std::time::Duration) {
    metrics::histogram!("channel_pubsub_lag_seconds").record(lag.as_secs_f64());
}

/// A message of another node was lost, since this one did not take it in time.
#[cfg(feature = "nats")]
pub(crate) fn overrun() {
    metrics::counter!("channel_pubsub_lost_total", "reason" => "overrun").increment(1);
    tracing::warn!("a broadcast of another node is lost: this node is too slow");
}

/// Something is not as it should be, and the connection goes on.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn trouble(what: &dyn std::fmt::Display) {
    tracing::warn!(what = %shown(what), "pubsub");
}

/// Another node has this one's name.
pub(crate) fn namesake(node: &str) {
    metrics::counter!("channel_pubsub_namesakes_total").increment(1);
    tracing::warn!(
        node = &*line(node),
        "another node has this node's name, and gets what is sent to this one alone: every node \
         needs a name of its own (right after a restart, it may be the process that ends)"
    );
}
