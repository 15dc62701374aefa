//! Logs and metrics of the connection to other nodes.

use super::{EnvelopeError, PublishError};
use crate::telemetry::{line, shown};

/// Records a broadcast to the other nodes, or its failure.
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

/// Records that a topic has its first subscriber on this node.
pub(crate) fn topic_begun() {
    metrics::gauge!("channel_topics").increment(1.0);
}

/// Records that a topic has lost its last subscriber on this node.
pub(crate) fn topic_ended() {
    metrics::gauge!("channel_topics").decrement(1.0);
}

/// Records a broadcast from another node.
pub(crate) fn received() {
    metrics::counter!("channel_pubsub_received_total").increment(1);
}

/// Records a message that is not of this framework. Warns at the first, and then whenever the count
/// has doubled, so that outsiders cannot flood the log.
pub(crate) fn garbage(error: &EnvelopeError, count: u64) {
    metrics::counter!("channel_pubsub_garbage_total").increment(1);
    if count.is_power_of_two() {
        tracing::warn!(error = %shown(error), count, "somebody publishes garbage under this application's names");
    }
}

/// Records that a node reaches the engine, and how long it did not.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn up(engine: &'static str, node: &str, down: std::time::Duration) {
    metrics::gauge!("channel_pubsub_up").set(1.0);
    metrics::histogram!("channel_pubsub_down_seconds").record(down.as_secs_f64());
    tracing::info!(engine, node = &*line(node), ?down, "pubsub is connected");
}

/// Records that a node no longer reaches the engine.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn down(engine: &'static str, node: &str, why: &dyn std::fmt::Display) {
    metrics::gauge!("channel_pubsub_up").set(0.0);
    metrics::counter!("channel_pubsub_disconnects_total").increment(1);
    tracing::error!(engine, node = &*line(node), why = %shown(why), "pubsub is disconnected; this node serves its own clients");
}

/// Records a failed attempt to reconnect.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn still_down(engine: &'static str, error: &str) {
    metrics::gauge!("channel_pubsub_up").set(0.0);
    tracing::warn!(engine, error = &*line(error), "pubsub cannot connect yet");
}

/// Records the time that a message takes through the engine and back.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn lag(lag: std::time::Duration) {
    metrics::histogram!("channel_pubsub_lag_seconds").record(lag.as_secs_f64());
}

/// Records a lost message of another node, which this one did not take in time.
#[cfg(feature = "nats")]
pub(crate) fn overrun() {
    metrics::counter!("channel_pubsub_lost_total", "reason" => "overrun").increment(1);
    tracing::warn!("a broadcast of another node is lost: this node is too slow");
}

/// Records a problem that does not end the connection.
#[cfg(any(feature = "redis", feature = "nats"))]
pub(crate) fn trouble(what: &dyn std::fmt::Display) {
    tracing::warn!(what = %shown(what), "pubsub");
}

/// Records that another node has this node's name.
pub(crate) fn namesake(node: &str) {
    metrics::counter!("channel_pubsub_namesakes_total").increment(1);
    tracing::warn!(
        node = &*line(node),
        "another node has this node's name, and gets what is sent to this one alone: every node \
         needs a name of its own (right after a restart, it may be the process that ends)"
    );
}
